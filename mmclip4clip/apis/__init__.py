from .clip_choice import use_clip
from .config_migration import read_config
from .encoder_frames import encoder_format, follow_encoder
from .hub_push import push_to_hub, save_transformers
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
from .mteb_encoder import MTEBEncoder
from .presets import Preset, find_preset, list_presets
from .ray_encoding import RayModel
from .runner_builder import build_runner
from .sentence_encoder import SentenceEncoder
from .video_index import create_index, default_index, open_index
from .video_text_model import VideoTextModel
from .zero_shot import check_zero_shot

__all__ = [
    'MTEBEncoder',
    'Preset',
    'RayModel',
    'SentenceEncoder',
    'VideoCaptionInferencer',
    'VideoRetrievalInferencer',
    'VideoTextModel',
    'add_common_arguments',
    'build_runner',
    'check_zero_shot',
    'create_index',
    'default_index',
    'encoder_format',
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
    'push_to_hub',
    'read_config',
    'save_transformers',
    'set_checkpoint',
    'use_clip',
]
