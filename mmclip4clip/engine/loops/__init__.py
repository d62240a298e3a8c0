from ...evaluation.scoring import QueryBank
from .resumable_train_loop import ResumableTrainLoop
from .video_text_loops import VideoTextTestLoop, VideoTextValLoop

__all__ = ['QueryBank', 'ResumableTrainLoop', 'VideoTextTestLoop', 'VideoTextValLoop']
