from .caption import VideoCaptionMetric, score_captions
from .dump import RetrievalDump, read_dump
from .retrieval import VideoTextRetrievalMetric, post_processed_figures, retrieval_figures

__all__ = [
    'RetrievalDump',
    'VideoCaptionMetric',
    'VideoTextRetrievalMetric',
    'post_processed_figures',
    'read_dump',
    'retrieval_figures',
    'score_captions',
]
