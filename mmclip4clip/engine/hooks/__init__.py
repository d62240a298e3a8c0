from .architecture_check_hook import ArchitectureCheckHook
from .bad_video_hook import BadVideoHook
from .retrieval_report_hook import RetrievalReportHook

__all__ = ['ArchitectureCheckHook', 'BadVideoHook', 'RetrievalReportHook']
