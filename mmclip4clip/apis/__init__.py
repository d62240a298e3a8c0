from typing import TYPE_CHECKING

from ..lazy_exports import lazy_exports

if TYPE_CHECKING:
    from .clip_choice import use_clip
    from .config_migration import read_config
    from .dump_reasons import ExplainedCaption, explain_caption
    from .encoder_frames import encoder_format, follow_encoder
    from .feature_extraction import use_extraction
    from .feature_runs import use_features
    from .hub_push import push_to_hub, save_transformers
    from .inferencers import VideoCaptionInferencer, VideoRetrievalInferencer
    from .launch import (
        add_common_arguments,
        leave_processes,
        load_config,
        lock_for_training,
        set_checkpoint,
    )
    from .model_choice import load
    from .model_list import list_models
    from .model_loading import get_model
    from .mteb_encoder import MTEBEncoder
    from .onnx_export import export_onnx
    from .onnx_model import OnnxVideoTextModel
    from .presets import Preset, find_preset, list_presets
    from .ray_encoding import RayModel
    from .reasons import explain, explain_videos
    from .runner_builder import build_runner
    from .sentence_encoder import SentenceEncoder
    from .video_index import create_index, default_index, open_index
    from .video_text_model import VideoTextModel
    from .zero_shot import check_zero_shot

__all__ = [
    'ExplainedCaption',
    'MTEBEncoder',
    'OnnxVideoTextModel',
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
    'explain',
    'explain_caption',
    'explain_videos',
    'export_onnx',
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
    'use_extraction',
    'use_features',
]

__getattr__ = lazy_exports(
    __name__,
    dict(
        clip_choice=['use_clip'],
        config_migration=['read_config'],
        dump_reasons=['ExplainedCaption', 'explain_caption'],
        encoder_frames=['encoder_format', 'follow_encoder'],
        feature_extraction=['use_extraction'],
        feature_runs=['use_features'],
        hub_push=['push_to_hub', 'save_transformers'],
        inferencers=['VideoCaptionInferencer', 'VideoRetrievalInferencer'],
        launch=[
            'add_common_arguments',
            'leave_processes',
            'load_config',
            'lock_for_training',
            'set_checkpoint',
        ],
        model_list=['list_models'],
        model_choice=['load'],
        model_loading=['get_model'],
        mteb_encoder=['MTEBEncoder'],
        onnx_export=['export_onnx'],
        onnx_model=['OnnxVideoTextModel'],
        presets=['Preset', 'find_preset', 'list_presets'],
        ray_encoding=['RayModel'],
        reasons=['explain', 'explain_videos'],
        runner_builder=['build_runner'],
        sentence_encoder=['SentenceEncoder'],
        video_index=['create_index', 'default_index', 'open_index'],
        video_text_model=['VideoTextModel'],
        zero_shot=['check_zero_shot'],
    ),
)
