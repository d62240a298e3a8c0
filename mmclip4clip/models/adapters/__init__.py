from .base import BaseAdapter
from .mean import MeanAdapter
from .seq_lstm import SeqLSTMAdapter
from .seq_transformer import SeqTransformerAdapter

__all__ = ['BaseAdapter', 'MeanAdapter', 'SeqLSTMAdapter', 'SeqTransformerAdapter']
