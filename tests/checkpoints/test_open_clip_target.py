"""Files that are written for open_clip, against a forward pass on its keys."""

import json

import pytest
import torch
import transformers
from safetensors.torch import load_file
from transformers import CLIPConfig, CLIPModel

from mmclip4clip.checkpoints import convert, usage
from mmclip4clip.models import CLIPBackbone

from . import plain
from .conftest import identical
from .test_families import save_encoder, trained
from .test_open_clip import CONFIG, HEAD_WIDTH, OPTIONS


def huge_folder(folder, **text):
    """A CLIP like ViT-H/14 of LAION: heads of an odd width and GELU."""
    tower = dict(num_hidden_layers=2, hidden_act='gelu')
    text = dict(vocab_size=60, max_position_embeddings=12, bos_token_id=58, eos_token_id=59) | text
    text |= dict(tower, hidden_size=128, intermediate_size=512, num_attention_heads=4)
    sizes = dict(hidden_size=160, intermediate_size=431, num_attention_heads=2, image_size=16, patch_size=8)
    clip = CLIPModel(
        CLIPConfig(text_config=text, vision_config=dict(tower, **sizes), projection_dim=24)
    ).eval()
    for parameter in clip.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    clip.save_pretrained(folder)
    return clip


@pytest.mark.parametrize('eos', [2, 59, 1])
@torch.no_grad()
def test_a_clip_of_transformers_gives_its_features_on_open_clips_keys(
    tmp_path, batch, close, monkeypatch, eos
):
    clip = huge_folder(tmp_path / 'source', eos_token_id=eos)
    convert(tmp_path / 'source', tmp_path / 'back', to='open_clip')
    model = json.loads((tmp_path / 'back/open_clip_config.json').read_text())['model_cfg']
    vision, text = model['vision_cfg'], model['text_cfg']
    assert not model['quick_gelu'] and (vision['head_width'], text['heads']) == (80, 4)
    assert int(vision['width'] * vision['mlp_ratio']) == 431 and model['embed_dim'] == 24
    assert (text.get('pool_type'), text.get('eos_id')) == (('eos', 1) if eos == 1 else (None, None))
    w = {k: v.double() for k, v in load_file(tmp_path / 'back/open_clip_model.safetensors').items()}
    monkeypatch.setattr(plain, 'quick_gelu', torch.nn.functional.gelu)
    frames, _, tokens, _ = batch
    found = clip.visual_projection(clip.vision_model(frames[0]).pooler_output)
    assert close(found, plain.encode_frames(w, frames[0].double(), heads=2))
    if eos != 1:
        found = clip.text_projection(clip.text_model(tokens).pooler_output)
        assert close(found, torch.stack([plain.encode_text(w, caption, heads=4) for caption in tokens]))
    convert(tmp_path / 'back', tmp_path / 'again')
    assert identical(*(load_file(tmp_path / name / 'model.safetensors') for name in ('source', 'again')))


@pytest.mark.parametrize('custom', [False, True])
@pytest.mark.parametrize('half', [False, True])
def test_there_and_back_gives_identical_tensors(tmp_path, half, custom):
    weights = plain.halve(plain.draw_openai()) if half else plain.draw_openai()
    if custom:
        weights = {k if k.startswith(('visual.', 'logit')) else f'text.{k}': v for k, v in weights.items()}
    torch.save(weights, tmp_path / 'open_clip_pytorch_model.bin')
    config = CONFIG | dict(custom_text=custom)
    (tmp_path / 'open_clip_config.json').write_text(json.dumps(dict(model_cfg=config)))
    done = convert(tmp_path / 'open_clip_pytorch_model.bin', tmp_path / 'native.pth')
    assert 'vision 2 x 192 with 2 heads and gelu' in done.found
    done = convert(tmp_path / 'native.pth', tmp_path / 'back', to='open_clip')
    assert identical(load_file(tmp_path / 'back/open_clip_model.safetensors'), weights)
    model = json.loads((tmp_path / 'back/open_clip_config.json').read_text())['model_cfg']
    assert model['vision_cfg']['head_width'] == HEAD_WIDTH and model.get('custom_text', False) is custom
    path = tmp_path / 'back'
    assert usage(done.checkpoint, 'open_clip', path).endswith(f"transforms('local-dir:{path}')")


def test_a_clip_with_a_text_module_needs_heads_and_activation_too(saved, tmp_path):
    weights = {
        k if k.startswith(('visual.', 'logit')) else f'text.{k}': v for k, v in plain.draw_openai().items()
    }
    with pytest.raises(ValueError, match='Nothing specifies the attention heads of the text tower'):
        convert(saved(weights), tmp_path / 'clip')
    convert(saved(weights), tmp_path / 'clip', **OPTIONS)
    assert CLIPConfig.from_pretrained(tmp_path / 'clip').vision_config.num_attention_heads == 2


@pytest.mark.parametrize('kind', ['chinese_clip', 'altclip', 'siglip2'])
def test_families_that_open_clip_has_not_are_refused(kind, tmp_path):
    save_encoder(kind, tmp_path / 'source')
    with pytest.raises(ValueError, match=f"model_type='{kind}'\\), only CLIP, MetaCLIP 2, SigLIP: --to tran"):
        convert(tmp_path / 'source', tmp_path / 'back', to='open_clip')
    assert not (tmp_path / 'back').exists()


@pytest.mark.skipif(not hasattr(transformers, 'MetaClip2Model'), reason='this transformers has no MetaCLIP 2')
def test_metaclip_2_comes_back_as_metaclip_2(tmp_path):
    source = save_encoder('metaclip_2', tmp_path / 'source')
    config = json.loads((source / 'config.json').read_text())
    config['text_config']['eos_token_id'] = 2
    (source / 'config.json').write_text(json.dumps(config))
    convert(source, tmp_path / 'back', to='open_clip')
    done = convert(tmp_path / 'back', tmp_path / 'again')
    assert done.checkpoint.family.model_type == 'metaclip_2'
    assert identical(*(load_file(tmp_path / name / 'model.safetensors') for name in ('source', 'again')))
    assert CLIPBackbone(pretrained=str(tmp_path / 'again')).frame_format.mean[0] == 25.5
    assert {path.name for path in (tmp_path / 'back').iterdir()} >= {'tokenizer.json'}


def test_adapters_and_other_activations_are_refused(tmp_path):
    trained('clip', tmp_path / 'epoch_1.pth', patch='3d', type='SeqLSTMAdapter', width=16)
    with pytest.raises(
        ValueError, match='cannot represent SeqLSTMAdapter with a 3d patch: --clip-only leaves'
    ):
        convert(tmp_path / 'epoch_1.pth', tmp_path / 'back', to='open_clip')
    convert(tmp_path / 'epoch_1.pth', tmp_path / 'back', to='open_clip', clip_only=True)
    config = json.loads((tmp_path / 'back/open_clip_config.json').read_text())
    assert config['model_cfg']['quick_gelu'] and config['preprocess_cfg']['resize_mode'] == 'shortest'
    huge_folder(tmp_path / 'source')
    content = json.loads((tmp_path / 'source/config.json').read_text())
    content['vision_config']['hidden_act'] = 'quick_gelu'
    (tmp_path / 'source/config.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match='cannot represent the activations gelu and quick_gelu of this CLIP'):
        convert(tmp_path / 'source', tmp_path / 'other', to='open_clip')


def test_a_config_that_is_there_is_replaced_only_when_asked(saved, tmp_path):
    (tmp_path / 'open_clip_config.json').write_text('precious')
    src = saved(plain.draw_published())
    with pytest.raises(FileExistsError, match='open_clip_config.json exists: --force'):
        convert(src, tmp_path / 'weights.bin', to='open_clip')
    assert not (tmp_path / 'weights.bin').exists()
    convert(src, tmp_path / 'weights.bin', to='open_clip', force=True)
    assert 'model_cfg' in (tmp_path / 'open_clip_config.json').read_text()
