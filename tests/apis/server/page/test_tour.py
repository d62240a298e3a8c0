"""A tour of the page with the demo's trained model; ``make tour`` writes the pictures of docs/tour.md."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from mmclip4clip.safe_json import read_json

from .browser import Visit, find_chromium

ROOT = Path(__file__).parents[4]
DEMO = Path(os.environ.get('MMCLIP4CLIP_DEMO', ROOT / 'work_dirs/demo'))
TOUR = os.environ.get('MMCLIP4CLIP_TOUR')  # folder of the pictures
PICTURES = ['start', 'answers', 'why', 'similar', 'image-and-words', 'narrow-and-dark']
MAX_BYTES = 200_000
QUERY = 'a red star moves to the left'


@pytest.fixture(scope='module')
def address():
    """The command, with the index of ``make demo``."""
    find_chromium()
    if not (DEMO / 'index').exists():
        pytest.skip(f'there is no {DEMO}/index: make demo writes it')
    command = [
        sys.executable,
        '-m',
        'mmclip4clip',
        'serve',
        str(DEMO / 'index'),
        '--port',
        '0',
        '--device',
        'cpu',
    ]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = server.stdout.readline()
        yield re.search(r'http://\S+', line).group()
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture
def tour(browser, address, tmp_path):
    """Open the page; its pictures have 256 colors, to be small."""
    folder = Path(TOUR) if TOUR else tmp_path
    visits = []

    def open_page(width, height, **options):
        visit = Visit(browser, address, folder, viewport=dict(width=width, height=height), **options)
        visits.append(visit)
        visit.page.wait_for_selector('#about:not(:empty)')
        return visit

    yield open_page
    for visit in visits:
        visit.close()


def keep(visit, name: str) -> None:
    """Take a picture of the tour."""
    assert name in PICTURES
    path = visit.picture(f'tour-{name}')
    Image.open(path).convert('RGB').quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    assert path.stat().st_size < MAX_BYTES


def is_trained() -> bool:
    """Whether the demo's model finds most videos; that of a short training does not."""
    return read_json(DEMO / 'test/metrics.json')[-1]['retrieval/R1'] > 50


def test_a_sentence_finds_its_video_before_the_reversed_one(tour):
    visit = tour(1120, 700)
    keep(visit, 'start')
    visit.search(QUERY)
    names = visit.names()
    keep(visit, 'answers')
    if is_trained():
        assert names[0] == 'red_star_left_0.mp4'
        assert names.index('red_star_left_0.mp4') < names.index('red_star_right_0.mp4')


def test_reasons_and_similar_videos_are_shown(tour):
    visit = tour(1120, 900)
    visit.search(QUERY)
    first = visit.names()[0]
    visit.page.get_by_role('button', name=f'Why: {first}').click()
    visit.page.wait_for_selector('.frames')
    visit.page.get_by_role('button', name='Pause').or_(
        visit.page.get_by_role('button', name='Play', exact=True)
    ).wait_for()
    keep(visit, 'why')
    visit.page.keyboard.press('Escape')
    visit.page.get_by_role('button', name=f'Similar: {first}').click()
    visit.page.wait_for_selector('.chip img')
    visit.page.wait_for_selector('.card')
    assert first not in visit.names()
    visit.page.set_viewport_size(dict(width=1120, height=700))
    keep(visit, 'similar')


def test_an_image_is_combined_with_words(tour, address, tmp_path):
    visit = tour(1120, 700)
    visit.search('a green square')
    picture = visit.page.locator('.card img').first.get_attribute('src')
    (tmp_path / 'square.jpg').write_bytes(visit.context.request.get(address + picture).body())
    visit.page.set_input_files('#file', tmp_path / 'square.jpg')
    visit.page.wait_for_selector('.chip canvas')
    visit.search('a star')
    keep(visit, 'image-and-words')


def test_a_telephone_at_night(tour):
    visit = tour(360, 740, color_scheme='dark', has_touch=True, is_mobile=True)
    visit.search(QUERY)
    keep(visit, 'narrow-and-dark')
    assert visit.page.evaluate('document.documentElement.scrollWidth') <= 360


def test_docs_show_the_pictures_of_this_run():
    text = (ROOT / 'docs/tour.md').read_text()
    assert re.findall(r'images/tour-([\w-]+)\.png', text) == PICTURES
    assert '\nmake tour\n' in text and '\ntour:' in (ROOT / 'Makefile').read_text()
    sizes = [(ROOT / f'docs/images/tour-{name}.png').stat().st_size for name in PICTURES]
    assert max(sizes) < MAX_BYTES
