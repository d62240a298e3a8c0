"""A captioner of a tiny CLIP, and a batch of moving shapes for it."""

import pytest
import torch
from mmaction.registry import DATASETS, MODELS
from mmengine.dataset import pseudo_collate


@pytest.fixture
def dataset(shapes, pipeline):
    return DATASETS.build(
        dict(
            type='VideoCaptionDataset',
            ann_file='test.json',
            data_root=str(shapes),
            data_prefix=dict(video='videos'),
            test_mode=True,
            pipeline=pipeline,
        )
    )


@pytest.fixture
def batch(dataset):
    return pseudo_collate([dataset[i] for i in range(3)])


@pytest.fixture
def build(tiny_clip, shapes):
    def build(adapter=dict(type='MeanAdapter'), decoder={}, **kwargs):
        torch.manual_seed(0)
        return MODELS.build(
            dict(
                dict(
                    type='CLIP4ClipCaptioner',
                    adapter=adapter,
                    tokenizer=str(shapes / 'tokenizer'),
                    backbone=dict(
                        type='CLIPBackbone', config=tiny_clip, embedding_std=dict(text=0.3, vision=0.5)
                    ),
                    decoder=dict(type='CaptionDecoder', num_layers=1, num_heads=4, **decoder),
                ),
                **kwargs,
            )
        ).eval()

    return build
