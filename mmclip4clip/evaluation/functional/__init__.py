from .ranking import caption_group_scores, group_ranks, ranks_of_captions, ranks_of_videos, recall_figures

__all__ = [
    'caption_group_scores', 'group_ranks', 'ranks_of_captions', 'ranks_of_videos', 'recall_figures'
]
