from .architecture_check_hook import ArchitectureCheckHook
from .retrieval_report_hook import RetrievalReportHook

__all__ = ['ArchitectureCheckHook', 'RetrievalReportHook']
