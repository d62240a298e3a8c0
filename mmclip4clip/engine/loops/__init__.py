from ...evaluation.scoring import QueryBank
from .feature_extraction_loop import FeatureExtractionLoop
from .resumable_train_loop import ResumableTrainLoop
from .video_text_loops import VideoTextTestLoop, VideoTextValLoop

__all__ = [
    'FeatureExtractionLoop',
    'QueryBank',
    'ResumableTrainLoop',
    'VideoTextTestLoop',
    'VideoTextValLoop',
]
