from .hooks import ArchitectureCheckHook, BadVideoHook, RetrievalReportHook
from .loops import VideoTextTestLoop, VideoTextValLoop
from .optimizers import BertAdam, CLIPGroupsOptimWrapperConstructor
from .schedulers import RawCosineLR, WarmUpLR

__all__ = [
    'ArchitectureCheckHook', 'BadVideoHook', 'BertAdam', 'CLIPGroupsOptimWrapperConstructor',
    'RawCosineLR', 'RetrievalReportHook', 'VideoTextTestLoop', 'VideoTextValLoop', 'WarmUpLR'
]
