import json

import pytest
import torch
from transformers import CLIPConfig

from mmclip4clip.checkpoints.clip_settings import clip_differences, clip_settings, known_settings
from mmclip4clip.models import CLIPBackbone

from ..encoders import KINDS, small_encoder


def test_the_settings_make_the_same_clip_again(tiny_clip):
    tiny_clip['text_config'].update(hidden_act='gelu', layer_norm_eps=1e-6)
    settings = clip_settings(CLIPConfig(**tiny_clip))
    assert json.loads(json.dumps(settings)) == settings
    assert clip_settings(CLIPConfig(**settings)) == settings == known_settings(settings, 'x')
    towers = ('text_config', 'vision_config')
    assert [settings[tower]['hidden_act'] for tower in towers] == ['gelu', 'quick_gelu']
    assert settings['vision_config']['num_attention_heads'] == 2 and settings['projection_dim'] == 32


def test_what_gives_other_features_is_named(tiny_clip):
    saved = clip_settings(CLIPConfig(**tiny_clip))
    tiny_clip['text_config'].update(hidden_act='gelu', eos_token_id=5)
    tiny_clip['vision_config'].update(num_attention_heads=4)
    assert clip_differences(saved, clip_settings(CLIPConfig(**tiny_clip))) == [
        'text_config.hidden_act: quick_gelu -> gelu',
        'vision_config.num_attention_heads: 2 -> 4',
    ]


@pytest.mark.parametrize(
    'change',
    [dict(projection_dim='32'), dict(text_config={}), dict(vision_config=None), dict(projection_dim=[32])],
)
def test_settings_of_another_kind_are_refused(tiny_clip, change):
    settings = clip_settings(CLIPConfig(**tiny_clip))
    with pytest.raises(ValueError, match='c.pth has a clip_config that describes no CLIP'):
        known_settings(dict(settings, **change), 'c.pth')


def test_a_file_cannot_ask_for_more(tiny_clip):
    settings = clip_settings(CLIPConfig(**tiny_clip))
    more = dict(settings, auto_map=dict(AutoModel='code.Mine'), attn_implementation='somebody/kernel')
    more['text_config'] = dict(more['text_config'], attn_implementation='somebody/kernel')
    assert known_settings(more, 'c.pth') == settings


@pytest.mark.parametrize('kind', KINDS)
def test_the_settings_of_each_family_make_the_same_encoder_again(kind):
    config = small_encoder(kind)
    clip = CLIPBackbone(config=config).clip
    settings = known_settings(json.loads(json.dumps(clip_settings(clip.config))), 'c.pth')
    again = CLIPBackbone(config=settings).clip
    again.load_state_dict(clip.state_dict())
    assert clip_settings(again.config) == settings
    assert clip_differences(settings, clip_settings(clip.config)) == []
    frames, mask = torch.randn(1, 1, 3, 32, 32), torch.ones(1, 1)
    first, second = (CLIPBackbone(config=settings).eval() for _ in range(2))
    second.load_state_dict(first.state_dict())
    with torch.no_grad():
        assert torch.equal(first.encode_frames(frames, mask), second.encode_frames(frames, mask))


def test_another_family_is_a_difference():
    siglip, clip = (CLIPBackbone(config=small_encoder(kind)).clip.config for kind in ('siglip', 'clip'))
    assert 'model_type: siglip -> clip' in clip_differences(clip_settings(siglip), clip_settings(clip))


@pytest.mark.parametrize(
    'change', [dict(model_type='blip'), dict(model_type=3), dict(vision_config=dict(vision_use_head='yes'))]
)
def test_settings_of_no_family_are_refused(change):
    settings = clip_settings(CLIPBackbone(config=small_encoder('siglip')).clip.config)
    vision = dict(settings['vision_config'], **change.pop('vision_config', {}))
    with pytest.raises(ValueError, match='c.pth has a clip_config that describes no CLIP'):
        known_settings(dict(settings, vision_config=vision, **change), 'c.pth')
