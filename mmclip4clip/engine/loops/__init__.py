from .video_text_loops import VideoTextTestLoop, VideoTextValLoop

__all__ = ['VideoTextTestLoop', 'VideoTextValLoop']
