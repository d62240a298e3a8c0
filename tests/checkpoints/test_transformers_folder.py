import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPConfig, CLIPModel

from mmclip4clip.checkpoints import convert, read
from mmclip4clip.models import CLIPBackbone

from . import plain
from .conftest import identical


@pytest.fixture
def folder(tiny_clip, tmp_path):
    """A folder that transformers wrote: width 32, two heads a tower."""
    CLIPModel(CLIPConfig(**tiny_clip)).save_pretrained(tmp_path / 'source')
    return tmp_path / 'source'


def test_transformers_loads_every_key_and_gives_what_openais_tensors_give(saved, tmp_path, batch, close):
    weights = plain.halve(plain.draw_published())
    convert(saved(weights), tmp_path / 'clip')
    model, info = CLIPModel.from_pretrained(tmp_path / 'clip', output_loading_info=True)
    assert not any(info.values()), info
    w = {key: value.double() for key, value in weights.items()}
    frames, _, tokens, text_mask = batch
    with torch.no_grad():  # its own pooling, at the end token that the config names
        out = model(input_ids=tokens, pixel_values=frames[0])
    text = torch.stack([plain.encode_text(w, caption) for caption in tokens])
    assert close(out.text_embeds, torch.nn.functional.normalize(text, dim=1))
    images = torch.stack([plain.encode_frames(w, frame[None].double())[0] for frame in frames[0]])
    assert close(out.image_embeds, torch.nn.functional.normalize(images, dim=1))
    with torch.no_grad():
        assert close(CLIPBackbone(pretrained=str(tmp_path / 'clip')).encode_text(tokens, text_mask), text)


def test_clips_own_vocabulary_gets_clips_own_tokens(saved, tmp_path):
    weights = plain.draw_published() | dict(vocab_size=torch.tensor(49408))
    weights['token_embedding.weight'] = torch.zeros(49408, plain.TEXT)
    convert(saved(weights), tmp_path / 'clip')
    config = CLIPConfig.from_pretrained(tmp_path / 'clip')  # transformers 4 writes no defaults
    text = config.text_config
    assert (text.bos_token_id, text.eos_token_id, text.num_attention_heads) == (49406, 49407, 2)
    assert config.vision_config.num_attention_heads == 3
    assert config.projection_dim == text.projection_dim == plain.D


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16])
@pytest.mark.parametrize('shards', [1, 2])
def test_there_and_back_gives_identical_tensors_and_config(folder, tmp_path, dtype, shards):
    model = CLIPModel.from_pretrained(folder).to(dtype)
    setting = 'dtype' if hasattr(model.config, 'dtype') else 'torch_dtype'  # as before transformers 4.56
    setattr(model.config, setting, dtype)
    model.save_pretrained(folder, max_shard_size='100KB' if shards == 2 else '1GB')
    if shards == 2:
        (folder / 'model.safetensors').unlink()
        assert len(list(folder.glob('model-*'))) > 1
    convert(folder, tmp_path / 'native.pth')
    convert(tmp_path / 'native.pth', tmp_path / 'back')
    assert identical(load_file(tmp_path / 'back/model.safetensors'), model.state_dict())
    source, native = (CLIPConfig.from_pretrained(path) for path in (folder, tmp_path / 'back'))
    for key in ('hidden_act', 'layer_norm_eps', 'num_attention_heads', 'eos_token_id', 'hidden_size'):
        assert getattr(source.text_config, key) == getattr(native.text_config, key)
    assert getattr(source, setting) == getattr(native, setting) == dtype


def test_tensors_of_two_types_keep_them_and_are_loaded_as_the_wider(folder, tmp_path):
    # safetensors 0.4.3 maps the file, which is written again below.
    weights = {key: value.clone() for key, value in load_file(folder / 'model.safetensors').items()}
    weights['text_projection.weight'] = weights['text_projection.weight'].half()
    save_file(weights, folder / 'model.safetensors', metadata=dict(format='pt'))
    convert(folder, tmp_path / 'native.pth')
    convert(tmp_path / 'native.pth', tmp_path / 'back')
    assert identical(load_file(tmp_path / 'back/model.safetensors'), weights)
    config = json.loads((tmp_path / 'back/config.json').read_text())
    assert config.get('dtype', config.get('torch_dtype')) == 'float32'


def test_old_folders_are_read(folder, build):
    weights = load_file(folder / 'model.safetensors')
    weights['text_model.embeddings.position_ids'] = torch.arange(24)[None]
    torch.save(weights, folder / 'pytorch_model.bin')
    (folder / 'model.safetensors').unlink()
    checkpoint = read(folder)[1]
    assert checkpoint.notes == ['left out position_ids, which only count 0, 1, 2, ...']
    for key, value in build(checkpoint).backbone.clip.state_dict().items():
        assert torch.equal(value, weights[key])


@pytest.mark.parametrize(
    'patch, message',
    [
        ('2d', 'cannot represent SeqLSTMAdapter with a 2d patch'),
        ('3d', 'cannot represent SeqLSTMAdapter with a 3d patch'),
    ],
)
def test_the_adapter_and_the_3d_patch_are_left_out_only_when_asked(saved, tmp_path, patch, message):
    weights = plain.draw_reference('seqLSTM', patch)
    with pytest.raises(ValueError, match=message):
        convert(saved(weights), tmp_path / 'clip')
    assert not list(tmp_path.glob('*clip*'))
    notes = convert(saved(weights), tmp_path / 'clip', clip_only=True).checkpoint.notes
    assert notes[0] == 'left out SeqLSTMAdapter, 4 tensors'
    conv1, conv2 = (weights.get(f'clip.visual.{conv}.weight') for conv in ('conv1', 'conv2'))
    assert ('left out the first and the last frame of the 3d patch' in notes) == (patch == '3d')
    out = load_file(tmp_path / 'clip/model.safetensors')['vision_model.embeddings.patch_embedding.weight']
    assert torch.equal(out, conv1.float() if patch == '2d' else conv2[:, :, 1].float())


def test_a_config_that_contradicts_the_weights_is_refused(folder):
    config = json.loads((folder / 'config.json').read_text())
    config['vision_config']['patch_size'] = 16
    (folder / 'config.json').write_text(json.dumps(config))
    with pytest.raises(ValueError, match='the config says vision_config.patch_size=16, the weights 32'):
        read(folder)


def test_what_is_no_clip_folder_is_named(folder):
    weights = load_file(folder / 'model.safetensors')
    save_file({k: v for k, v in weights.items() if 'vision' not in k}, folder / 'model.safetensors')
    with pytest.raises(ValueError, match='source does not have the keys of its kind; .* vision_model'):
        read(folder)
    (folder / 'model.safetensors').write_bytes(b'broken')
    with pytest.raises(ValueError, match='model.safetensors is broken'):
        read(folder)
    (folder / 'model.safetensors').unlink()
    with pytest.raises(ValueError, match='neither model.safetensors nor pytorch_model.bin, but config.json'):
        read(folder)
    (folder / 'config.json').write_text('{"model_type": "blip"}')
    with pytest.raises(ValueError, match="model_type='blip', expected clip or"):
        read(folder)
    (folder / 'config.json').unlink()
    with pytest.raises(ValueError, match='source has no config.json'):
        read(folder)


@pytest.mark.parametrize('eos', [2, 59])
@pytest.mark.parametrize('side', [16, 24])
@torch.no_grad()
def test_a_clip_like_those_of_laion_and_datacomp_keeps_its_settings_and_features(tmp_path, eos, side):
    """GELU, heads of an odd width, a size of its own; 2 means the highest token in transformers."""
    tower = dict(num_hidden_layers=2, hidden_act='gelu')
    text = dict(tower, hidden_size=64, intermediate_size=192, num_attention_heads=4, vocab_size=60)
    text |= dict(max_position_embeddings=12, bos_token_id=58, eos_token_id=eos, pad_token_id=1)
    vision = dict(tower, hidden_size=160, intermediate_size=400, num_attention_heads=2)
    vision |= dict(image_size=side, patch_size=8)
    source = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)).eval()
    for parameter in source.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    source.save_pretrained(tmp_path / 'source')
    processor = dict(crop_size=side, size=side, image_mean=[0.5] * 3, image_std=[0.25] * 3, resample=3)
    (tmp_path / 'source/preprocessor_config.json').write_text(json.dumps(processor))
    done = convert(tmp_path / 'source', tmp_path / 'native.pth')
    assert f'at {side} pixels; vision 2 x 160 with 2 heads and gelu; text 2 x 64 with 4 heads' in done.found
    convert(tmp_path / 'native.pth', tmp_path / 'back')
    assert identical(load_file(tmp_path / 'back/model.safetensors'), source.state_dict())
    model = CLIPModel.from_pretrained(tmp_path / 'back').eval()
    assert model.config.text_config.eos_token_id == eos and model.config.text_config.hidden_act == 'gelu'
    frames, tokens = torch.randn(2, 3, side, side), torch.randint(3, 50, (3, 12))
    tokens[:, -1] = 59
    inputs = dict(input_ids=tokens, pixel_values=frames)
    assert torch.equal(model(**inputs).text_embeds, source(**inputs).text_embeds)
    backbone = CLIPBackbone(pretrained=str(tmp_path / 'back')).eval()
    assert backbone.frame_format.std == (63.75,) * 3 and backbone.frame_format.size == side
    found = (
        backbone.encode_text(tokens, torch.ones_like(tokens)),
        backbone.encode_frames(frames[None], torch.ones(1, 2)),
    )
    expected = model(**inputs)
    for features, embeds in zip(found, (expected.text_embeds, expected.image_embeds[None])):
        unit = torch.nn.functional.normalize(features, dim=-1)
        torch.testing.assert_close(unit, embeds, atol=1e-5, rtol=1e-5)
    convert(tmp_path / 'native.pth', tmp_path / 'open_clip', to='open_clip')
    with pytest.raises(ValueError, match='the reference cannot represent this model: .*hidden_act is gelu'):
        convert(tmp_path / 'native.pth', tmp_path / 'x.bin')
