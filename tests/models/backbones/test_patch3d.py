import pytest
import torch

from mmclip4clip.models import CLIPBackbone
from mmclip4clip.models.backbones.patch3d import Patch3d, with_neighbors

MASK = torch.tensor([[1, 1, 1], [1, 0, 0]])


@pytest.fixture
def frames():
    return torch.randn(2, 3, 3, 64, 64)


def test_it_starts_as_the_2d_patch(tiny_clip, frames):
    torch.manual_seed(1)
    flat = CLIPBackbone(config=tiny_clip)
    torch.manual_seed(1)
    deep = CLIPBackbone(config=tiny_clip, linear_patch='3d')
    with torch.no_grad():
        torch.testing.assert_close(
            deep.encode_frames(frames, MASK), flat.encode_frames(frames, MASK), rtol=1e-5, atol=1e-6
        )


def test_it_is_a_convolution_over_time_with_zeros_at_both_ends(frames):
    patch = Patch3d(torch.nn.Conv2d(3, 5, 32, 32, bias=False))
    torch.nn.init.normal_(patch.weight)
    ours = patch(with_neighbors(frames, torch.ones(2, 3)).flatten(0, 1)).unflatten(0, (2, 3))
    whole = torch.nn.functional.conv3d(
        frames.double().transpose(1, 2), patch.weight.double(), stride=(1, 32, 32), padding=(1, 0, 0)
    )
    torch.testing.assert_close(ours.double(), whole.transpose(1, 2), rtol=1e-5, atol=1e-3)


def test_padding_is_no_neighbor(tiny_clip, frames):
    deep = CLIPBackbone(config=tiny_clip, linear_patch='3d')
    torch.nn.init.normal_(deep.clip.vision_model.embeddings.patch_embedding.weight, std=0.02)
    with torch.no_grad():
        together = deep.encode_frames(frames, MASK)
        alone = deep.encode_frames(frames[1:, :1], MASK[1:, :1])
        lonely = deep.encode_frames(frames[:1, 1:2], MASK[:1, :1])
    torch.testing.assert_close(together[1, 0], alone[0, 0])
    assert not torch.allclose(together[0, 1], lonely[0, 0], atol=1e-4)


def test_freezing_works_and_leaves_the_3d_patch_to_learn(tiny_clip):
    deep = CLIPBackbone(config=tiny_clip, linear_patch='3d', frozen_layers=1)
    trained = {n for n, p in deep.clip.named_parameters() if p.requires_grad}
    assert 'vision_model.embeddings.patch_embedding.weight' in trained
    assert 'vision_model.encoder.layers.1.mlp.fc1.weight' in trained
    for name in (
        'vision_model.encoder.layers.0.mlp.fc1.weight',
        'vision_model.pre_layrnorm.weight',
        'vision_model.embeddings.position_embedding.weight',
        'text_model.encoder.layers.0.mlp.fc1.weight',
    ):
        assert name not in trained


def test_an_unknown_patch_is_refused(tiny_clip):
    with pytest.raises(ValueError, match="linear_patch must be '2d' or '3d', got '4d'"):
        CLIPBackbone(config=tiny_clip, linear_patch='4d')
