"""Describe what makes the features of an extraction."""

import os.path as osp
from typing import Any

from ..checkpoints.clip_settings import clip_settings
from ..datasets.feature_files import FeatureSettings
from ..datasets.pipeline_description import describe_pipeline
from ..datasets.transforms import TokenizeCaptions
from ..models.weight_digest import digest_encoder, digest_tensors, find_logit_scale
from ..tokenizers.saved_tokenizer import describe_tokenizer
from .runner_access import clip_of, steps_of, unwrapped_model


def describe_extraction(loop: Any, dataset: Any) -> FeatureSettings:
    """Describe the model, the data and the options of an extraction.

    Args:
        loop (FeatureExtractionLoop): The loop, with a model that is loaded.
        dataset (VideoCaptionDataset): Its dataset, without wrappers.
    """
    model, runner = unwrapped_model(loop.runner), loop.runner
    backbone, key, clip = model.backbone, find_logit_scale(model.backbone), clip_of(runner)
    tokenizers = [describe_tokenizer(step.tokenizer) for step in steps_of(dataset, TokenizeCaptions)]
    processor = model.data_preprocessor
    pixels = {
        name: [round(value, 4) for value in getattr(processor, name).flatten().tolist()]
        for name in ('mean', 'std')
        if getattr(processor, name, None) is not None
    }
    return FeatureSettings(
        split=loop.split,
        parts=list(loop.parts),
        dtype='float16' if loop.half else 'float32',
        num_videos=len(dataset),
        shard_size=loop.shard_size,
        batch_size=loop.order.batch_size,
        ann_file=osp.basename(dataset.ann_file),
        content=dataset.content,
        caption_mode=dataset.caption_mode,
        preprocessing=describe_pipeline(dataset, list(dataset.pipeline.transforms)),
        tokenizer=tokenizers[0] if tokenizers else None,
        normalization=pixels,
        encoder=digest_encoder(backbone.state_dict(), key),
        adapter=type(model.adapter).__name__,
        head=digest_tensors(model.adapter.state_dict()) if 'video' in loop.parts else None,
        width=backbone.width,
        fp16=loop.fp16,
        seed=runner.seed,
        logit_scale=backbone.logit_scale.item(),
        logit_scale_key=f'backbone.{key}',
        max_logit_scale=getattr(backbone, 'max_logit_scale', 100.0),
        token_merging=list(getattr(backbone, 'token_merging', ())),
        clip_config=None if clip is None else clip_settings(clip.config),
        checkpoint=runner._load_from,
    )
