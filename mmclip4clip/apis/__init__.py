from .clip_choice import use_clip
from .config_migration import read_config
from .encoder_frames import encoder_format, follow_encoder
from .inferencers import VideoCaptionInferencer, VideoRetrievalInferencer
from .launch import (
    add_common_arguments,
    leave_processes,
    load_config,
    lock_for_training,
    set_checkpoint,
)
from .model_list import list_models
from .model_loading import get_model, load
from .presets import Preset, find_preset, list_presets
from .reasons import explain, explain_videos
from .runner_builder import build_runner
from .video_index import create_index, default_index, open_index
from .video_text_model import VideoTextModel
from .zero_shot import check_zero_shot

__all__ = [
    'Preset',
    'VideoCaptionInferencer',
    'VideoRetrievalInferencer',
    'VideoTextModel',
    'add_common_arguments',
    'build_runner',
    'check_zero_shot',
    'create_index',
    'default_index',
    'encoder_format',
    'explain',
    'explain_videos',
    'find_preset',
    'follow_encoder',
    'get_model',
    'leave_processes',
    'list_presets',
    'list_models',
    'load',
    'load_config',
    'lock_for_training',
    'open_index',
    'read_config',
    'set_checkpoint',
    'use_clip',
]
