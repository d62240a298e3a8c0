from .hooks import ArchitectureCheckHook, RetrievalReportHook
from .loops import VideoTextTestLoop, VideoTextValLoop
from .schedulers import WarmUpLR

__all__ = [
    'ArchitectureCheckHook', 'RetrievalReportHook', 'VideoTextTestLoop', 'VideoTextValLoop', 'WarmUpLR'
]
