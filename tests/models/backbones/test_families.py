"""Each family of dual encoders against transformers' own features, and its folders."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from mmclip4clip.models import CLIPBackbone
from mmclip4clip.models.backbones.families import FAMILIES
from mmclip4clip.models.backbones.towers import text_embeddings, tower_blocks
from mmclip4clip.models.weight_check import rename_layers

from ...encoders import KINDS, small_encoder
from .folders import change_config, change_weights


def captions(lengths=(7, 3, 24, 5)) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids that end with 3, padded with 0 as the pipeline does, and their mask."""
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    tokens = torch.randint(4, 99, mask.shape) * mask
    tokens[:, 0] = 0
    tokens[range(len(lengths)), [n - 1 for n in lengths]] = 3
    return tokens, mask


def own_text_features(clip, kind: str, tokens, mask) -> torch.Tensor:
    """transformers' features of captions, padded as its processor of this family does."""
    width = 24 if kind.startswith('siglip') else tokens.shape[1]
    rows = [[*row[:n].tolist(), *[1] * (width - n)] for row, n in zip(tokens, mask.sum(dim=1).tolist())]
    ids = torch.tensor(rows)
    attention = None if kind.startswith('siglip') else mask
    found = clip.get_text_features(input_ids=ids, attention_mask=attention)
    return getattr(found, 'pooler_output', found)


def own_frame_features(clip, kind: str, frames) -> torch.Tensor:
    """transformers' features of images."""
    inputs = dict(pixel_values=frames)
    if kind == 'siglip2':  # patches from left to right, the three colors of a pixel side by side
        rows = range(0, frames.shape[-1], 16)
        cut = [
            frames[:, :, y : y + 16, x : x + 16].permute(0, 2, 3, 1).flatten(1) for y in rows for x in rows
        ]
        inputs = dict(pixel_values=torch.stack(cut, dim=1))
        inputs['pixel_attention_mask'] = torch.ones(inputs['pixel_values'].shape[:2], dtype=torch.long)
        inputs['spatial_shapes'] = torch.tensor([[len(rows), len(rows)]] * len(frames))
    found = clip.get_image_features(**inputs)
    return getattr(found, 'pooler_output', found)


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


@pytest.fixture
def folder(kind, tmp_path):
    """A folder of a small encoder of the family, with weights that are not tiny."""
    clip = CLIPBackbone(config=small_encoder(kind)).clip
    for parameter in clip.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    clip.save_pretrained(tmp_path / kind)
    return tmp_path / kind


@pytest.mark.parametrize('side', [32, 64])
@torch.no_grad()
def test_features_equal_those_of_transformers(kind, side):
    backbone = CLIPBackbone(config=small_encoder(kind, side)).eval()
    for parameter in backbone.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    tokens, mask = captions()
    text = backbone.encode_text(tokens, mask)
    torch.testing.assert_close(
        text, own_text_features(backbone.clip, kind, tokens, mask), atol=1e-5, rtol=1e-5
    )
    frames, frame_mask = torch.randn(2, 3, 3, side, side), torch.tensor([[1, 1, 1], [1, 0, 0]])
    features = backbone.encode_frames(frames, frame_mask)
    expected = own_frame_features(backbone.clip, kind, frames[frame_mask.bool()])
    torch.testing.assert_close(features[frame_mask.bool()], expected, atol=1e-5, rtol=1e-5)
    assert features[1, 1:].abs().sum() == 0
    assert backbone.width == text.shape[1] == features.shape[2]


@torch.no_grad()
def test_padding_of_the_batch_does_not_change_a_caption(kind):
    backbone = CLIPBackbone(config=small_encoder(kind)).eval()
    tokens, mask = captions((7, 3, 20))
    together = backbone.encode_text(tokens, mask)
    per_token = backbone.encode_text(tokens, mask, per_token=True)
    assert per_token['tokens'].shape == (3, 20, backbone.width)
    for i, length in enumerate((7, 3, 20)):
        alone = tokens[i : i + 1, :length], mask[i : i + 1, :length]
        torch.testing.assert_close(backbone.encode_text(*alone), together[i : i + 1], atol=1e-6, rtol=1e-5)
        single = backbone.encode_text(*alone, per_token=True)['tokens'][0]
        torch.testing.assert_close(single, per_token['tokens'][i, :length], atol=1e-6, rtol=1e-5)


def test_each_trained_parameter_gets_a_gradient(kind):
    backbone = CLIPBackbone(config=small_encoder(kind))
    text = backbone.encode_text(*captions())
    frames = backbone.encode_frames(torch.randn(1, 2, 3, 32, 32), torch.ones(1, 2))
    (backbone.logit_scale.exp() * text @ frames[0].T).square().sum().backward()
    without = [n for n, p in backbone.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []
    trained = [n for n, p in backbone.named_parameters() if not p.requires_grad]
    assert trained == (['clip.logit_bias'] if kind.startswith('siglip') else [])


@torch.no_grad()
def test_a_folder_gives_the_same_features(kind, folder):
    backbone = CLIPBackbone(pretrained=str(folder)).eval()
    assert backbone.family.model_type == kind
    saved = load_file(folder / 'model.safetensors')
    saved = rename_layers(backbone.clip.state_dict(), saved)
    assert backbone.clip.state_dict().keys() == saved.keys()
    words = 'text_model.embeddings.word_embeddings.weight'
    if words in saved:  # transformers 5 sets the embedding of padding, which is masked, to zero
        assert backbone.clip.state_dict()[words][1].tolist() in (saved[words][1].tolist(), [0] * 32)
        saved[words][1] = backbone.clip.state_dict()[words][1]
    assert all(torch.equal(value, saved[key]) for key, value in backbone.clip.state_dict().items())
    random = CLIPBackbone(config=small_encoder(kind)).eval()
    random.clip.load_state_dict(saved)
    inputs = captions()
    assert torch.equal(backbone.encode_text(*inputs), random.encode_text(*inputs))


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda w: {k: v for k, v in w.items() if 'fc1.bias' not in k}, 'missing keys'),
        (lambda w: w | dict(more=torch.zeros(1)), '1 unexpected keys'),
        (lambda w: w | {'logit_scale': torch.zeros(3)}, '1 keys of wrong shape'),
        (lambda w: {f'model.{k}': v for k, v in w.items()}, "begin with 'model.'"),
    ],
    ids=['incomplete', 'foreign', 'shape', 'prefix'],
)
def test_an_incomplete_or_foreign_folder_is_refused(folder, change, message):
    change_weights(folder, change)
    with pytest.raises(OSError, match=f'(?s)was refused.*{message}'):
        CLIPBackbone(pretrained=str(folder))


def test_the_folder_of_another_family_is_refused(kind, folder):
    other = 'siglip' if 'clip' in kind else 'clip'
    change_config(folder, model_type=other)
    with pytest.raises(OSError, match='was refused'):
        CLIPBackbone(pretrained=str(folder))


@pytest.mark.parametrize('frozen', [0, 1, 2])
def test_the_lowest_layers_are_frozen(kind, frozen):
    backbone = CLIPBackbone(config=small_encoder(kind), frozen_layers=frozen)
    towers = tower_blocks(backbone.clip, 'text'), backbone.clip.vision_model.encoder.layers
    for blocks in towers:
        for i, block in enumerate(blocks):
            assert {p.requires_grad for p in block.parameters()} == {i >= frozen}
    for part in (*text_embeddings(backbone.clip), backbone.clip.vision_model.embeddings):
        assert not any(p.requires_grad for p in part.parameters())
    assert backbone.logit_scale.requires_grad
    assert all(p.requires_grad for p in backbone.clip.vision_model.post_layernorm.parameters())


def test_frames_of_another_size_are_named(kind):
    backbone = CLIPBackbone(config=small_encoder(kind))
    with pytest.raises(ValueError, match=r'\(H, W\) = \(48, 32\), but .* expects \(32, 32\)'):
        backbone.encode_frames(torch.zeros(1, 1, 3, 48, 32), torch.ones(1, 1))


def test_captions_that_are_too_long_are_named(kind):
    with pytest.raises(ValueError, match='captions of 25 tokens do not fit the 24 text positions'):
        CLIPBackbone(config=small_encoder(kind)).encode_text(
            torch.zeros(1, 25, dtype=torch.long), torch.ones(1, 25)
        )


def test_an_unknown_family_is_named():
    with pytest.raises(ValueError, match="model_type='blip', expected clip or metaclip_2 or"):
        CLIPBackbone(config=dict(model_type='blip'))


@torch.no_grad()
def test_positions_are_interpolated_for_larger_frames(kind, folder):
    backbone = CLIPBackbone(pretrained=str(folder), image_size=64).eval()
    assert backbone.frame_format.size == 64
    frames = torch.randn(1, 2, 3, 64, 64)
    features = backbone.encode_frames(frames, torch.ones(1, 2))[0]
    original = CLIPBackbone(pretrained=str(folder)).eval().clip
    if kind == 'siglip2':  # interpolates in each forward pass
        expected = own_frame_features(original, kind, frames[0])
    else:
        found = original.get_image_features(frames[0], interpolate_pos_encoding=True)
        expected = getattr(found, 'pooler_output', found)
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-5)


def test_a_size_that_patches_do_not_fill_is_refused(folder):
    with pytest.raises(ValueError, match='image_size=40 is not a multiple of the patches of 16 pixels'):
        CLIPBackbone(pretrained=str(folder), image_size=40)


@torch.no_grad()
def test_text_positions_are_stretched_by_the_rule_of_long_clip(kind, folder):
    if FAMILIES[kind].pooling != 'last':
        with pytest.raises(ValueError, match='text_length=36 stretches the positions of a causal text tower'):
            CLIPBackbone(pretrained=str(folder), text_length=36)
        return
    before = text_embeddings(CLIPBackbone(pretrained=str(folder)).clip)[1].weight
    after = CLIPBackbone(pretrained=str(folder), text_length=36)
    stretched = text_embeddings(after.clip)[1].weight
    assert torch.equal(stretched[:20], before[:20])
    for new in range(20, 36):  # 4 positions become 16; beyond the last one the slope goes on
        step, quarter = divmod(new - 20, 4)
        left = min(step, 2) + 20
        share = quarter / 4 + (step - min(step, 2))
        expected = before[left] + share * (before[left + 1] - before[left])
        torch.testing.assert_close(stretched[new], expected)
    assert after.encode_text(*captions((36, 3))).shape == (2, after.width)


def test_a_shorter_text_tower_is_refused(tmp_path):
    CLIPBackbone(config=small_encoder('clip')).clip.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match='text_length=8 must be at least the 24 text positions'):
        CLIPBackbone(pretrained=str(tmp_path), text_length=8)


def test_sizes_of_a_random_encoder_belong_into_its_config():
    with pytest.raises(ValueError, match='change a pretrained encoder; for random weights give'):
        CLIPBackbone(config=small_encoder('clip'), image_size=64)


def test_a_head_is_needed():
    config = small_encoder('siglip')
    config['vision_config']['vision_use_head'] = False
    with pytest.raises(ValueError, match='vision_use_head=False'):
        CLIPBackbone(config=config)


def test_towers_of_different_width_are_refused():
    config = small_encoder('siglip')
    config['text_config']['projection_size'] = 24
    with pytest.raises(ValueError, match='width 32 for frames and 24 for captions'):
        CLIPBackbone(config=config)


def test_the_3d_patch_starts_as_the_2d_patch(kind):
    config = small_encoder(kind)
    if kind == 'siglip2':
        with pytest.raises(ValueError, match='is Linear: use linear_patch'):
            CLIPBackbone(config=config, linear_patch='3d')
        return
    flat, deep = CLIPBackbone(config=config).eval(), CLIPBackbone(config=config, linear_patch='3d').eval()
    state = flat.state_dict()
    key = 'clip.vision_model.embeddings.patch_embedding.weight'
    weight = state[key]
    state[key] = torch.stack([torch.zeros_like(weight), weight, torch.zeros_like(weight)], dim=2)
    deep.load_state_dict(state)
    frames, mask = torch.randn(1, 3, 3, 32, 32), torch.ones(1, 3)
    with torch.no_grad():
        expected = flat.encode_frames(frames, mask)
        torch.testing.assert_close(deep.encode_frames(frames, mask), expected, atol=1e-5, rtol=1e-5)


def test_padding_is_the_tokenizers(tmp_path):
    """Published configs of SigLIP 2 lack the id, whose default is another tokenizer's."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    CLIPBackbone(config=small_encoder('siglip')).clip.save_pretrained(tmp_path)
    vocab = {'<pad>': 0, '<eos>': 1, 'a': 2}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token='a'))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token='<pad>').save_pretrained(tmp_path)
    assert CLIPBackbone(pretrained=str(tmp_path)).clip.config.text_config.pad_token_id == 0


def test_a_family_that_transformers_lacks_is_named(monkeypatch):
    monkeypatch.setitem(FAMILIES, 'siglip', replace(FAMILIES['siglip'], name='Newer'))
    with pytest.raises(ImportError, match="no Newer(Config|Model) for an encoder with model_type='siglip'"):
        CLIPBackbone(config=dict(model_type='siglip'))


def test_positions_of_a_half_precision_folder_are_interpolated_in_single_precision(tmp_path):
    clip = CLIPBackbone(config=small_encoder('clip')).clip
    clip.half().save_pretrained(tmp_path / 'half')
    clip.float().save_pretrained(tmp_path / 'single')
    half, single = (
        CLIPBackbone(pretrained=str(tmp_path / name), image_size=64, text_length=36).clip.state_dict()
        for name in ('half', 'single')
    )
    assert all(torch.equal(half[key], single[key]) for key in single)
