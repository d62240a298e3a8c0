"""Indexes and servers of exported models: the same answers as with torch, and no torch in the process."""

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

import mmclip4clip
from mmclip4clip.apis import export_onnx
from mmclip4clip.apis.onnx_search_model import OnnxSearchModel
from mmclip4clip.apis.search_model import SearchModel
from mmclip4clip.export.export_folder import FRAMES, TEXT
from mmclip4clip.search import FeatureLayout, FixedWindows, IndexMismatchError, VideoIndex
from mmclip4clip.search.answers import EVERYTHING
from mmclip4clip.search.queries import parse_texts
from mmclip4clip.search.stored_features import unpack_arrays

from .onnx_exports import CAPTIONS, with_head

ROOT = Path(__file__).parents[2]
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


@pytest.fixture(scope='module', params=['WTI', 'XPool', 'Tight'])
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


def test_an_index_of_torch_is_searched_and_updated_where_torch_cannot_be_imported(encoder, shapes, tmp_path):
    files = sorted((shapes / 'videos').rglob('*.mp4'))
    for name in files[:4]:
        shutil.copy(name, tmp_path)
    model = with_head(encoder, 'WTI')
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


def test_8_bits_of_a_head_that_compares_tokens_leave_the_head_as_it_is(encoder, shapes, tmp_path):
    onnx = pytest.importorskip('onnx')
    model = with_head(encoder, 'WTI')
    small = mmclip4clip.load(export_onnx(model, tmp_path / 'int8', int8=True))
    nodes = onnx.load(small.encoder.folder / TEXT).graph.node
    floats = {node.name for node in nodes if node.op_type == 'MatMul'}
    assert any('token_weight' in name for name in floats)
    assert sum(node.op_type == 'MatMulInteger' for node in nodes) > 4
    assert not any('/mlp/' in name for name in floats)
    files = sorted(map(str, (shapes / 'videos').rglob('*.mp4')))[:4]
    found, expected = small.similarity(CAPTIONS, files), model.similarity(CAPTIONS, files)
    assert 1e-4 < np.abs(found - expected).max() < 0.1


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
