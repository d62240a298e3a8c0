from .architecture_check_hook import ArchitectureCheckHook
from .bad_video_hook import BadVideoHook
from .caption_report_hook import CaptionReportHook
from .non_finite_guard_hook import NonFiniteGuardHook
from .random_state_hook import RandomStateHook
from .retrieval_report_hook import RetrievalReportHook
from .stop_signal_hook import StopSignalHook, TrainingStopped
from .tokenizer_check_hook import TokenizerCheckHook
from .video_check_hook import VideoCheckHook

__all__ = [
    'ArchitectureCheckHook', 'BadVideoHook', 'CaptionReportHook', 'NonFiniteGuardHook', 'RandomStateHook',
    'RetrievalReportHook', 'StopSignalHook', 'TokenizerCheckHook', 'TrainingStopped', 'VideoCheckHook'
]
