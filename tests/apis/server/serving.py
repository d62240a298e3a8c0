"""A server of an index in memory, whose model reads words, and of one with real videos."""

import json
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from mmclip4clip.apis.server import Limits, Service, create_app
from mmclip4clip.moving_shapes.generator import write_video
from mmclip4clip.search import FixedWindows
from mmclip4clip.search.index import VideoIndex
from mmclip4clip.search.index_model import EncodedQuery, IndexedFile

from ...search.fakes import FakeModel, vector_of

LOCAL = {'localhost', '127.0.0.1', '::1'}


class VideoModel(FakeModel):
    """Knows real video files by their names: ``dog cat.mp4`` has a segment for each word."""

    def encode_files(self, files, plan, digest, num_workers):
        for path in files:
            words = Path(path).stem.split()
            segments = [(None, None), *((float(number), number + 1.0) for number in range(len(words)))]
            vectors = np.stack([vector_of(word) for word in (' '.join(words), *words)])
            yield IndexedFile(path, float(len(words)), segments, vectors, [], digest(path))

    def encode_query(self, query):
        vector = sum(term.weight * vector_of(Path(term.value).name) for term in query)
        if not np.linalg.norm(vector):
            raise ValueError('the terms of the query cancel each other')
        return EncodedQuery((vector / np.linalg.norm(vector)).astype(np.float32), [1.0])


def write_clip(path: Path, seconds: int = 2) -> Path:
    """Write a video whose gray value is 60 + 40 per second, at 10 frames a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    grays = 60 + 40 * (np.arange(10 * seconds) // 10)
    write_video(
        str(path), np.broadcast_to(grays[:, None, None, None], (len(grays), 48, 64, 3)).astype(np.uint8), 10
    )
    return path


def post(client, path, **content):
    """Send JSON, and return the status and the JSON of the answer."""
    answer = client.post(path, json=content)
    return answer.status_code, answer.json()


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Three videos in two folders."""
    folder = tmp_path_factory.mktemp('served').resolve() / 'videos'
    for name in ('dog cat.mp4', 'sun moon.mp4', 'new/tree.mp4'):
        write_clip(folder / name)
    return folder


@pytest.fixture(scope='module')
def index_folder(folder):
    """The index of the three videos."""
    index = VideoIndex.create(folder.parent / 'index', VideoModel(), FixedWindows(1, 1))
    index.update([folder])
    index.close()
    return folder.parent / 'index'


@pytest.fixture(scope='module')
def served(index_folder):
    """Serve an index; returns clients, which are closed at the end of the module."""
    clients = []

    def served(folder=None, hosts=LOCAL, **limits):
        folder = folder or index_folder
        service = Service(folder, lambda: VideoIndex.open(folder, VideoModel()), Limits(**limits))
        client = TestClient(
            create_app(service, hosts), base_url='http://127.0.0.1', raise_server_exceptions=False
        )
        client.__enter__()
        clients.append(client)
        return client

    yield served
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture(scope='module')
def client(served):
    """The server of the three videos."""
    return served()


def found(client, **content) -> list[dict]:
    """Return the answers of a search."""
    status, answer = post(client, '/search', **content)
    assert status == 200, json.dumps(answer)
    return answer['answers']
