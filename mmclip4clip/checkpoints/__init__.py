from .checkpoint import Checkpoint
from .convert import convert, write
from .description import model_config, summary, usage
from .formats import KINDS, recognize
from .reading import read

__all__ = ['KINDS', 'Checkpoint', 'convert', 'model_config', 'read', 'recognize', 'summary', 'usage', 'write']
