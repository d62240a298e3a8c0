from .hooks import (
    ArchitectureCheckHook,
    BadVideoHook,
    CaptionReportHook,
    RetrievalReportHook,
    TokenizerCheckHook,
)
from .loops import VideoTextTestLoop, VideoTextValLoop
from .optimizers import BertAdam, CLIPGroupsOptimWrapperConstructor
from .schedulers import RawCosineLR, WarmUpLR

__all__ = [
    'ArchitectureCheckHook', 'BadVideoHook', 'BertAdam', 'CLIPGroupsOptimWrapperConstructor',
    'CaptionReportHook', 'RawCosineLR', 'RetrievalReportHook', 'TokenizerCheckHook',
    'VideoTextTestLoop', 'VideoTextValLoop', 'WarmUpLR'
]
