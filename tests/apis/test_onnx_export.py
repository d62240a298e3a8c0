"""Models as ONNX files: the same frames, features and answers as with torch, and no torch in the process."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

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
from mmclip4clip.search import FeatureLayout, FixedWindows, IndexMismatchError, VideoIndex
from mmclip4clip.search.answers import EVERYTHING
from mmclip4clip.search.queries import parse_texts
from mmclip4clip.search.stored_features import unpack_arrays

from ..encoders import KINDS, save_encoder

ROOT = Path(__file__).parents[2]
CAPTIONS = [
    'a red circle goes left',
    'A',
    ' two  spaces\tand caf\u00e9 ' + 'a long sentence about nothing ' * 20,
    'x',
    '<|endoftext|> and, isn\u2019t 3.14 \u65e5\u672c\u8a9e',
]
BLOCKED = ('torch', 'mmengine', 'mmcv', 'mmaction', 'transformers', 'cv2', 'decord', 'matplotlib')
# Runs the command where none of these packages can be imported, and says whether torch is there all the same.
SEARCH = """
import sys
sys.modules.update(dict.fromkeys({blocked!r}))
sys.argv = ['mmclip4clip', *{arguments!r}]
from mmclip4clip.__main__ import main
try:
    main()
finally:
    assert not [name for name in {blocked!r} if sys.modules.get(name) is not None]
"""
SCORING = dict(
    layout=dict(frames=dict(shape=[64], per_frame=True, dtype='float32')), text=['text'], pairs_at_once=8
)
TIGHT = dict(width=64, num_heads=2, max_frames=12, start='random', pairs_at_once=4)
HEADS_64 = dict(
    Mean=dict(type='MeanAdapter'),
    Seq=dict(
        type='SeqTransformerAdapter', width=64, num_layers=1, num_heads=2, max_frames=12, start='random'
    ),
    LSTM=dict(type='SeqLSTMAdapter', width=64),
    WTI=dict(type='WTIAdapter', width=64, num_layers=1, num_heads=2, max_frames=12, start='random'),
    XPool=dict(type='XPoolAdapter', width=64, num_heads=2),
    Tight=dict(type='TightAdapter', **TIGHT, num_layers=3),
    TightPaper=dict(type='TightAdapter', **TIGHT, num_layers=1, variant='paper'),
)


@pytest.fixture(scope='module')
def encoder(tmp_path_factory) -> Path:
    return save_encoder(tmp_path_factory.mktemp('encoder'), 'clip', CAPTIONS)


def with_head(encoder: Path, name: str):
    """Load an encoder without training, and give it a head with random weights."""
    torch.manual_seed(0)
    model = mmclip4clip.load(encoder, device='cpu')
    model.model.adapter = MODELS.build(HEADS_64[name]).eval()
    for parameter in model.model.adapter.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


@pytest.fixture(scope='module', params=HEADS_64)
def pair(request, encoder, tmp_path_factory):
    """A model of torch, and its export."""
    model = with_head(encoder, request.param)
    folder = export_onnx(model, tmp_path_factory.mktemp('onnx') / request.param)
    return model, mmclip4clip.load(folder)


@pytest.fixture(scope='module')
def exported(encoder, tmp_path_factory) -> Path:
    return export_onnx(with_head(encoder, 'Seq'), tmp_path_factory.mktemp('exported') / 'seq')


@pytest.fixture
def copied(exported, tmp_path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / 'copy'))


def videos(rng: np.random.Generator, *lengths: int) -> list[np.ndarray]:
    return [rng.integers(0, 256, (length, 72, 100, 3)).astype(np.uint8) for length in lengths]


def clips(data: Path) -> list[str]:
    found = [
        str(p) for p in sorted((data / 'clips').rglob('*')) if p.suffix in ('.mp4', '.avi', '.webm', '.mkv')
    ]
    return [name for name in found if 'broken' not in name]


def assert_equal_arrays(found, expected) -> None:
    """Compare vectors, or the parts of features; those of padding may have any values."""
    if not isinstance(expected, dict):
        np.testing.assert_allclose(found, expected, atol=1e-4)
        return
    assert list(found) == list(expected)
    (mask,) = (part.astype(bool) for name, part in expected.items() if name.endswith('_mask'))
    for name, part in expected.items():
        assert found[name].dtype == part.dtype and found[name].shape == part.shape
        np.testing.assert_allclose(found[name][mask], part[mask], atol=1e-4)


def assert_equal_features(model, other, files) -> None:
    for texts in ([CAPTIONS[1]], CAPTIONS, CAPTIONS[:2]):
        assert_equal_arrays(other.encode_text(texts), model.encode_text(texts))
    expected = model.encode_videos(files)
    for size in (1, 3, 16):
        assert_equal_arrays(other.encode_videos(files, batch_size=size), expected)


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


@pytest.mark.parametrize('changed', ['lora', 'patch3d'])
def test_lora_and_patches_of_three_frames_equal_torch(encoder, tmp_path, changed):
    model = with_head(encoder, 'Seq')
    backbone = dict(type='CLIPBackbone', pretrained=str(encoder))
    backbone |= dict(lora=dict(r=2)) if changed == 'lora' else dict(linear_patch='3d')
    model.model.backbone = MODELS.build(backbone).eval()
    for name, value in model.model.backbone.named_parameters():
        if 'lora_B' in name or name.endswith('patch_embedding.weight'):
            torch.nn.init.normal_(value, std=0.3)
    other = mmclip4clip.load(export_onnx(model, tmp_path / 'onnx'))
    assert other.settings.neighbors == (changed == 'patch3d')
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


@pytest.fixture(scope='module', params=['WTI', 'XPool', 'Tight', 'TightPaper'])
def indexed(request, encoder, shapes, tmp_path_factory):
    """Search models of a head that compares more than a vector, of torch and ONNX, and an index of each."""
    folder = tmp_path_factory.mktemp(request.param)
    model = with_head(encoder, request.param)
    both = SearchModel(model), OnnxSearchModel(mmclip4clip.load(export_onnx(model, folder / 'onnx')))
    indexes = []
    for name, one in zip(('torch', 'exported'), both):
        indexes.append(VideoIndex.create(folder / name, one, FixedWindows(1.0, 0.5)))
        indexes[-1].update([shapes / 'videos'], num_workers=0)
    return both, indexes


@pytest.mark.parametrize('query', ['a red circle', '"a red circle" + "goes left" - 0.5 * "blue"', 'VIDEO'])
def test_every_head_finds_what_it_finds_with_torch_in_an_index_of_either(indexed, shapes, query):
    models, indexes = indexed
    video = str(sorted((shapes / 'videos').rglob('*.mp4'))[0])
    terms = query.replace('VIDEO', video)
    expected = indexes[0].search(terms, top=12, all_moments=True, shortlist=4)
    assert len(expected) == 12
    for index in indexes:
        index.use(models[1])
        found = index.search(terms, top=12, all_moments=True, shortlist=4)
        assert {(one.filename, one.start) for one in found} == {(o.filename, o.start) for o in expected}
        np.testing.assert_allclose([o.score for o in found], [o.score for o in expected], atol=2e-3)
    indexes[0].use(models[0])


def test_stored_features_of_both_differ_by_a_rounding_and_score_the_same(indexed):
    (torch_model, onnx_model), (first, second) = indexed
    query = onnx_model.encode_query(parse_texts('"a red circle" + left'))
    rows = [index.store.search(query.vector, 30, False, EVERYTHING) for index in (first, second)]
    contents = [{hit.row.id: hit.row.features for hit in hits} for hits in rows]
    assert contents[0].keys() == contents[1].keys() and len(contents[0]) == 30
    layout = FeatureLayout.from_json(onnx_model.features)
    assert onnx_model.features == torch_model.features
    found, expected = (unpack_arrays(layout, [one[key] for key in contents[0]]) for one in contents)
    for name, part in expected.items():
        np.testing.assert_allclose(found[name], part, rtol=2e-3, atol=2e-3)
    same = list(contents[0].values())
    expected = torch_model.rerank(torch_model.encode_query(parse_texts('"a red circle" + left')), same)
    np.testing.assert_allclose(onnx_model.rerank(query, same), expected, atol=1e-4)
    with pytest.raises(ValueError, match='damaged, or of another model'):
        onnx_model.rerank(query, [same[0][:-1]])
    assert onnx_model.rerank(query, []).shape == (0,)


def run_command(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', SEARCH.format(blocked=BLOCKED, arguments=arguments)],
        env=dict(os.environ, PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize('head', ['Seq', 'WTI'])
def test_an_index_of_torch_is_searched_and_updated_where_torch_cannot_be_imported(
    encoder, shapes, tmp_path, head
):
    files = sorted((shapes / 'videos').rglob('*.mp4'))
    for name in files[:4]:
        shutil.copy(name, tmp_path)
    model = with_head(encoder, head)
    exported = export_onnx(model, tmp_path / 'onnx')
    index = mmclip4clip.create_index(tmp_path / 'index', model, FixedWindows(1.0, 0.5))
    index.update([tmp_path])
    expected = index.search('a red circle', top=9)
    index.close()

    search = ('search', '--json', '--index', str(tmp_path / 'index'), '--model', str(exported))
    done = run_command(*search, 'a red circle')
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row['file'], row['start']) for row in found] == [(a.filename, a.start) for a in expected]
    np.testing.assert_allclose([row['score'] for row in found], [a.score for a in expected], atol=1e-4)

    shutil.copy(files[4], tmp_path / 'new.mp4')
    done = run_command('index', str(tmp_path), '--index', str(tmp_path / 'index'), '--model', str(exported))
    assert done.returncode == 0 and '1 added' in done.stdout, done.stderr
    done = run_command(*search, str(tmp_path / 'new.mp4'))
    assert json.loads(done.stdout.splitlines()[0])['file'] == str(tmp_path / 'new.mp4'), done.stderr


def test_an_index_of_the_export_opens_without_a_model_and_with_the_one_of_torch(
    encoder, exported, shapes, tmp_path
):
    name = sorted((shapes / 'videos').rglob('*.mp4'))[0]
    (tmp_path / 'videos').mkdir()
    shutil.copy(name, tmp_path / 'videos')
    index = mmclip4clip.create_index(tmp_path / 'index', exported)
    index.update([tmp_path / 'videos'], num_workers=0)
    (answer,) = index.search('a red circle')
    with_torch = mmclip4clip.open_index(tmp_path / 'index', with_head(encoder, 'Seq')).search('a red circle')
    again = mmclip4clip.open_index(tmp_path / 'index')
    assert isinstance(again.model, OnnxSearchModel) and again.search('a red circle') == [answer]
    assert with_torch[0].score == pytest.approx(answer.score, abs=1e-4)


def test_an_index_is_served_where_torch_cannot_be_imported(exported, shapes, tmp_path):
    pytest.importorskip('fastapi')
    (tmp_path / 'videos').mkdir()
    shutil.copy(sorted((shapes / 'videos').rglob('*.mp4'))[0], tmp_path / 'videos/one.mp4')
    index = mmclip4clip.create_index(tmp_path / 'index', exported)
    index.update([tmp_path / 'videos'], num_workers=0)
    index.close()
    blocked = [name for name in BLOCKED if name != 'cv2']  # which writes the frames
    arguments = ('serve', str(tmp_path / 'index'), '--port', '0')
    code = SEARCH.format(blocked=blocked, arguments=arguments)
    with subprocess.Popen(
        [sys.executable, '-u', '-W', 'ignore', '-c', code],
        env=dict(os.environ, PYTHONPATH=str(ROOT)),
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            address = server.stdout.readline().split()[2]

            def ask(path, **content):
                request = Request(address + path, json.dumps(content).encode() if content else None)
                request.add_header('Content-Type', 'application/json')
                with urlopen(request, timeout=60) as answer:
                    return answer.read()

            (answer,) = json.loads(ask('search', query='a red circle'))['answers']
            assert answer['name'] == 'one.mp4'
            assert json.loads(ask('similar', id=answer['id']))['answers'] == []  # not itself
            assert ask(f'videos/{answer["id"]}/strip').startswith(b'\xff\xd8')
            with pytest.raises(HTTPError, match='501'):
                ask('why', id=answer['id'], query='a')
        finally:
            server.terminate()
    assert server.returncode == 0


def test_8_bits_are_smaller_close_and_another_model(encoder, exported, shapes, tmp_path):
    small = mmclip4clip.load(export_onnx(with_head(encoder, 'Seq'), tmp_path / 'int8', int8=True))
    large = mmclip4clip.load(exported)
    assert small.settings.sizes[FRAMES] < 0.8 * large.settings.sizes[FRAMES]
    files = sorted(map(str, (shapes / 'videos').rglob('*.mp4')))[:4]
    for found, expected in (
        (small.encode_text(CAPTIONS), large.encode_text(CAPTIONS)),
        (small.encode_videos(files), large.encode_videos(files)),
    ):
        assert not np.allclose(found, expected, atol=1e-4)
        assert ((found * expected).sum(axis=1) > 0.9).all()
    index = VideoIndex.create(tmp_path / 'index', OnnxSearchModel(large))
    with pytest.raises(IndexMismatchError, match=r"weights: '\w+' -> '\w+\+int8'"):
        index.use(OnnxSearchModel(small))


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
