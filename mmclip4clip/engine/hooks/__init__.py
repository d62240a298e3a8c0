from .architecture_check_hook import ArchitectureCheckHook
from .bad_video_hook import BadVideoHook
from .evaluation_report_hook import CaptionReportHook, EvaluationReportHook, RetrievalReportHook
from .feature_checkpoint_hook import FeatureCheckpointHook
from .input_check_hook import InputCheckHook
from .non_finite_guard_hook import NonFiniteGuardHook
from .preprocessing_check_hook import PreprocessingCheckHook, TokenizerCheckHook
from .random_state_hook import RandomStateHook
from .safe_checkpoint_hook import SafeCheckpointHook
from .stop_signal_hook import StopSignalHook, TrainingStopped
from .training_size_hook import TrainingSizeHook
from .video_check_hook import VideoCheckHook
from .work_dir_lock_hook import WorkDirLockHook

__all__ = [
    'ArchitectureCheckHook',
    'BadVideoHook',
    'CaptionReportHook',
    'EvaluationReportHook',
    'FeatureCheckpointHook',
    'InputCheckHook',
    'NonFiniteGuardHook',
    'PreprocessingCheckHook',
    'RandomStateHook',
    'RetrievalReportHook',
    'SafeCheckpointHook',
    'StopSignalHook',
    'TokenizerCheckHook',
    'TrainingSizeHook',
    'TrainingStopped',
    'VideoCheckHook',
    'WorkDirLockHook',
]
