from .query_bank import QueryBank
from .video_text_loops import VideoTextTestLoop, VideoTextValLoop

__all__ = ['QueryBank', 'VideoTextTestLoop', 'VideoTextValLoop']
