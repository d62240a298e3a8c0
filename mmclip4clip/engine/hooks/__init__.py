from .architecture_check_hook import ArchitectureCheckHook
from .bad_video_hook import BadVideoHook
from .caption_report_hook import CaptionReportHook
from .retrieval_report_hook import RetrievalReportHook
from .tokenizer_check_hook import TokenizerCheckHook

__all__ = [
    'ArchitectureCheckHook', 'BadVideoHook', 'CaptionReportHook', 'RetrievalReportHook', 'TokenizerCheckHook'
]
