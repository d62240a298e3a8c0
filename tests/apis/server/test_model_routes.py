"""Routes that need a real model: captions, reasons and vectors."""

import os
import shutil

import numpy as np
import pytest
from fastapi.testclient import TestClient

import mmclip4clip
from mmclip4clip.apis import explain
from mmclip4clip.apis.server import Limits, Service, create_app
from mmclip4clip.search import WholeVideos

from .serving import found, post


@pytest.fixture(scope='module')
def model(tested):
    return mmclip4clip.load(tested.path)


@pytest.fixture(scope='module')
def client(tested, model, tmp_path_factory):
    folder = tmp_path_factory.mktemp('captioned').resolve()
    (folder / 'videos').mkdir()
    for number, file in enumerate(tested.files[:3]):
        shutil.copy(file, folder / 'videos' / f'{number}{os.path.splitext(file)[1]}')
    index = mmclip4clip.create_index(folder / 'index', model, WholeVideos())
    index.update([folder / 'videos'], num_workers=0)
    index.close()
    service = Service(
        folder / 'index', lambda: mmclip4clip.open_index(folder / 'index', model), Limits(decode_seconds=7)
    )
    with TestClient(create_app(service), base_url='http://localhost') as client:
        yield client


@pytest.fixture(scope='module')
def video(client):
    """The identifier and the path of a video."""
    name = found(client, query='a red star')[0]['name']
    service = client.app.state.service
    return found(client, query='a red star')[0]['id'], str(service.folder.parent / 'videos' / name)


def test_a_caption_is_that_of_the_model(client, model, video):
    assert client.get('/info').json()['can_caption']
    expected = model.caption([video[1]])[0]
    assert post(client, '/caption', id=video[0]) == (200, dict(caption=expected))
    with open(video[1], 'rb') as file:
        token = client.post('/uploads', files=dict(file=file)).json()['token']
    assert post(client, '/caption', token=token) == (200, dict(caption=expected))
    assert post(client, '/caption', token=token, start=1000)[0] == 422  # after its end
    assert post(client, '/caption', id=video[0], start=1000)[0] == 422


def test_an_uploaded_video_finds_itself(client, video):
    with open(video[1], 'rb') as file:
        token = client.post('/uploads', files=dict(file=file)).json()['token']
    best = found(client, uploads=[dict(token=token)])[0]
    assert best['id'] == video[0] and best['score'] == pytest.approx(1, abs=1e-3)


def test_reasons_are_those_of_the_model(client, model, video):
    expected = explain(model, 'a red star', video[1])
    status, answer = post(client, '/why', query='a red star', id=video[0])
    assert status == 200 and answer['words'] is None
    assert [one['time'] for one in answer['frames']] == [frame.time for frame in expected.frames]
    np.testing.assert_allclose(
        [one['score'] for one in answer['frames']], [frame.score for frame in expected.frames], atol=1e-5
    )
    assert post(client, '/why', query='', id=video[0])[0] == 422


def test_vectors_are_those_of_the_model(client, model):
    _, answer = post(client, '/encode', texts=['a red star', 'a blue disc'])
    np.testing.assert_allclose(answer['vectors'], model.encode_text(['a red star', 'a blue disc']), atol=1e-5)


def test_decoders_of_the_model_get_less_time_because_others_wait(client):
    steps = client.app.state.service.model.prepare.transforms.transforms
    assert [step.time_limit for step in steps if hasattr(step, 'time_limit')] == [7]


@pytest.mark.parametrize('route', ['/why', '/similar', '/caption'])
def test_a_video_that_vanishes_while_it_is_looked_at_is_not_found(client, video, monkeypatch, route):
    def vanish(*args, **kwargs):
        raise FileNotFoundError(2, 'No such file', video[1])

    monkeypatch.setattr('mmclip4clip.apis.video_text_model.VideoTextModel.encode_videos', vanish)
    monkeypatch.setattr('mmclip4clip.apis.video_text_model.VideoTextModel.caption', vanish)
    monkeypatch.setattr('mmclip4clip.apis.reasons.explain_videos', vanish)
    query = dict(query='a red star') if route == '/why' else {}
    status, answer = post(client, route, id=video[0], **query)
    assert status == 404 and answer['error']['message'] == 'the video is not there any more'
    assert video[1] not in str(answer)
