from .caption_scores import CaptionScores, caption_figures
from .caption_tokens import plain_tokens, ptb_tokens
from .post_processing import dual_softmax, qb_norm
from .ranking import caption_group_scores, group_ranks, ranks_of_captions, ranks_of_videos
from .recall import RankBin, rank_histogram, recall_curve, recall_figures

__all__ = [
    'CaptionScores',
    'RankBin',
    'caption_figures',
    'caption_group_scores',
    'dual_softmax',
    'group_ranks',
    'plain_tokens',
    'ptb_tokens',
    'qb_norm',
    'rank_histogram',
    'ranks_of_captions',
    'ranks_of_videos',
    'recall_curve',
    'recall_figures',
]
