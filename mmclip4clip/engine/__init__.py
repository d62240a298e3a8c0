from .hooks import ArchitectureCheckHook, RetrievalReportHook
from .loops import VideoTextTestLoop, VideoTextValLoop

__all__ = [
    'ArchitectureCheckHook', 'RetrievalReportHook', 'VideoTextTestLoop', 'VideoTextValLoop'
]
