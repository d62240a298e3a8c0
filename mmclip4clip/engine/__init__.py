from .hooks import ArchitectureCheckHook, RetrievalReportHook
from .loops import VideoTextTestLoop, VideoTextValLoop
from .optimizers import BertAdam, CLIPGroupsOptimWrapperConstructor
from .schedulers import RawCosineLR, WarmUpLR

__all__ = [
    'ArchitectureCheckHook', 'BertAdam', 'CLIPGroupsOptimWrapperConstructor', 'RawCosineLR',
    'RetrievalReportHook', 'VideoTextTestLoop', 'VideoTextValLoop', 'WarmUpLR'
]
