from .cosine_scores import CosineRows
from .functional import (
    CaptionScores,
    RankBin,
    caption_figures,
    caption_group_scores,
    dual_softmax,
    group_ranks,
    plain_tokens,
    ptb_tokens,
    qb_norm,
    rank_histogram,
    ranks_of_captions,
    ranks_of_videos,
    recall_curve,
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
from .score_file import StoredRows
from .score_rows import ScoreRows
from .scoring import QueryBank, score_videos
from .wrong_answers import WrongAnswer, find_wrong_answers

__all__ = [
    'CaptionScores',
    'CosineRows',
    'QueryBank',
    'RankBin',
    'ReportContext',
    'RetrievalDump',
    'ScoreRows',
    'StoredRows',
    'VideoCaptionMetric',
    'VideoRecord',
    'VideoTextRetrievalMetric',
    'WrongAnswer',
    'as_record',
    'caption_figures',
    'caption_group_scores',
    'dual_softmax',
    'find_wrong_answers',
    'group_ranks',
    'make_record',
    'plain_tokens',
    'post_processed_figures',
    'ptb_tokens',
    'qb_norm',
    'rank_histogram',
    'ranks_of_captions',
    'ranks_of_videos',
    'read_dump',
    'recall_curve',
    'recall_figures',
    'retrieval_figures',
    'score_captions',
    'score_videos',
    'stack_scores',
]
