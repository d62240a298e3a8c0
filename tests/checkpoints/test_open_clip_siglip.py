"""SigLIP of open_clip both ways, against a forward pass on its tensors."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from mmclip4clip.checkpoints import convert
from mmclip4clip.checkpoints.open_clip import files, timm_towers
from mmclip4clip.models import CLIPBackbone
from mmclip4clip.models.backbones import pretrained

from . import plain, plain_siglip
from .conftest import identical

TOWER = 'vit_small_patch8_siglip_16'
CONFIG = dict(
    embed_dim=plain_siglip.WIDE,
    init_logit_bias=-10,
    custom_text=True,
    vision_cfg=dict(image_size=16, timm_model_name=TOWER, timm_pool='map', timm_proj='none'),
    text_cfg=dict(
        context_length=plain.WORDS,
        vocab_size=plain.VOCAB,
        hf_tokenizer_name='timm/some-SigLIP',
        tokenizer_kwargs=dict(clean='canonicalize'),
        width=plain_siglip.WIDTH,
        heads=plain_siglip.HEADS,
        layers=2,
        no_causal_mask=True,
        proj_bias=True,
        pool_type='last',
        norm_kwargs=dict(eps=1e-6),
    ),
)
PREPROCESS = dict(mean=[0.5] * 3, std=[0.5] * 3, interpolation='bicubic', resize_mode='squash')


@pytest.fixture(autouse=True)
def small_tower(monkeypatch):
    tower = dict(
        timm_towers.TOWERS['vit_base_patch16_siglip_224'],
        hidden_size=plain_siglip.WIDE,
        intermediate_size=4 * plain_siglip.WIDE,
        num_hidden_layers=2,
        num_attention_heads=plain_siglip.HEADS,
        image_size=plain_siglip.SIDE,
        patch_size=plain_siglip.PATCH,
    )
    monkeypatch.setitem(timm_towers.TOWERS, TOWER, tower)


@pytest.fixture
def source(tmp_path):
    """Write a file of open_clip and a config beside it."""

    def source(weights, name='open_clip_model.safetensors', **changes):
        folder = tmp_path / 'source'
        folder.mkdir(exist_ok=True)
        content = dict(model_cfg=CONFIG | changes, preprocess_cfg=PREPROCESS)
        (folder / 'open_clip_config.json').write_text(json.dumps(content))
        (save_file if name.endswith('safetensors') else torch.save)(weights, folder / name)
        return folder

    return source


@pytest.mark.parametrize('tanh', [False, True])
@torch.no_grad()
def test_both_towers_give_what_open_clips_tensors_give(source, tmp_path, close, monkeypatch, tanh):
    weights = plain_siglip.draw_siglip()
    text = CONFIG['text_cfg'] | (dict(act_kwargs=dict(approximate='tanh')) if tanh else {})
    convert(source(weights, text_cfg=text), tmp_path / 'clip')
    backbone = CLIPBackbone(pretrained=str(tmp_path / 'clip')).eval()
    w = {key: value.double() for key, value in weights.items()}
    monkeypatch.setattr(plain, 'quick_gelu', lambda x: F.gelu(x, approximate='tanh' if tanh else 'none'))
    frames = torch.randn(1, 3, 3, 16, 16)
    for frame, features in zip(frames[0], backbone.encode_frames(frames, torch.ones(1, 3))[0]):
        assert close(features, plain_siglip.encode_frame(w, frame.double()))
    tokens = torch.randint(2, 60, (2, plain.WORDS))
    tokens[1, 5:] = 1  # SigLIP's tokenizer pads with 1
    for caption, features in zip(tokens, backbone.encode_text(tokens, (tokens != 1).long())):
        assert close(features, plain_siglip.encode_text(w, caption))
    assert backbone.clip.logit_bias.item() == -9.5
    assert backbone.frame_format.keep_ratio is False and backbone.frame_format.size == 16


@pytest.mark.parametrize('half', [False, True])
@pytest.mark.parametrize('name', ['open_clip_model.safetensors', 'open_clip_pytorch_model.bin'])
def test_there_and_back_gives_identical_tensors_and_config(source, tmp_path, half, name):
    weights = plain_siglip.draw_siglip()
    weights = {k: v.half() if half and v.ndim > 1 else v for k, v in weights.items()}
    convert(source(weights, name), tmp_path / 'native.pth')
    done = convert(tmp_path / 'native.pth', tmp_path / 'back', to='open_clip')
    assert identical(load_file(tmp_path / 'back/open_clip_model.safetensors'), weights)
    content = json.loads((tmp_path / 'back/open_clip_config.json').read_text())
    assert content['preprocess_cfg'] == PREPROCESS and not done.checkpoint.notes
    model = dict(content['model_cfg'])
    assert model.pop('vision_cfg') == CONFIG['vision_cfg'] | dict(timm_model_pretrained=False)
    assert model.pop('text_cfg') == CONFIG['text_cfg'] | dict(mlp_ratio=4.0)
    assert model.items() <= CONFIG.items()
    convert(tmp_path / 'native.pth', tmp_path / 'weights.bin', to='open_clip')
    assert identical(torch.load(tmp_path / 'weights.bin', weights_only=True), weights)
    assert json.loads((tmp_path / 'open_clip_config.json').read_text()) == content


@pytest.mark.parametrize('name', ['open_clip_model.safetensors', 'open_clip_pytorch_model.bin'])
def test_a_name_on_the_hub_is_downloaded_and_read(source, tmp_path, monkeypatch, name):
    folder = source(plain_siglip.draw_siglip(), name)
    asked = []

    def snapshot(repository, allow_patterns, local_files_only=False):
        asked.append(repository)
        return str(folder)

    for module in (files, pretrained):
        monkeypatch.setattr(module, 'snapshot_download', snapshot)
    monkeypatch.setattr('mmclip4clip.hub.hub_answers', lambda: True)
    done = convert(Path('timm/some-SigLIP'), tmp_path / 'native.pth')
    assert done.checkpoint.family.model_type == 'siglip' and set(asked) == {'timm/some-SigLIP'}
    (folder / name).unlink()
    with pytest.raises(
        FileNotFoundError, match='has neither config.json, nor open_clip_config.json with open'
    ):
        convert(Path('timm/some-SigLIP'), tmp_path / 'other.pth')


def test_heads_and_activation_are_asked_for(source, tmp_path):
    folder = source(plain_siglip.draw_siglip())
    (folder / 'open_clip_config.json').rename(tmp_path / 'config.json')
    weights = folder / 'open_clip_model.safetensors'
    with pytest.raises(ValueError, match='is a SigLIP of open_clip, whose heads .* with --model-config'):
        convert(weights, tmp_path / 'clip')
    convert(weights, tmp_path / 'clip', model_config=tmp_path / 'config.json')
    assert (tmp_path / 'clip/config.json').is_file()


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(vision_cfg=CONFIG['vision_cfg'] | dict(timm_model_name='resnet50')), "name='resnet50'"),
        (dict(vision_cfg=CONFIG['vision_cfg'] | dict(timm_pool='avg')), "has vision_cfg.timm_pool='avg'"),
        (dict(vision_cfg=CONFIG['vision_cfg'] | dict(image_size=32)), 'image_size=32 is not that of its'),
        (dict(text_cfg=CONFIG['text_cfg'] | dict(no_causal_mask=False)), 'text_cfg.no_causal_mask=False'),
        (dict(text_cfg=CONFIG['text_cfg'] | dict(pool_type='first')), "has text_cfg.pool_type='first'"),
        (dict(text_cfg=CONFIG['text_cfg'] | dict(proj_type='none')), "has text_cfg.proj_type='none'"),
        (dict(text_cfg=CONFIG['text_cfg'] | dict(layers=3)), 'config.json: .* do not match each other'),
        (dict(embed_dim=32), 'config.json: the towers of Siglip have features of width 64'),
    ],
)
def test_a_config_of_another_model_is_refused(source, tmp_path, changes, message):
    folder = source(plain_siglip.draw_siglip(), **changes)
    with pytest.raises(ValueError, match=message):
        convert(folder, tmp_path / 'x.pth')


def test_missing_and_unknown_keys_are_named(source, tmp_path):
    weights = plain_siglip.draw_siglip()
    del weights['visual.trunk.attn_pool.q.bias']
    folder = source(weights | {'visual.trunk.head.weight': torch.zeros(1)})
    with pytest.raises(ValueError, match='missing key: visual.trunk.attn_pool.qkv.bias; .*trunk.head.weight'):
        convert(folder, tmp_path / 'x.pth')


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(hidden_size=48, intermediate_size=192), 'timm, which has none with hidden_size=48'),
        (dict(hidden_act='gelu_pytorch_tanh'), 'with the activation gelu instead of gelu_pytorch_tanh'),
    ],
)
def test_a_tower_that_timm_has_not_is_refused_and_another_activation_noted(tmp_path, change, message):
    tower = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)
    vision = timm_towers.TOWERS[TOWER] | change
    text = dict(tower, vocab_size=99, projection_size=vision['hidden_size'])
    config = dict(model_type='siglip', text_config=text, vision_config=vision)
    CLIPBackbone(config=config).clip.save_pretrained(tmp_path / 'clip')
    if 'hidden_act' in change:
        notes = convert(tmp_path / 'clip', tmp_path / 'back', to='open_clip').checkpoint.notes
        assert any(message in note for note in notes)
        return
    with pytest.raises(ValueError, match=message):
        convert(tmp_path / 'clip', tmp_path / 'back', to='open_clip')
    assert not (tmp_path / 'back').exists()
