"""What models are loaded from: checkpoints alone or with a config, dual encoders, names of configs."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope
from transformers import CLIPModel

import mmclip4clip
from mmclip4clip.apis import find_preset, list_presets
from mmclip4clip.checkpoints import convert
from mmclip4clip.models import MeanAdapter
from mmclip4clip.tokenizers import train_tokenizer

from ..encoders import save_encoder
from ..extras import needs_peft

ROOT = Path(__file__).parents[2]
MSRVTT = 'clip4clip_vit-base-p32-res224-clip-pre_8xb16-u12-5e_msrvtt-9k-rgb'
TINY = 'clip4clip_vit-tiny-p16-res64_1xb64-f4-8e_moving-shapes-rgb'


def saved(tested) -> dict:
    return torch.load(tested.path, weights_only=True)


def test_a_checkpoint_needs_neither_its_config_nor_its_tokenizer(tested, tmp_path, monkeypatch):
    expected = mmclip4clip.load(tested.path, device='cpu')
    content = saved(tested)
    folder = tested.cfg.model.tokenizer
    content['meta']['cfg'] = content['meta']['cfg'].replace(folder, 'tokenizer')
    model = dict(tested.cfg.model.to_dict(), backbone=dict(type='CLIPBackbone', pretrained='gone'))
    content['meta']['cfg'] += f'\nmodel = {dict(model, tokenizer="tokenizer")!r}\n'
    for packed in content['meta']['mmclip4clip']['tokenizers'].values():
        packed['name'] = 'tokenizer'
    torch.save(content, tmp_path / 'alone.pth')
    monkeypatch.chdir(tmp_path)
    train_tokenizer(['my dog eats much food'] * 3, 'tokenizer')  # another one of this name
    for _ in range(2):
        model = mmclip4clip.load('alone.pth', device='cpu')
        assert (model.encode_text('a red circle') == expected.encode_text('a red circle')).all()
        assert model.caption(tested.files[:2]) == expected.caption(tested.files[:2])
        shutil.rmtree('tokenizer', ignore_errors=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs a machine without a GPU')
@pytest.mark.parametrize('device', ['cuda', 'no-such'])
def test_a_device_that_is_not_there_is_an_error_with_its_name(tested, device):
    with pytest.raises(ValueError, match=f"device '{device}' cannot be used"):
        mmclip4clip.load(tested.path, device=device)


def test_a_folder_that_now_has_the_name_of_the_encoder_is_not_looked_at(tested, tmp_path, monkeypatch):
    content = saved(tested)
    model = dict(tested.cfg.model.to_dict(), backbone=dict(type='CLIPBackbone', pretrained='encoder'))
    content['meta']['cfg'] += f'\nmodel = {model!r}\n'
    torch.save(content, tmp_path / 'alone.pth')
    monkeypatch.chdir(tmp_path)
    save_encoder(tmp_path / 'encoder', 'siglip', ['a dog'])
    expected = mmclip4clip.load(tested.path, device='cpu').encode_videos(tested.files[:1])
    assert np.array_equal(
        mmclip4clip.load('alone.pth', device='cpu').encode_videos(tested.files[:1]), expected
    )
    with pytest.raises(ValueError, match="model_type='siglip', but the checkpoint"):  # if the config is given
        mmclip4clip.load('alone.pth', dict(tested.cfg.to_dict(), model=model), device='cpu')


@needs_peft
def test_a_merged_checkpoint_is_loaded_alone(tested, tmp_path):
    """Its config is that of the training, with LoRA."""
    content = saved(tested)
    model = tested.cfg.model.to_dict()
    model['backbone'] = dict(model['backbone'], lora=dict(r=2))
    weights = MODELS.build(model).state_dict()
    weights.update({key: torch.rand_like(value) for key, value in weights.items() if 'lora_B' in key})
    content['meta']['cfg'] += f'\nmodel = {model!r}\n'
    torch.save(dict(content, state_dict=weights), tmp_path / 'lora.pth')
    convert(tmp_path / 'lora.pth', tmp_path / 'merged.pth')
    adapted, merged = (mmclip4clip.load(tmp_path / name, device='cpu') for name in ('lora.pth', 'merged.pth'))
    assert not any('lora' in key for key in merged.model.state_dict())
    found, expected = (model.encode_videos(tested.files[:2]) for model in (merged, adapted))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_older_checkpoint_takes_the_config_beside_it(tested, tmp_path):
    expected = mmclip4clip.load(tested.path, device='cpu').encode_videos(tested.files[:2])
    torch.save(dict(state_dict=saved(tested)['state_dict']), tmp_path / 'old.pth')
    with pytest.raises(ValueError, match='old.pth has no config.* as config=FILE'):
        mmclip4clip.load(tmp_path / 'old.pth')
    (tmp_path / 'old.py').write_text(
        '\n'.join(f'{key} = {tested.cfg[key].to_dict()!r}' for key in ('model', 'test_dataloader'))
    )
    for config in (tmp_path / 'old.py', tested.cfg):
        model = mmclip4clip.load(tmp_path / 'old.pth', config=config, device='cpu')
        assert (model.encode_videos(tested.files[:2]) == expected).all()
    with pytest.raises(RuntimeError, match='old.pth does not match the model of this config'):
        mmclip4clip.load(tmp_path / 'old.pth', config=dict(tested.cfg.to_dict(), model=dict(
            tested.cfg.model.to_dict(), adapter=dict(type='MeanAdapter'))))  # fmt: skip
    with pytest.raises(ValueError, match="no config is called 'clip4clip-no'"):
        mmclip4clip.load(tmp_path / 'old.pth', config='clip4clip-no')


@pytest.mark.parametrize('kind', ['clip', 'siglip'])
def test_a_dual_encoder_gives_the_mean_of_its_own_frames(kind, shapes, tested, tmp_path):
    texts = [caption for record in tested.records for caption in record['captions']]
    folder = save_encoder(tmp_path / kind, kind, texts)
    model = mmclip4clip.load(folder, device='cpu')
    assert isinstance(model.model.adapter, MeanAdapter) and model.tokenize.max_words == 32
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    videos = model.encode_videos(frames)
    mean, std = (np.float32(value).reshape(3, 1, 1) for value in model.model.backbone.frame_format[1:3])
    pixels = torch.from_numpy((frames.transpose(0, 3, 1, 2) - mean) / std)
    encoder = model.model.backbone.clip
    with torch.no_grad():
        features = encoder.get_image_features(pixels)
    features = getattr(features, 'pooler_output', features)
    features = torch.nn.functional.normalize(features, dim=-1).mean(dim=0)
    np.testing.assert_allclose(videos[0], features / features.norm(), atol=1e-5)
    assert model.similarity(texts[:3], tested.files[:2]).shape == (3, 2)
    if kind == 'clip':
        assert isinstance(encoder, CLIPModel)
        recipe = mmclip4clip.load(folder, config=MSRVTT, device='cpu')  # with the steps of mmaction2
        assert recipe.encode_videos(tested.files[:2]).shape == (2, videos.shape[1])


def test_wrong_sources_are_named(tested, tmp_path):
    for name in ('no.pth', 'a/b/c', './epoch'):
        with pytest.raises(FileNotFoundError, match=f'the checkpoint {name} does not exist'):
            mmclip4clip.load(name)
    shutil.copy(tested.path, tmp_path / 'epoch_1.pth')
    with pytest.raises(ValueError, match='has no config.json of a dual encoder: give .*epoch_1.pth'):
        mmclip4clip.load(tmp_path)
    with pytest.raises(ValueError, match=r'is a config: give its checkpoint, as load\(CHECKPOINT'):
        mmclip4clip.load('model.py')
    (tmp_path / 'text.pth').write_text('text')
    with pytest.raises(RuntimeError, match='text.pth'):
        mmclip4clip.load(tmp_path / 'text.pth')


@pytest.mark.parametrize('where', ['model', 'pipeline'])
def test_a_forged_config_in_a_checkpoint_calls_nothing(tested, tmp_path, where):
    harm = dict(type='os.mkdir', path=str(tmp_path / 'harmed'))
    cfg = Config(tested.cfg.to_dict())
    if where == 'model':
        cfg.model.adapter = harm
    else:
        cfg.test_dataloader.dataset.pipeline.insert(0, harm)
    text = f"custom_imports = dict(imports=['antigravity'])\nmodel = {cfg.model.to_dict()!r}\n"
    text += f'test_dataloader = {cfg.test_dataloader.to_dict()!r}\n'
    torch.save(dict(meta=dict(cfg=text), state_dict={}), tmp_path / 'forged.pth')
    with pytest.raises(
        ValueError, match=r"forged.pth names 'os.mkdir', which is not registered.*antigravity"
    ):
        mmclip4clip.load(tmp_path / 'forged.pth')
    assert not (tmp_path / 'harmed').exists() and 'antigravity' not in sys.modules


def test_loading_leaves_scope_and_random_numbers_as_they_were(tested):
    init_default_scope('mmengine')
    scope = DefaultScope.get_current_instance().scope_name
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    mmclip4clip.load(tested.path, device='cpu')
    assert (torch.rand(3) == expected).all()
    assert DefaultScope.get_current_instance().scope_name == scope == 'mmengine'


def test_models_are_listed_and_loaded_by_name(tested, shapes, monkeypatch):
    names = mmclip4clip.list_models()
    configs = {path.stem for path in (ROOT / 'configs').glob('[!_]*/**/*.py')}
    assert names == sorted(names) and set(names) == configs
    assert mmclip4clip.list_models('*tight*tiny*') == [
        name for name in names if 'tight' in name and 'tiny' in name
    ]
    with pytest.raises(ValueError, match="'moving-shapes': similar names are .*moving-shapes"):
        mmclip4clip.get_model('moving-shapes')
    monkeypatch.setenv('MOVING_SHAPES', str(shapes))
    with pytest.raises(ValueError, match='needs a pretrained CLIP, but model.backbone is random'):
        mmclip4clip.get_model(TINY, device='cpu')
    cfg = Config.fromfile(ROOT / f'configs/retrieval/clip4clip/{TINY}.py')
    torch.manual_seed(3)
    built = MODELS.build(cfg.model)
    checkpoint = tested.path.with_name('tiny.pth')
    torch.save(dict(state_dict=built.state_dict()), checkpoint)
    model = mmclip4clip.get_model(TINY, checkpoint, 'cpu')
    assert model.encode_videos(tested.files[:2]).shape == (2, built.backbone.width)


def test_published_weights_come_with_their_config(tested, tmp_path, monkeypatch):
    name = 'Searchium-ai/clip4clip-webvid150k'
    save_encoder(tmp_path / name, 'clip', ['a red circle'])
    monkeypatch.chdir(tmp_path)
    model = mmclip4clip.load(name, device='cpu')
    preset = find_preset(name)
    sampling = model.prepare.transforms.transforms[0].sampling.transforms[-1]
    assert all(getattr(sampling, key) == value for key, value in preset.frames.items() if key != 'type')
    (other,) = [preset.name for preset in list_presets() if preset.format != 'transformers']
    with pytest.raises(ValueError, match='needs to be converted first: python tools/model_converters'):
        mmclip4clip.load(other)


def test_an_import_alone_loads_no_models(tmp_path):
    code = (
        'import sys, mmclip4clip; loaded = set(sys.modules); assert not any(m.startswith("mmclip4clip.apis") '
        'for m in loaded), loaded; assert {"load", "get_model", "list_models"} <= set(dir(mmclip4clip))'
    )
    subprocess.run(
        [sys.executable, '-c', code], check=True, cwd=tmp_path, env=dict(os.environ, PYTHONPATH=str(ROOT))
    )


@pytest.mark.parametrize('page', ['README.md', 'docs/python-api.md'])
def test_the_python_of_the_pages_runs(tested, tmp_path, monkeypatch, page):
    monkeypatch.chdir(tmp_path)
    for name in ('epoch_5.pth', 'captioner.pth', 'work_dirs/mine/epoch_5.pth'):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tested.path, name)
    Path('videos').mkdir()
    for name in ('dog.mp4', 'beach.mp4', 'videos/dog.mp4'):
        shutil.copy(tested.files[0], name)
    Path('broken.mp4').write_text('no video')
    blocks = re.findall(r'^```python\n(.*?)^```', (ROOT / page).read_text(), re.S | re.M)
    assert blocks[0].startswith('import mmclip4clip\n') and len(blocks[0].strip().splitlines()) <= 6
    names: dict = {}
    for block in blocks:
        exec(block, names)
    assert names['scores'].shape in ((1, 2), (2, 2))
    if page.startswith('docs'):
        assert list(names['model'].unreadable) == [1] and Path('results/captions.json').exists()
        assert len(names['best'][0]['videos']) == 1 == len(names['captions'])
