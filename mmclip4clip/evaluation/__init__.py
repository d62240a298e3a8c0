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
from .records import VideoRecord, as_record, make_record, stack_scores
from .report_context import ReportContext
from .scoring import QueryBank, score_videos

__all__ = [
    'CaptionScores',
    'QueryBank',
    'ReportContext',
    'RetrievalDump',
    'VideoCaptionMetric',
    'VideoRecord',
    'VideoTextRetrievalMetric',
    'as_record',
    'caption_figures',
    'caption_group_scores',
    'dual_softmax',
    'group_ranks',
    'make_record',
    'plain_tokens',
    'post_processed_figures',
    'ptb_tokens',
    'qb_norm',
    'ranks_of_captions',
    'ranks_of_videos',
    'read_dump',
    'recall_figures',
    'retrieval_figures',
    'score_captions',
    'score_videos',
    'stack_scores',
]
