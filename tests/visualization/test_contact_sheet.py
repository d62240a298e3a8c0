import base64
import os
import re
from html import unescape
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmclip4clip.search.answers import Answer
from mmclip4clip.visualization import write_contact_sheet
from mmclip4clip.visualization.contact_sheet import describe_moment, format_time, link_to

from ..videos import at_rate, decode_in_order, write_frames

NAME = 'a "dog" & <b>cat #1?.mp4'


@pytest.fixture(scope='module')
def clip(tmp_path_factory) -> Path:
    """Four seconds of moving noise, in a file whose name needs escapes."""
    return write_frames(tmp_path_factory.mktemp('clips') / NAME, at_rate(10, 40))


@pytest.fixture
def answers(clip, tmp_path) -> list[Answer]:
    """A moment, a whole video, a text file named .mp4, and a file that is gone."""
    (tmp_path / 'text.mp4').write_text('no video')
    return [
        Answer(0.9, str(clip), 2.0, 3.0, 4.0),
        Answer(0.5, str(clip), None, None, 4.0),
        Answer(0.2, str(tmp_path / 'text.mp4'), 0.0, 1.0, 4.0),
        Answer(0.1, str(tmp_path / 'gone.mp4'), 0.0, 1.0, 4.0),
    ]


def pictures(page: str) -> list[np.ndarray]:
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    return [cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), 1)[..., ::-1] for data in found]


def test_a_page_shows_frames_of_each_moment_and_needs_no_other_file(answers, clip, tmp_path):
    write_contact_sheet(tmp_path / 'sheet.html', answers, 'a <dog>')
    page = (tmp_path / 'sheet.html').read_text()
    moment, whole = pictures(page)
    assert moment.shape == whole.shape == (96, 5 * 128, 3)
    frames = [cv2.resize(frame, (128, 96)).astype(int) for frame in decode_in_order(clip)]

    def nearest(part: np.ndarray) -> int:
        return int(np.argmin([np.abs(frame - part).mean() for frame in frames]))

    shown = [nearest(moment[:, 128 * i : 128 * (i + 1)]) for i in range(5)]
    assert shown[0] == 20 and shown == sorted(shown) and shown[-1] in (29, 30)
    assert nearest(whole[:, :128]) == 0 and nearest(whole[:, -128:]) == 39
    assert 'src="data' in page and not re.search(r'(src|href)="(?!data:|file:///)', page)


def test_a_page_escapes_names_and_links_to_the_start_of_the_moment(answers, clip, tmp_path):
    write_contact_sheet(str(tmp_path / 'sheet.htm'), answers, 'a <dog> & "more"')
    page = (tmp_path / 'sheet.htm').read_text()
    assert '<dog>' not in page and '<b>cat' not in page
    assert '<h1>a &lt;dog&gt; &amp; &quot;more&quot;</h1>' in page
    links = [unescape(link) for link in re.findall(r'href="([^"]+)"', page)]
    assert links[0] == f'{clip.as_uri()}#t=2,3' and '%231%3F.mp4#t' in links[0]
    assert clip.as_uri() in links and page.count('score ') == 4 and '0:02-0:03' in page


def test_videos_that_are_gone_or_unreadable_are_shown_as_such(answers, tmp_path):
    write_contact_sheet(tmp_path / 'sheet.html', answers, 'x')
    page = (tmp_path / 'sheet.html').read_text()
    assert page.count('cannot be read') == 1 and page.count('does not exist any more') == 1


def test_a_picture_has_the_frames_of_the_moment_and_any_name(answers, tmp_path):
    write_contact_sheet(tmp_path / 'sheet.png', answers, r'pays $\foo$ and gets $')
    picture = cv2.imread(str(tmp_path / 'sheet.png'))[..., ::-1].astype(int)
    green = np.abs(picture - (0x1A, 0x98, 0x50)).max(axis=2) < 10
    assert picture.shape[1] > 1000 and green.sum() > 100  # two columns, the best one is framed
    write_contact_sheet(tmp_path / 'gone.png', answers[3:], 'x')
    write_contact_sheet(tmp_path / 'moment.png', answers[:1], 'x')
    gone, moment = (cv2.imread(str(tmp_path / f'{name}.png')).std() for name in ('gone', 'moment'))
    assert moment > gone + 10


@pytest.mark.parametrize('ending', ['png', 'html'])
def test_no_answers_are_a_sheet_too(tmp_path, ending):
    write_contact_sheet(tmp_path / f'sheet.{ending}', [], 'a dog')
    assert (tmp_path / f'sheet.{ending}').stat().st_size > 100


def test_a_picture_shows_the_first_hundred_answers(tmp_path, monkeypatch):
    monkeypatch.setattr('mmclip4clip.visualization.contact_sheet.MAX_PICTURE', 4)
    sizes = []
    for count in (4, 50):
        write_contact_sheet(tmp_path / 'sheet.png', [Answer(0.1, '/gone.mp4', 0.0, 1.0, 2.0)] * count, 'x')
        sizes.append(cv2.imread(str(tmp_path / 'sheet.png')).shape)
    assert sizes[0] == sizes[1]


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r'ends in .png or .html'):
        write_contact_sheet(tmp_path / 'sheet.pdf', [], 'x')


def test_a_file_name_that_is_no_text_can_be_shown_and_opened(tmp_path):
    name = os.fsdecode(b'/videos/\xff.mp4')
    write_contact_sheet(tmp_path / 'sheet.html', [Answer(0.1, name, 1.0, 2.5, 3.0)], name)
    assert 'file:///videos/%FF.mp4#t=1,2.5' in (tmp_path / 'sheet.html').read_text(encoding='utf-8')
    write_contact_sheet(tmp_path / 'sheet.png', [Answer(0.1, name, 1.0, 2.5, 3.0)], name)


@pytest.mark.parametrize(
    'seconds, shown',
    [(0, '0:00'), (62.5, '1:02.5'), (59.96, '1:00'), (0.04, '0:00'), (600, '10:00'), (3661.3, '1:01:01.3')],
)
def test_times_are_minutes_and_seconds(seconds, shown):
    assert format_time(seconds) == shown


def test_moments_without_an_end_last_to_the_end_of_the_video():
    answer = Answer(0.1, '/v.mp4', 62.5, None, 80.0)
    assert describe_moment(answer) == '1:02.5-1:20' and link_to(answer) == 'file:///v.mp4#t=62.5'
    long = Answer(0.1, '/v.mp4', 1234567.5, 1234577.25, 2e6)
    assert link_to(long) == 'file:///v.mp4#t=1234567.5,1234577.25'
