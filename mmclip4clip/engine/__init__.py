from .hooks import (
    ArchitectureCheckHook,
    BadVideoHook,
    CaptionReportHook,
    NonFiniteGuardHook,
    RandomStateHook,
    RetrievalReportHook,
    StopSignalHook,
    TokenizerCheckHook,
    VideoCheckHook,
)
from .loops import ResumableTrainLoop, VideoTextTestLoop, VideoTextValLoop
from .optimizers import BertAdam, CLIPGroupsOptimWrapperConstructor
from .schedulers import RawCosineLR, WarmUpLR

__all__ = [
    'ArchitectureCheckHook', 'BadVideoHook', 'BertAdam', 'CLIPGroupsOptimWrapperConstructor',
    'CaptionReportHook', 'NonFiniteGuardHook', 'RandomStateHook', 'RawCosineLR', 'ResumableTrainLoop',
    'RetrievalReportHook', 'StopSignalHook', 'TokenizerCheckHook', 'VideoCheckHook', 'VideoTextTestLoop',
    'VideoTextValLoop', 'WarmUpLR'
]
