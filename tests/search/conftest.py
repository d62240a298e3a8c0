"""An index in memory, and a folder of "videos" for its model."""

import pytest

from mmclip4clip.search import FixedWindows
from mmclip4clip.search.index import VideoIndex

from .fakes import FakeModel, MemoryStore


@pytest.fixture
def videos(tmp_path):
    """Three files of two windows of 10 s each, and a broken one, in two folders."""
    for name, text in {
        'a.mp4': '15 dog cat',
        'b.mp4': '15 sun moon',
        'new/c.mp4': '8 tree',
        'new/broken.mp4': 'broken',
        'text.txt': '5 nothing',
    }.items():
        path = tmp_path / 'videos' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return (tmp_path / 'videos').resolve()


@pytest.fixture
def index(tmp_path, monkeypatch):
    store = MemoryStore()
    monkeypatch.setattr('mmclip4clip.search.index.open_store', lambda *arguments: store)
    return VideoIndex.create(tmp_path / 'index', FakeModel(), FixedWindows(10, 5))
