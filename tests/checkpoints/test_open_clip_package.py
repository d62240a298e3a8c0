"""Converted models against open_clip's own package, with the same random weights."""

import json

import pytest
import torch
from safetensors.torch import load_file

from mmclip4clip.checkpoints import convert
from mmclip4clip.checkpoints.open_clip import timm_towers
from mmclip4clip.models import CLIPBackbone

from .conftest import identical

open_clip = pytest.importorskip('open_clip', reason='open_clip_torch is not installed')
timm = pytest.importorskip('timm', reason='timm is not installed')

TEXT = dict(context_length=16, vocab_size=99, width=32, heads=2, layers=2)
VISION = dict(image_size=32, patch_size=16, layers=2, width=64)
TANH, EPS = dict(act_kwargs=dict(approximate='tanh')), dict(norm_kwargs=dict(eps=1e-6))
TOWER = 'vit_small_patch16_siglip_32'
SIGLIP = dict(
    embed_dim=64,
    init_logit_bias=-10,
    custom_text=True,
    vision_cfg=dict(image_size=32, timm_model_name=TOWER, timm_pool='map', timm_proj='none'),
    text_cfg=dict(TEXT, no_causal_mask=True, proj_bias=True, pool_type='last', **EPS),
)
MODELS = dict(
    base=dict(embed_dim=24, vision_cfg=dict(VISION, head_width=32), text_cfg=TEXT),
    quick_gelu=dict(embed_dim=24, quick_gelu=True, vision_cfg=dict(VISION, head_width=32), text_cfg=TEXT),
    huge=dict(embed_dim=24, vision_cfg=dict(VISION, width=160, head_width=80), text_cfg=dict(TEXT, heads=4)),
    tanh=dict(embed_dim=24, vision_cfg=dict(VISION, head_width=16, **TANH), text_cfg=dict(TEXT, **EPS)),
    narrow=dict(embed_dim=24, vision_cfg=dict(VISION, head_width=8, mlp_ratio=2.7), text_cfg=TEXT),
    custom=dict(embed_dim=24, custom_text=True, vision_cfg=dict(VISION, head_width=32), text_cfg=TEXT),
    worldwide=dict(
        embed_dim=24, vision_cfg=dict(VISION, head_width=32), text_cfg=dict(TEXT, pool_type='eos', eos_id=2)
    ),
    nonscalar=dict(
        embed_dim=24, nonscalar_logit_scale=True, vision_cfg=dict(VISION, head_width=32), text_cfg=TEXT
    ),
    siglip=SIGLIP,
    siglip2=dict(SIGLIP, text_cfg=dict(SIGLIP['text_cfg'], **TANH)),
)


@pytest.fixture(autouse=True)
def small_tower(monkeypatch):
    """A small SigLIP tower in timm, and in the table of the converter."""

    def vit_small_patch16_siglip_32(pretrained=False, num_classes=0, global_pool='map', **_):
        return timm.models.VisionTransformer(
            img_size=32,
            patch_size=16,
            embed_dim=64,
            depth=2,
            num_heads=2,
            class_token=False,
            global_pool=global_pool,
            num_classes=num_classes,
        )

    vit_small_patch16_siglip_32.__module__ = __name__
    if not timm.is_model(TOWER):
        timm.models.register_model(vit_small_patch16_siglip_32)
    tower = dict(
        timm_towers.TOWERS['vit_base_patch16_siglip_224'],
        hidden_size=64,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
    )
    monkeypatch.setitem(timm_towers.TOWERS, TOWER, tower)


@pytest.fixture(params=MODELS)
def model(request, tmp_path):
    """A model of open_clip with weights that are not tiny, and a folder as open_clip saves it."""
    config = json.loads(json.dumps(MODELS[request.param]))
    build = open_clip.CustomTextCLIP if config.get('custom_text') else open_clip.CLIP
    arguments = {key: value for key, value in config.items() if key != 'custom_text'}
    model = build(**arguments).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    (tmp_path / 'source').mkdir()
    preprocess = dict(
        mean=[0.5, 0.4, 0.3], std=[0.5, 0.5, 0.5], interpolation='bicubic', resize_mode='squash'
    )
    content = dict(model_cfg=MODELS[request.param], preprocess_cfg=preprocess)
    (tmp_path / 'source/open_clip_config.json').write_text(json.dumps(content))
    torch.save(model.state_dict(), tmp_path / 'source/open_clip_pytorch_model.bin')
    return model


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    """Frames, and full captions that end with token 98, the highest, or have 2 once."""
    tokens = torch.randint(3, 90, (3, 16))
    tokens[:, -1] = 98
    return torch.randn(2, 3, 32, 32), tokens


@torch.no_grad()
def features(model, backbone, frames, tokens) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Pairs of open_clip's features and those of a backbone."""
    mask = torch.ones(len(frames), 1)
    return [
        (model.encode_image(frames), backbone.encode_frames(frames[:, None], mask)[:, 0]),
        (model.encode_text(tokens), backbone.encode_text(tokens, torch.ones_like(tokens))),
    ]


@torch.no_grad()
def test_features_equal_those_of_open_clip(model, tmp_path):
    convert(tmp_path / 'source', tmp_path / 'folder')
    backbone = CLIPBackbone(pretrained=str(tmp_path / 'folder')).eval()
    frames, tokens = inputs()
    if backbone.family.model_type == 'metaclip_2':
        tokens[:, -1] = 2
    for expected, found in features(model, backbone, frames, tokens):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert backbone.frame_format.keep_ratio is False and backbone.frame_format.mean[0] == 127.5
    assert torch.equal(backbone.logit_scale.flatten(), model.logit_scale.flatten())


@torch.no_grad()
def test_the_way_back_is_identical_and_open_clip_loads_it(model, tmp_path):
    convert(tmp_path / 'source', tmp_path / 'native.pth')
    convert(tmp_path / 'native.pth', tmp_path / 'back', to='open_clip')
    weights = load_file(tmp_path / 'back/open_clip_model.safetensors')
    assert identical(weights, dict(model.state_dict()))
    other, _, preprocess = open_clip.create_model_and_transforms(f'local-dir:{tmp_path / "back"}')
    frames, tokens = inputs()
    assert torch.equal(other.eval().encode_image(frames), model.encode_image(frames))
    assert torch.equal(other.encode_text(tokens), model.encode_text(tokens))
    assert other.visual.preprocess_cfg['resize_mode'] == 'squash'
    assert list(other.visual.image_mean) == [0.5, 0.4, 0.3]
    convert(tmp_path / 'back', tmp_path / 'again.pth')
    ways = [torch.load(tmp_path / name, weights_only=True) for name in ('native.pth', 'again.pth')]
    assert identical(*(way['state_dict'] for way in ways))
    assert ways[0]['meta'] == ways[1]['meta']


@pytest.mark.parametrize('name', sorted(timm_towers.TOWERS))
def test_the_table_of_towers_is_that_of_timm(name):
    with torch.device('meta'):
        trunk = timm.create_model(name, num_classes=0)
    expected = timm_towers.TOWERS[name]
    block = trunk.blocks[0]
    activation = torch.nn.functional.gelu(
        torch.ones(1), approximate='tanh' if expected['hidden_act'] == 'gelu_pytorch_tanh' else 'none'
    )
    assert torch.equal(block.mlp.act(torch.ones(1)), activation)
    assert torch.equal(trunk.attn_pool.mlp.act(torch.ones(1)), activation)
    found = dict(
        hidden_size=trunk.embed_dim,
        intermediate_size=block.mlp.fc1.out_features,
        num_hidden_layers=len(trunk.blocks),
        num_attention_heads=block.attn.num_heads,
        layer_norm_eps=block.norm1.eps,
        image_size=trunk.patch_embed.img_size[0],
        patch_size=trunk.patch_embed.patch_size[0],
    )
    assert found.items() <= expected.items() and trunk.attn_pool.num_heads == found['num_attention_heads']
