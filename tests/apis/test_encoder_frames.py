import copy
import json
from pathlib import Path

import pytest
from mmengine.config import Config
from transformers import CLIPConfig, CLIPModel

from mmclip4clip.apis import encoder_format, encoder_frames, follow_encoder

from ..encoders import KINDS, save_encoder, small_encoder

ROOT = Path(__file__).parents[2]
CLIP4CLIP = ROOT / 'configs/retrieval/clip4clip'
PAPER = CLIP4CLIP / 'clip4clip_vit-base-p32-res224-clip-pre_8xb16-fps1-uniform12-5e_msvd-rgb.py'
MSRVTT = CLIP4CLIP / 'clip4clip_vit-base-p32-res224-clip-pre_8xb16-u12-5e_msrvtt-9k-rgb.py'


def config_for(path: Path, **backbone) -> Config:
    cfg = Config.fromfile(path)
    cfg.model.backbone = dict(type='CLIPBackbone', **backbone)
    return cfg


def steps_of(cfg: Config, kind: str) -> list:
    return [
        step
        for split in ('train', 'val', 'test')
        for step in cfg[f'{split}_dataloader'].dataset.pipeline
        if step.type == kind
    ]


@pytest.mark.parametrize('kind', KINDS)
def test_the_papers_frames_become_those_of_the_encoder(kind):
    cfg = config_for(PAPER, config=small_encoder(kind, side=64))
    follow_encoder(cfg)
    for step in steps_of(cfg, 'ResizeCenterCrop'):
        assert step.size == 64
        assert step.get('keep_ratio', True) is not kind.startswith('siglip')
        assert step.get('interpolation', 'bicubic') == ('bilinear' if kind == 'siglip2' else 'bicubic')


def test_clips_frames_leave_a_config_as_it_is():
    cfg = config_for(PAPER, config=dict())
    before = copy.deepcopy(cfg.to_dict())
    follow_encoder(cfg)
    assert cfg.to_dict() == before


def test_mmaction2s_crop_is_scaled():
    cfg = config_for(MSRVTT, config=small_encoder('clip', side=336, patch=14))
    follow_encoder(cfg)
    assert {step.crop_size for step in steps_of(cfg, 'CenterCrop')} == {336}
    assert {tuple(step.scale) for step in steps_of(cfg, 'Resize')} == {(-1, 384)}


def test_a_size_of_ones_own_is_kept():
    cfg = config_for(PAPER, config=small_encoder('clip', side=64))
    for step in steps_of(cfg, 'ResizeCenterCrop'):
        step.size = 96
    follow_encoder(cfg)
    assert {step.size for step in steps_of(cfg, 'ResizeCenterCrop')} == {96}


def test_what_a_folder_says_comes_first(tmp_path):
    save_encoder(tmp_path, 'clip', ['a dog'])
    path = tmp_path / 'preprocessor_config.json'
    content = dict(json.loads(path.read_text()), image_mean=[0.1, 0.2, 0.3], resample=2)
    path.write_text(json.dumps(content))
    format = encoder_format(dict(type='CLIPBackbone', pretrained=str(tmp_path)))
    assert format.mean == pytest.approx((25.5, 51, 76.5)) and format.interpolation == 'bilinear'
    assert encoder_format(dict(type='CLIPBackbone', pretrained=str(tmp_path), image_size=96)).size == 96
    own = dict(type='CLIPBackbone', pretrained=str(tmp_path), frame_format=dict(std=(1.0, 2.0, 3.0)))
    assert encoder_format(own).std == (1.0, 2.0, 3.0)


def test_another_backbone_or_a_missing_folder_changes_nothing(tmp_path):
    assert encoder_format(dict(type='OwnBackbone')) is None
    assert encoder_format(dict(type='CLIPBackbone', pretrained=str(tmp_path / 'none'))) is None
    assert encoder_format(None) is None


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(do_normalize=False), 'do_normalize=false'),
        (dict(rescale_factor=1.0), 'rescale_factor=1.0'),
        (dict(crop_size=dict(height=48, width=48)), 'images of 48 pixels, but config.json says 64'),
        (dict(crop_size=dict(height=48, width=64)), 'expected squares'),
        (dict(size=dict(shortest_edge=80)), 'images of 80 pixels, but config.json says 64'),
        (dict(size=80), 'images of 80 pixels'),
        (dict(do_center_crop=False), 'nothing is cropped'),
        (dict(resample=0), 'resample=0'),
        (dict(image_std=[0, 1, 1]), 'expected three numbers'),
        (dict(image_mean=[0.5]), 'expected three numbers'),
    ],
)
def test_an_image_processor_that_cannot_be_followed_is_refused(tmp_path, change, message):
    from mmclip4clip.models import CLIPBackbone

    save_encoder(tmp_path, 'clip', ['a dog'])
    path = tmp_path / 'preprocessor_config.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(OSError, match=f'preprocessor_config.json is not the image processor.*{message}'):
        CLIPBackbone(pretrained=str(tmp_path))


def test_forms_of_old_and_new_image_processors_are_read(tmp_path, tiny_clip):
    CLIPModel(CLIPConfig(**tiny_clip)).save_pretrained(tmp_path)
    backbone = dict(type='CLIPBackbone', pretrained=str(tmp_path))
    plain = encoder_format(backbone)
    old = dict(size=64, crop_size=64, resample=3, do_center_crop=True)
    (tmp_path / 'preprocessor_config.json').write_text(json.dumps(old))
    assert encoder_format(backbone) == plain
    (tmp_path / 'preprocessor_config.json').unlink()
    new = dict(image_processor=dict(size=dict(shortest_edge=64), crop_size=dict(height=64, width=64)))
    (tmp_path / 'processor_config.json').write_text(json.dumps(new))
    assert encoder_format(backbone) == plain
    squeezed = dict(image_processor=dict(size=dict(height=64, width=64), do_center_crop=False))
    (tmp_path / 'processor_config.json').write_text(json.dumps(squeezed))
    assert encoder_format(backbone) == plain._replace(keep_ratio=False)


def test_a_processor_that_squeezes_before_its_crop_squeezes(tmp_path):
    save_encoder(tmp_path, 'clip', ['a dog'])
    path = tmp_path / 'preprocessor_config.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | dict(size=dict(height=64, width=64))))
    assert encoder_format(dict(type='CLIPBackbone', pretrained=str(tmp_path))).keep_ratio is False


@pytest.mark.parametrize(
    'fields, message',
    [(dict(crop=1), 'describes no frames'), (dict(size=96), 'has size=96, but the encoder reads 64')],
)
def test_fields_that_do_not_fit_are_refused(fields, message):
    from mmclip4clip.models import CLIPBackbone

    with pytest.raises(ValueError, match=message):
        CLIPBackbone(config=small_encoder('clip', side=64), frame_format=fields)


@pytest.mark.parametrize('kind, warns', [('siglip', True), ('clip', False)])
@pytest.mark.parametrize('side', [64, 224])
def test_a_crop_for_an_encoder_that_squeezes_is_warned_about(monkeypatch, kind, warns, side):
    logged = []
    monkeypatch.setattr(encoder_frames, 'print_log', lambda text, **kwargs: logged.append(text))
    follow_encoder(config_for(MSRVTT, config=small_encoder(kind, side=side)))
    assert any('squeezed frames: replace Resize and CenterCrop' in text for text in logged) is warns
