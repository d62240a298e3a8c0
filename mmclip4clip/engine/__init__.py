from .hooks import (
    ArchitectureCheckHook,
    BadVideoHook,
    CaptionReportHook,
    EvaluationReportHook,
    InputCheckHook,
    NonFiniteGuardHook,
    PreprocessingCheckHook,
    RandomStateHook,
    RetrievalReportHook,
    SafeCheckpointHook,
    StopSignalHook,
    TokenizerCheckHook,
    VideoCheckHook,
    WorkDirLockHook,
)
from .loops import ResumableTrainLoop, VideoTextTestLoop, VideoTextValLoop
from .optimizers import BertAdam, CLIPGroupsOptimWrapperConstructor
from .schedulers import RawCosineLR, WarmUpCosineLR, WarmUpLR

__all__ = [
    'ArchitectureCheckHook',
    'BadVideoHook',
    'BertAdam',
    'CLIPGroupsOptimWrapperConstructor',
    'CaptionReportHook',
    'EvaluationReportHook',
    'InputCheckHook',
    'NonFiniteGuardHook',
    'PreprocessingCheckHook',
    'RandomStateHook',
    'RawCosineLR',
    'ResumableTrainLoop',
    'RetrievalReportHook',
    'SafeCheckpointHook',
    'StopSignalHook',
    'TokenizerCheckHook',
    'VideoCheckHook',
    'VideoTextTestLoop',
    'VideoTextValLoop',
    'WarmUpCosineLR',
    'WarmUpLR',
    'WorkDirLockHook',
]
