import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

import cv2
import numpy as np
from matplotlib.axes import Axes

from mmclip4clip.evaluation import VideoRecord
from mmclip4clip.visualization import draw_captions, write_caption_page

BLUE = np.zeros((96, 384, 3), np.uint8) + np.array([40, 70, 235], np.uint8)  # RGB
RECORDS = [
    VideoRecord(
        'a <b>.mp4',
        'a.mp4',
        ['<i>one</i>', 'pays $5 $'],
        generated='<script>alert(1)</script>',
        cider=12.345,
    ),
    VideoRecord('c.mp4', 'c.mp4', ['two'], generated='', cider=0.0, unreadable='no <moov>'),
]
NOTES = ['place 1 of 2', 'place 2 of 2']


class Page(HTMLParser):
    """What a browser would make of a page: its tags, and its text."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.text = [], []
        self.feed(path.read_text(encoding='utf-8'))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


def test_a_page_holds_frames_and_captions_and_runs_nothing(tmp_path):
    write_caption_page(tmp_path / 'p.html', RECORDS, [BLUE, None], NOTES, 'test: captions', 'CIDEr < 5')
    page = Page(tmp_path / 'p.html')
    for text in (
        '<script>alert(1)</script>',
        '<i>one</i>',
        'pays $5 $',
        'a <b>.mp4 · CIDEr 12.3 · place 1 of 2',
        'no caption',
        'cannot be read no <moov>',
        'CIDEr < 5',
    ):
        assert text in page.text, text
    kinds = [tag for tag, _ in page.tags]
    assert 'script' not in kinds and 'i' not in kinds and kinds.count('section') == 2
    (source,) = [attrs['src'] for tag, attrs in page.tags if tag == 'img']
    assert not [attrs for _, attrs in page.tags if 'href' in attrs]  # nothing is loaded from elsewhere
    jpeg = base64.b64decode(re.fullmatch('data:image/jpeg;base64,(.*)', source)[1])
    shown = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert shown.shape == BLUE.shape and np.abs(shown.astype(int) - BLUE).max() < 12


def test_a_picture_shows_the_frames_in_their_colours(tmp_path):
    draw_captions(tmp_path / 'p.png', RECORDS, [BLUE, None], NOTES, 'test: captions')
    picture = cv2.imread(str(tmp_path / 'p.png'))[..., ::-1].astype(int)
    blue = np.abs(picture - BLUE[0, 0]).max(axis=2) < 8
    rows, columns = np.nonzero(blue)
    height, width = blue.shape
    assert blue.sum() > 10000 and rows.max() < 0.6 * height and columns.max() < width / 2
    assert (picture[:, width // 2 :].sum(axis=2) < 300).sum() > 300  # text


def test_references_and_long_captions_are_drawn_as_they_are_and_shortened(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(Axes, 'text', lambda self, x, y, text, **kwargs: drawn.append((text, kwargs)))
    record = replace(RECORDS[0], captions=['one', 'pays $5 $', 'three', 'four'], generated='word ' * 99)
    draw_captions(tmp_path / 'p.png', [record], [BLUE], NOTES[:1], 'test: captions')
    (generated, _), (below, _) = drawn
    assert generated.endswith(' …') and len(generated) <= 130 and len(generated.splitlines()) == 2
    assert below.splitlines() == ['a <b>.mp4 · CIDEr 12.3 · place 1 of 2', '“one”', '“pays $5 $”', '“three”']
    assert not any(kwargs['parse_math'] for _, kwargs in drawn)
