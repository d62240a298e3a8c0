from .dump import RetrievalDump, read_dump
from .retrieval import VideoTextRetrievalMetric, retrieval_figures

__all__ = ['RetrievalDump', 'VideoTextRetrievalMetric', 'read_dump', 'retrieval_figures']
