from .checkpoint import Checkpoint
from .convert import KINDS, convert, read, recognise, write
from .description import model_config, summary, usage

__all__ = ['KINDS', 'Checkpoint', 'convert', 'model_config', 'read', 'recognise', 'summary', 'usage', 'write']
