from .query_bank import QueryBank
from .score_videos import score_videos

__all__ = ['QueryBank', 'score_videos']
