"""A browser, a server of videos with a word for each second, and pages that are checked at the end."""

import os
from pathlib import Path

import pytest

from mmclip4clip.apis.server import Service, create_app
from mmclip4clip.search import FixedWindows
from mmclip4clip.search.index import VideoIndex

from ..serving import LOCAL, VideoModel, write_clip
from .browser import Visit, launch, serve

HOSTILE = '<img src=x onerror=alert(1)>.mp4'  # a file may have this name
PICTURES = os.environ.get('MMCLIP4CLIP_SCREENSHOTS')


@pytest.fixture(scope='package')
def browser():
    with launch() as browser:
        yield browser


@pytest.fixture(scope='package')
def address(tmp_path_factory):
    """A server of videos with a word for each second."""
    folder = tmp_path_factory.mktemp('page').resolve()
    names = ['dog cat sun moon.mp4', 'dog tree.mp4', 'new/sun rain wind.mp4', f'new/{HOSTILE}']
    for name in names:
        write_clip(folder / 'videos' / name, seconds=4 if 'moon' in name else 2)
    index = VideoIndex.create(folder / 'index', VideoModel(), FixedWindows(1, 1))
    index.update([folder / 'videos'])
    index.close()
    service = Service(folder / 'index', lambda: VideoIndex.open(folder / 'index', VideoModel()))
    with serve(create_app(service, LOCAL)) as address:
        yield address


@pytest.fixture
def visit(browser, address):
    """The page, opened with options of a browser's context; checked when it is closed."""
    visits = []

    def visit(path='', **options):
        visits.append(Visit(browser, address, PICTURES and Path(PICTURES), **options))
        if path:
            visits[-1].page.goto(address + path)
        return visits[-1]

    yield visit
    for opened in visits:
        opened.close()


@pytest.fixture
def page(visit):
    """A page with answers to "moon"; the best is the last second of a video of four."""
    opened = visit()
    opened.search('moon')
    return opened.page
