import pytest
import torch
from mmaction.registry import MODELS

from mmclip4clip.checkpoints.reading import read_checked

BLOCKS = dict(width=32, num_layers=1, num_heads=2, max_frames=8, start='random')


def save(path, tiny_clip, change=lambda content: None, **adapter):
    model = MODELS.build(
        dict(
            type='CLIP4ClipRetriever',
            backbone=dict(type='CLIPBackbone', config=tiny_clip),
            adapter=adapter or dict(type='MeanAdapter'),
        )
    )
    content = dict(state_dict=model.state_dict(), meta={})
    change(content)
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    'key, shape',
    [
        ('visual_projection.weight', (32, 7)),
        ('logit_scale', (3,)),
        ('text_model.final_layer_norm.bias', (31,)),
        ('text_model.embeddings.token_embedding.weight', (1000, 16)),
    ],
)
def test_tensors_that_do_not_fit_one_another_are_named(tiny_clip, tmp_path, key, shape):
    def change(content):
        content['state_dict'][f'backbone.clip.{key}'] = torch.zeros(shape)

    path = save(tmp_path / 'odd.pth', tiny_clip, change)
    with pytest.raises(ValueError, match='odd.pth contains tensors whose shapes do not match each other: '):
        read_checked(path)


@pytest.mark.parametrize('meta', [[1], 'x', dict(settings=[1]), dict(settings=dict(adapter='x'))])
def test_an_odd_meta_is_an_error_that_names_the_file(tiny_clip, tmp_path, meta):
    path = save(tmp_path / 'odd.pth', tiny_clip, lambda content: content.update(meta=meta))
    with pytest.raises(ValueError, match='odd.pth'):
        read_checked(path)


def test_a_missing_axis_is_an_error_that_names_the_file(tiny_clip, tmp_path):
    def change(content):
        content['state_dict']['backbone.clip.vision_model.embeddings.patch_embedding.weight'] = torch.zeros(3)

    with pytest.raises(ValueError, match='odd.pth contains invalid values'):
        read_checked(save(tmp_path / 'odd.pth', tiny_clip, change))


@pytest.mark.parametrize(
    'adapter',
    [
        dict(type='WTIAdapter', width=32, num_layers=0),
        dict(type='WTIAdapter', **BLOCKS),
        dict(type='XPoolAdapter', width=32),
        dict(type='TightAdapter', **BLOCKS),
        dict(type='TightAdapter', variant='paper', **BLOCKS),
    ],
)
def test_every_head_is_recognized_by_its_shapes(tiny_clip, tmp_path, adapter):
    _, checkpoint = read_checked(save(tmp_path / 'own.pth', tiny_clip, **adapter))
    assert checkpoint.adapter == adapter['type']


def test_tensors_that_no_part_of_the_adapter_has_are_refused(tiny_clip, tmp_path):
    def change(content):
        content['state_dict']['adapter.more.weight'] = torch.zeros(3)

    with pytest.raises(ValueError, match='odd.pth does not have .* 1 unknown key: adapter.more.weight'):
        read_checked(save(tmp_path / 'odd.pth', tiny_clip, change, type='XPoolAdapter', width=32))
