from .base import BaseAdapter
from .mean import MeanAdapter
from .rerankable import RerankableAdapter
from .seq_lstm import SeqLSTMAdapter
from .seq_transformer import SeqTransformerAdapter
from .tight import TightAdapter
from .wti import WTIAdapter
from .xpool import XPoolAdapter

__all__ = [
    'BaseAdapter',
    'MeanAdapter',
    'RerankableAdapter',
    'SeqLSTMAdapter',
    'SeqTransformerAdapter',
    'TightAdapter',
    'WTIAdapter',
    'XPoolAdapter',
]
