from .functional import (
    caption_group_scores,
    dual_softmax,
    group_ranks,
    qb_norm,
    ranks_of_captions,
    ranks_of_videos,
    recall_figures,
)
from .metrics import (
    RetrievalDump,
    VideoTextRetrievalMetric,
    post_processed_figures,
    read_dump,
    retrieval_figures,
)

__all__ = [
    'RetrievalDump', 'VideoTextRetrievalMetric', 'caption_group_scores', 'dual_softmax',
    'group_ranks', 'post_processed_figures', 'qb_norm', 'ranks_of_captions', 'ranks_of_videos',
    'read_dump', 'recall_figures', 'retrieval_figures'
]
