"""What a maintainer asks for first: versions, the machine, decoding of videos and loading of checkpoints."""

from .checks import examine
from .finding import Finding, as_json, as_text, has_problems

__all__ = ['Finding', 'as_json', 'as_text', 'examine', 'has_problems']
