from .functional import caption_group_scores, group_ranks, ranks_of_captions, ranks_of_videos, recall_figures
from .metrics import RetrievalDump, VideoTextRetrievalMetric, read_dump, retrieval_figures

__all__ = [
    'RetrievalDump', 'VideoTextRetrievalMetric', 'caption_group_scores', 'group_ranks',
    'ranks_of_captions', 'ranks_of_videos', 'read_dump', 'recall_figures', 'retrieval_figures'
]
