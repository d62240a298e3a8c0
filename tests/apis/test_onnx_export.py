"""Models as ONNX files: the same frames, features and answers as with torch, and no torch in the process."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from PIL import Image

import mmclip4clip
from mmclip4clip.apis import export_onnx
from mmclip4clip.apis.onnx_search_model import OnnxSearchModel
from mmclip4clip.apis.search_model import SearchModel
from mmclip4clip.apis.video_inputs import PreparedVideo, read_videos
from mmclip4clip.export.export_folder import (
    ADAPTER,
    FRAMES,
    SETTINGS,
    TEXT,
    TOKENIZER,
    ExportError,
    read_export,
)
from mmclip4clip.models.adapters import RerankableAdapter
from mmclip4clip.search import FixedWindows

from ..encoders import KINDS, save_encoder
from .onnx_exports import (
    CAPTIONS,
    assert_equal_arrays,
    assert_equal_features,
    clips,
    videos,
    with_head,
)

ROOT = Path(__file__).parents[2]
SCORING = dict(
    layout=dict(frames=dict(shape=[64], per_frame=True, dtype='float32')), text=['text'], pairs_at_once=8
)


def test_features_of_any_length_and_batch_equal_those_of_torch(pair, shapes):
    files = sorted(map(str, (shapes / 'videos').rglob('*.mp4')))[:3]
    arrays = videos(np.random.default_rng(0), 1, 5, 12, 2)
    assert_equal_features(*pair, [*arrays, *files, (files[0], 0.5, 1.0)])
    similarity = pair[1].similarity(CAPTIONS, files)
    np.testing.assert_allclose(similarity, pair[0].similarity(CAPTIONS, files), atol=1e-4)


@pytest.mark.parametrize('every', [3, pytest.param(1, marks=pytest.mark.long)])
def test_real_clips_have_the_same_frames_and_features(encoder, exported, data, every):
    model, other = with_head(encoder, 'Seq'), mmclip4clip.load(exported)
    files = clips(data)[::every]
    assert len(files) > 5
    for name in files:
        item = dict(filename=name, video_id=name, video_key=name)
        frames, packed = other.frames(dict(item)), model.prepare(dict(item))
        assert np.array_equal(frames, packed['inputs']['imgs'].numpy())
        expected = model.run_batch([PreparedVideo(0, packed, None)], read_videos(name), True, False).features
        np.testing.assert_allclose(
            other.encoder.encode_videos([frames])['video'], expected['video'].numpy(), atol=1e-4
        )


def test_every_head_equals_torch_on_real_clips(pair, data):
    files = clips(data)[1:14:6]
    expected, found = (model.encode_videos(files, show_progress=False) for model in pair)
    assert_equal_arrays(found, expected)
    scores = (model.similarity(CAPTIONS, features) for model, features in zip(pair, (expected, found)))
    np.testing.assert_allclose(*scores, atol=1e-4)


def test_segments_equal_those_of_torch(pair, shapes):
    files = sorted(map(str, (shapes / 'videos').rglob('*.mp4')))[:3]
    files.append(str(shapes / 'train.json'))
    plan, digest = FixedWindows(1.0, 0.5), lambda name: Path(name).name
    for workers in (0, 2):
        expected, found = (
            {file.filename: file for file in encoder.encode_files(files, plan, digest, workers)}
            for encoder in (SearchModel(pair[0]), OnnxSearchModel(pair[1]))
        )
        assert set(expected) == set(found) == set(files)
        for name in files[:3]:
            assert found[name].segments == expected[name].segments and len(found[name].segments) > 2
            np.testing.assert_allclose(found[name].vectors, expected[name].vectors, atol=1e-4)
        assert 'cannot be read' in found[files[3]].unreadable


@pytest.mark.parametrize('kind', ['siglip', *(pytest.param(k, marks=pytest.mark.long) for k in KINDS)])
def test_other_encoders_equal_torch(kind, tmp_path):
    model = mmclip4clip.load(save_encoder(tmp_path / kind, kind, CAPTIONS), device='cpu')
    other = mmclip4clip.load(export_onnx(model, tmp_path / 'onnx'), backend='onnx')
    assert_equal_features(model, other, videos(np.random.default_rng(0), 1, 3))


@pytest.mark.long
def test_an_encoder_of_real_size_equals_torch_on_real_clips(tmp_path, data):
    tower = dict(num_attention_heads=12, hidden_size=768, intermediate_size=3072, num_hidden_layers=12)
    folder = save_encoder(tmp_path / 'clip', 'clip', CAPTIONS, side=224, patch=32)
    config = json.loads((folder / 'config.json').read_text())
    config['vision_config'].update(tower)
    config['text_config'].update(tower, num_attention_heads=8, hidden_size=512, intermediate_size=2048)
    config['projection_dim'] = 512
    from transformers import CLIPConfig, CLIPModel

    CLIPModel(CLIPConfig(**config)).save_pretrained(folder)
    model = mmclip4clip.load(folder, device='cpu')
    assert_equal_features(model, mmclip4clip.load(export_onnx(model, tmp_path / 'onnx')), clips(data)[:5])


@pytest.mark.parametrize('changed', ['lora', 'linear_patch', 'token_merging'])
def test_lora_patches_of_three_frames_and_merged_ones_equal_torch(encoder, tmp_path, changed):
    model = with_head(encoder, 'Seq')
    backbone = dict(type='CLIPBackbone', pretrained=str(encoder))
    options = dict(lora=dict(r=2), linear_patch='3d', token_merging=dict(r=2))
    backbone[changed] = options[changed]
    model.model.backbone = MODELS.build(backbone).eval()
    for name, value in model.model.backbone.named_parameters():
        if 'lora_B' in name or name.endswith('patch_embedding.weight'):
            torch.nn.init.normal_(value, std=0.3)
    other = mmclip4clip.load(export_onnx(model, tmp_path / 'onnx'))
    assert other.settings.neighbors == (changed == 'linear_patch')
    arrays = videos(np.random.default_rng(0), 1, 4)
    assert_equal_features(model, other, arrays)
    segments = [arrays[1][:2], arrays[1][1:]]
    frames = np.stack([np.asarray(Image.fromarray(f).resize((64, 64))) for f in arrays[1]]).transpose(
        0, 3, 1, 2
    )
    found = other.encoder.encode_segments(frames, [np.array([0, 1]), np.array([1, 2, 3])])
    expected = other.encoder.encode_videos([frames[:2], frames[1:]])
    np.testing.assert_allclose(found['video'], expected['video'], atol=1e-5)
    assert len(segments) == len(found['video'])


class BareAdapter(RerankableAdapter):
    """Scores pairs, and has nothing to export."""

    pool = cheap_text = cheap_video = similarity = pair_similarity = lambda *_: None


def test_a_head_without_a_score_of_blocks_is_refused(encoder, tmp_path):
    model = with_head(encoder, 'Mean')
    model.model.adapter = BareAdapter()
    with pytest.raises(TypeError, match='BareAdapter has no ONNX export.* and score_block'):
        export_onnx(model, tmp_path / 'onnx')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('name', [SETTINGS, TEXT, FRAMES, ADAPTER, TOKENIZER])
def test_a_folder_without_a_file_is_named(copied, name):
    (copied / name).unlink()
    with pytest.raises(ExportError, match=f'damaged or incomplete: {name} is missing|it has no {SETTINGS}'):
        mmclip4clip.load(copied)


@pytest.mark.parametrize('name', [TEXT, TOKENIZER])
def test_a_cut_file_and_one_of_other_content_are_named(copied, name):
    content = (copied / name).read_bytes()
    (copied / name).write_bytes(content[:-9])
    with pytest.raises(ExportError, match=f'{name} has {len(content) - 9} bytes instead of {len(content)}'):
        mmclip4clip.load(copied)
    (copied / name).write_bytes(b'?' * len(content))
    with pytest.raises(ExportError, match='text.onnx cannot be loaded|the tokenizer .* is damaged'):
        mmclip4clip.load(copied).encode_text('a')


@pytest.mark.parametrize(
    'change, reason',
    [
        (lambda content: content.update(format=3), 'this mmclip4clip knows 2: update it'),
        (lambda content: content.update(format='1'), 'this mmclip4clip knows 2: update it'),
        (lambda content: content.update(scoring=[]), 'scoring must have layout, text and pairs_at_once'),
        (lambda content: content.update(scoring=dict(SCORING, text=[1])), 'scoring must have layout, text'),
        (lambda content: content.update(scoring=dict(SCORING, layout={})), 'the layout of features must be'),
        (lambda content: content.update(scoring=SCORING), 'pairs.onnx is missing'),
        (lambda content: content.pop('identity'), 'no settings of an exported model, or damaged'),
        (lambda content: content.pop('captions'), 'no settings of an exported model, or damaged'),
        (lambda content: content.update(sizes=[]), 'no settings of an exported model, or damaged'),
    ],
)
def test_settings_of_a_later_version_and_damaged_ones_are_refused(copied, change, reason):
    content = json.loads((copied / SETTINGS).read_text())
    change(content)
    (copied / SETTINGS).write_text(json.dumps(content))
    with pytest.raises(ExportError, match=reason):
        read_export(copied)
    for damaged in (b'{"format": ', b'[' * 100_000, b'{"format": 1, "' + b'\xff' * 1000):
        (copied / SETTINGS).write_bytes(damaged)
        with pytest.raises(ExportError, match='damaged') as caught:
            mmclip4clip.load(copied)
        assert len(str(caught.value)) < 1000


def test_load_names_a_source_of_the_other_backend(exported, encoder):
    for arguments, reason in (
        (dict(source=encoder, backend='onnx'), f'needs a folder with {SETTINGS}'),
        (dict(source=exported, backend='torch'), 'was exported to ONNX'),
        (dict(source=exported, backend='tvm'), "must be 'torch' or 'onnx'"),
        (dict(source=exported, config='a.py'), 'takes no config'),
        (dict(source=exported, device='cuda'), "device 'cuda' cannot be used"),
        (dict(source=exported, device='tpu'), "device 'tpu' cannot be used"),
    ):
        with pytest.raises(ValueError, match=reason):
            mmclip4clip.load(**arguments)
    with pytest.raises(TypeError, match='has no caption decoder'):
        mmclip4clip.load(exported).check_captioner()


def test_only_an_export_is_replaced(encoder, copied, tmp_path):
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine/notes.txt').write_text('keep')
    model = with_head(encoder, 'Mean')
    with pytest.raises(FileExistsError, match='neither empty nor an exported model'):
        export_onnx(model, tmp_path / 'mine')
    (copied / 'index').mkdir()
    with pytest.raises(FileExistsError, match='has index beside an exported model'):
        export_onnx(model, copied)
    assert (copied / 'index').is_dir()
    (copied / 'index').rmdir()
    export_onnx(model, copied)
    assert mmclip4clip.load(copied).settings.identity.adapter == 'MeanAdapter'
    assert copied.stat().st_mode & 0o777 == tmp_path.joinpath('mine').stat().st_mode & 0o777


@pytest.mark.parametrize('step', ['sampling', 'resize'])
def test_a_pipeline_of_other_steps_is_refused(encoder, tmp_path, step):
    model = with_head(encoder, 'Mean')
    transforms = model.prepare.transforms.transforms
    if step == 'sampling':
        transforms[0].sampling.transforms.append(dict)
    else:
        transforms.insert(1, dict)
    with pytest.raises(ValueError, match='samples by type, expected|has the step type, which needs'):
        export_onnx(model, tmp_path / 'onnx')


def test_unreadable_videos_and_features_of_another_width(exported, shapes):
    model = mmclip4clip.load(exported)
    video = str(sorted((shapes / 'videos').rglob('*.mp4'))[0])
    rows = model.encode_videos([video, str(shapes / 'train.json')])
    assert not rows[1].any() and 'train.json cannot be read' in model.unreadable[1]
    assert model.similarity('a', rows)[0, 1] == -np.inf
    with pytest.raises(ValueError, match='do not fit .*, whose vectors have the width 64'):
        model.similarity('a', np.ones((1, 8), np.float32))
