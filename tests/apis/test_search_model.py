"""The vectors of an index, compared with those that the model gives for the same videos one by one."""

import json
import shutil
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
import torch
from PIL import Image

import mmclip4clip
from mmclip4clip.apis import segment_encoder
from mmclip4clip.apis.search_model import SearchModel, digest_weights, read_image
from mmclip4clip.apis.segment_encoder import encode_segments
from mmclip4clip.datasets.video_readers import VideoReadError
from mmclip4clip.search import FixedWindows, Term, parse_query
from mmclip4clip.search.file_digest import digest_file
from mmclip4clip.search.index_settings import ModelIdentity

from .conftest import HEADS

WINDOWS = FixedWindows(1.0, 0.5)


@pytest.fixture(scope='module', params=HEADS)
def head(request, checkpoint_of):
    return SearchModel(mmclip4clip.load(checkpoint_of(request.param)[0], device='cpu'))


@pytest.fixture(scope='module')
def mean(checkpoint_of):
    return SearchModel(mmclip4clip.load(checkpoint_of('Mean')[0], device='cpu'))


def encode(model, files, num_workers=0) -> dict:
    return {file.filename: file for file in model.encode_files(files, WINDOWS, digest_file, num_workers)}


def test_segments_have_the_features_of_the_same_part_of_the_video_alone(head, tested):
    files = tested.files[:3]
    encoded = encode(head, files)
    for name in files:
        file = encoded[name]
        assert file.unreadable is None and file.content == digest_file(name)
        assert file.segments == WINDOWS(name, file.duration) and len(file.segments) > 2
        alone = head.model.encode_videos([name, *((name, *segment) for segment in file.segments[1:])])
        if head.layout is None:
            np.testing.assert_allclose(file.vectors, alone, atol=1e-6)
            assert file.features == []
            continue
        np.testing.assert_allclose(np.linalg.norm(file.vectors, axis=1), 1, rtol=1e-5)
        query = parse_query('a red circle')
        expected = head.model.similarity(['a red circle'], alone)[0]
        found = head.rerank(head.encode_query(query), file.features)
        np.testing.assert_allclose(found, expected, atol=2e-3)  # stored in half precision


def test_processes_that_decode_ahead_change_nothing(mean, tested, tmp_path):
    (tmp_path / 'text.mp4').write_text('no video')
    files = [*tested.files[:5], str(tmp_path / 'text.mp4'), str(tmp_path / 'none.mp4')]
    one, two = encode(mean, files), encode(mean, files, num_workers=2)
    assert set(one) == set(two) == set(files)
    for name in files[:5]:
        assert (one[name].vectors == two[name].vectors).all() and one[name].segments == two[name].segments
    for encoded in (one, two):
        assert 'text.mp4 cannot be read' in encoded[files[5]].unreadable and not encoded[files[5]].retry
        assert 'No such file' in encoded[files[6]].unreadable and encoded[files[6]].retry


def test_frames_pass_a_backbone_that_relates_them_segment_by_segment(mean, tested, monkeypatch):
    (shared,) = [*encode(mean, tested.files[:1]).values()]
    monkeypatch.setattr(type(mean.model.model.backbone), 'frames_are_independent', False)
    (apart,) = [*encode(mean, tested.files[:1]).values()]
    np.testing.assert_allclose(shared.vectors, apart.vectors, atol=1e-6)


def test_shared_frames_pass_the_backbone_once(mean, tested, monkeypatch):
    seen = []
    backbone = mean.model.model.backbone
    original = backbone.encode_frames
    monkeypatch.setattr(
        backbone,
        'encode_frames',
        lambda frames, mask: seen.append(mask.sum().item()) or original(frames, mask),
    )
    item = dict(filename=tested.files[0], video_id='v', video_key='v')
    (prepared,) = mean.pipeline.prepare_segments(item, WINDOWS)
    encode_segments(mean.model.model, prepared)
    assert seen == [len(prepared.packed['inputs']['imgs'])] < [sum(map(len, prepared.positions))]


def test_the_vector_of_a_query_is_the_weighted_sum_of_its_terms(mean, tested, tmp_path):
    video = tested.files[0]
    picture = tmp_path / 'picture.png'
    frames = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    Image.fromarray(frames).save(picture)
    terms = [
        Term(1.0, 'text', 'a red circle'),
        Term(-0.5, 'video', video, 0.5, 1.0),
        Term(2.0, 'image', str(picture)),
    ]
    model = mean.model
    expected = (
        model.encode_text(['a red circle'])[0]
        - 0.5 * model.encode_videos([(video, 0.5, 1.0)])[0]
        + 2 * model.encode_videos([frames[None]])[0]
    )
    found = mean.encode_query(terms).vector
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-6)
    with pytest.raises(ValueError, match='cancel each other'):
        mean.encode_query([Term(1.0, 'text', 'a'), Term(-1.0, 'text', 'a')])


def test_huge_weights_do_not_overflow_and_faulty_ones_are_refused(mean):
    a, b = (Term(1.0, 'text', text) for text in ('a', 'b'))
    expected = mean.encode_query([a, b]).vector
    for weight in (1e39, 1e-30, 1e308):
        found = mean.encode_query([term._replace(weight=weight) for term in (a, b)]).vector
        np.testing.assert_allclose(found, expected, atol=1e-6)
    for query in ([], [a._replace(weight=float('nan'))], [a._replace(weight=0.0)]):
        with pytest.raises(ValueError, match='a query needs terms, and each a finite weight that is not 0'):
            mean.encode_query(query)


@pytest.mark.parametrize('head, reason', [('Mean', 'vectors of NaN'), ('WTI', 'half precision holds')])
def test_a_video_whose_features_are_not_finite_is_listed_and_the_others_come(
    head, reason, checkpoint_of, tested, monkeypatch
):
    model = SearchModel(mmclip4clip.load(checkpoint_of(head)[0], device='cpu'))
    real = segment_encoder.encode_segments

    def encode_segments(encoder, prepared, fp16):
        features = real(encoder, prepared, fp16)
        if prepared.packed['data_samples'].filename == tested.files[0]:
            features = {
                key: value * (1 if 'mask' in key else 1e6 if head == 'WTI' else float('nan'))
                for key, value in features.items()
            }
        return features

    monkeypatch.setattr(segment_encoder, 'encode_segments', encode_segments)
    bad, good = encode(model, tested.files[:2]).values()
    assert reason in bad.unreadable and bad.segments == [] and not bad.retry
    assert good.unreadable is None and len(good.vectors)


def test_only_texts_are_reranked_and_by_their_weights(checkpoint_of, tested):
    model = SearchModel(mmclip4clip.load(checkpoint_of('WTI')[0], device='cpu'))
    (file,) = encode(model, tested.files[:1]).values()
    red, blue = Term(2.0, 'text', 'red'), Term(-1.0, 'text', 'blue')
    one, other = (
        model.rerank(model.encode_query([term._replace(weight=1)]), file.features) for term in (red, blue)
    )
    both = model.rerank(model.encode_query([red, blue]), file.features)
    np.testing.assert_allclose(both, one - 0.5 * other, atol=1e-5)  # the largest weight counts as 1
    huge = model.rerank(model.encode_query([red._replace(weight=1e39)]), file.features)
    np.testing.assert_allclose(huge, one, atol=1e-5)
    seen = model.encode_query([red, Term(1.0, 'video', tested.files[0])])
    assert seen.texts is None
    with pytest.raises(ValueError, match='the cosine is the score of this query'):
        model.rerank(seen, file.features)


def test_the_identity_changes_with_what_changes_vectors(checkpoint_of, tested, mean):
    path, _ = checkpoint_of('Mean')
    again = SearchModel(mmclip4clip.load(path, device='cpu'))
    assert mean.identity.differences(again.identity) == [] and isinstance(mean.identity, ModelIdentity)
    with torch.no_grad():
        next(again.model.model.parameters()).view(-1)[0] += 1e-3
    again.__dict__.pop('identity')
    assert [line.split(':')[0] for line in mean.identity.differences(again.identity)] == ['weights']
    again.model.model.backbone.token_merging = [1]
    again.__dict__.pop('identity')
    changed = [line.split(':')[0] for line in mean.identity.differences(again.identity)]
    assert changed == ['weights', 'frames']
    other = SearchModel(mmclip4clip.load(checkpoint_of('Seq')[0], device='cpu'))
    changed = [line.split(':')[0] for line in mean.identity.differences(other.identity)]
    assert changed == ['adapter', 'weights'] and json.loads(mean.identity.frames)['sampling']


def test_the_digest_depends_on_names_values_and_types():
    layers = [torch.nn.Linear(2, 2) for _ in range(2)]
    layers[1].load_state_dict(layers[0].state_dict())
    assert digest_weights(layers[0]) == digest_weights(layers[1])
    assert digest_weights(layers[0]) != digest_weights(layers[1].double())


def test_a_picture_is_read_upright_and_as_rgb(tmp_path):
    frames = np.zeros((4, 6, 3), np.uint8)
    frames[0, 0] = 255
    image = Image.fromarray(frames)
    exif = image.getexif()
    exif[0x0112] = 6  # turned by 90 degrees
    image.save(tmp_path / 'a.png', exif=exif)
    assert np.array_equal(read_image(str(tmp_path / 'a.png')), np.rot90(frames, -1))
    image.convert('L').save(tmp_path / 'gray.png')
    assert read_image(str(tmp_path / 'gray.png')).shape == (4, 6, 3)
    deep = np.array([[0, 257, 30000, 65535]], np.uint16)
    Image.fromarray(deep).save(tmp_path / 'deep.png')
    (tmp_path / 'deep.pgm').write_bytes(b'P5 4 1 65535 ' + deep.astype('>u2').tobytes())
    for name in ('deep.png', 'deep.pgm'):
        assert read_image(str(tmp_path / name))[0, :, 0].tolist() == [0, 1, 117, 255]
    (tmp_path / 'b.png').write_text('no picture')
    with pytest.raises(VideoReadError, match='query image .*b.png cannot be read'):
        read_image(str(tmp_path / 'b.png'))


def test_an_adapter_without_vectors_is_refused(checkpoint_of, monkeypatch):
    model = mmclip4clip.load(checkpoint_of('WTI')[0], device='cpu')
    monkeypatch.setattr('mmclip4clip.search.shortlist_vectors.RerankableAdapter', type(None))
    with pytest.raises(TypeError, match='WTIAdapter has no vectors to search with'):
        SearchModel(model)


def test_the_texts_of_a_query_are_encoded_once(checkpoint_of, tested, monkeypatch, tmp_path):
    model = mmclip4clip.load(checkpoint_of('WTI')[0], device='cpu')
    index = mmclip4clip.create_index(tmp_path / 'index', model, WINDOWS)
    index.update(tested.files, num_workers=0)
    encoded, original = [], model.encode_text
    monkeypatch.setattr(model, 'encode_text', lambda texts: encoded.append(list(texts)) or original(texts))
    found = index.search(parse_query('"red" + "a circle"'), top=16, shortlist=1)  # in several rounds
    assert len(found) == 16 and encoded == [['red', 'a circle']]


def test_a_video_at_a_url_has_the_vectors_of_its_file(mean, tested, tmp_path):
    pytest.importorskip('aiohttp', reason='needs aiohttp, of the extra ray')
    (tmp_path / 'text.mp4').write_text('no video')
    shutil.copy(tested.files[0], tmp_path / 'clip.mp4')
    server = ThreadingHTTPServer(('127.0.0.1', 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path)))
    Thread(target=server.serve_forever, daemon=True).start()
    host = f'http://127.0.0.1:{server.server_port}'
    names = [f'{host}/{name}.mp4' for name in ('clip', 'text', 'none')]
    encoded = encode(mean, names)
    server.shutdown()
    server.server_close()
    (local,) = encode(mean, tested.files[:1]).values()
    (clip, text, none) = (encoded[name] for name in names)
    assert (clip.vectors == local.vectors).all() and clip.segments == local.segments
    assert clip.content == local.content
    assert f'{host}/text.mp4 cannot be read' in text.unreadable and not text.retry
    assert f'{host}/none.mp4 cannot be downloaded' in none.unreadable and none.retry
