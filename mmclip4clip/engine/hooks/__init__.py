from .architecture_check_hook import ArchitectureCheckHook
from .bad_video_hook import BadVideoHook
from .caption_report_hook import CaptionReportHook
from .random_state_hook import RandomStateHook
from .retrieval_report_hook import RetrievalReportHook
from .safe_checkpoint_hook import SafeCheckpointHook
from .stop_signal_hook import StopSignalHook, TrainingStopped
from .tokenizer_check_hook import TokenizerCheckHook

__all__ = [
    'ArchitectureCheckHook', 'BadVideoHook', 'CaptionReportHook', 'RandomStateHook', 'RetrievalReportHook',
    'SafeCheckpointHook', 'StopSignalHook', 'TokenizerCheckHook', 'TrainingStopped'
]
