from .hooks import (
    ArchitectureCheckHook,
    BadVideoHook,
    CaptionReportHook,
    RandomStateHook,
    RetrievalReportHook,
    SafeCheckpointHook,
    StopSignalHook,
    TokenizerCheckHook,
)
from .loops import ResumableTrainLoop, VideoTextTestLoop, VideoTextValLoop
from .optimizers import BertAdam, CLIPGroupsOptimWrapperConstructor
from .schedulers import RawCosineLR, WarmUpLR

__all__ = [
    'ArchitectureCheckHook', 'BadVideoHook', 'BertAdam', 'CLIPGroupsOptimWrapperConstructor',
    'CaptionReportHook', 'RandomStateHook', 'RawCosineLR', 'ResumableTrainLoop', 'RetrievalReportHook',
    'SafeCheckpointHook', 'StopSignalHook', 'TokenizerCheckHook', 'VideoTextTestLoop', 'VideoTextValLoop',
    'WarmUpLR'
]
