"""Files of open_clip (github.com/mlfoundations/open_clip): weights, and a model config beside them."""

from .files import CONFIG, WRITTEN, download, find_config, find_weights, is_file_name, write
from .keys import is_siglip, refuse_unsupported
from .model_config import apply_config
from .weights import to_native

__all__ = [
    'CONFIG',
    'WRITTEN',
    'apply_config',
    'download',
    'find_config',
    'find_weights',
    'is_file_name',
    'is_siglip',
    'refuse_unsupported',
    'to_native',
    'write',
]
