from .checkpoint import Checkpoint
from .convert import KINDS, convert, read, recognize, write
from .description import model_config, summary, usage

__all__ = ['KINDS', 'Checkpoint', 'convert', 'model_config', 'read', 'recognize', 'summary', 'usage', 'write']
