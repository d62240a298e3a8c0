from .architecture_check_hook import ArchitectureCheckHook
from .bad_video_hook import BadVideoHook
from .caption_report_hook import CaptionReportHook
from .input_check_hook import InputCheckHook
from .non_finite_guard_hook import NonFiniteGuardHook
from .preprocessing_check_hook import PreprocessingCheckHook, TokenizerCheckHook
from .random_state_hook import RandomStateHook
from .retrieval_report_hook import RetrievalReportHook
from .safe_checkpoint_hook import SafeCheckpointHook
from .stop_signal_hook import StopSignalHook, TrainingStopped
from .video_check_hook import VideoCheckHook
from .work_dir_lock_hook import WorkDirLockHook

__all__ = [
    'ArchitectureCheckHook',
    'BadVideoHook',
    'CaptionReportHook',
    'InputCheckHook',
    'NonFiniteGuardHook',
    'PreprocessingCheckHook',
    'RandomStateHook',
    'RetrievalReportHook',
    'SafeCheckpointHook',
    'StopSignalHook',
    'TokenizerCheckHook',
    'TrainingStopped',
    'VideoCheckHook',
    'WorkDirLockHook',
]
