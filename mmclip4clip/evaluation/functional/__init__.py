from .post_processing import dual_softmax, qb_norm
from .ranking import caption_group_scores, group_ranks, ranks_of_captions, ranks_of_videos, recall_figures

__all__ = [
    'caption_group_scores', 'dual_softmax', 'group_ranks', 'qb_norm', 'ranks_of_captions',
    'ranks_of_videos', 'recall_figures'
]
