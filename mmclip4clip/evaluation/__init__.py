from .functional import (
    CaptionScores,
    caption_figures,
    caption_group_scores,
    dual_softmax,
    group_ranks,
    plain_tokens,
    ptb_tokens,
    qb_norm,
    ranks_of_captions,
    ranks_of_videos,
    recall_figures,
)
from .metrics import (
    RetrievalDump,
    VideoCaptionMetric,
    VideoTextRetrievalMetric,
    post_processed_figures,
    read_dump,
    retrieval_figures,
    score_captions,
)
from .scoring import QueryBank, score_videos

__all__ = [
    'CaptionScores', 'QueryBank', 'RetrievalDump', 'VideoCaptionMetric',
    'VideoTextRetrievalMetric', 'caption_figures', 'caption_group_scores', 'dual_softmax',
    'group_ranks', 'plain_tokens', 'post_processed_figures', 'ptb_tokens', 'qb_norm',
    'ranks_of_captions', 'ranks_of_videos', 'read_dump', 'recall_figures', 'retrieval_figures',
    'score_captions', 'score_videos'
]
