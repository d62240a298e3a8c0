import re

import cv2
import numpy as np
import pytest

from mmclip4clip.search.answers import Answer, FrameScore, Reasons, WordMatch
from mmclip4clip.visualization import write_contact_sheet
from mmclip4clip.visualization.gallery import read_strip
from mmclip4clip.visualization.score_bars import bars_svg, describe_reasons, score_range, shown_frames

from ..videos import at_rate, decode_in_order, write_frames


def made(scores, words=None, first=0.0):
    return Reasons(0.5, [FrameScore(first + i / 2, score, None) for i, score in enumerate(scores)], words)


def bars(svg):
    return [float(height) for height in re.findall(r'<rect [^>]*height="([\d.]+)"', svg)]


def test_bars_of_all_answers_have_one_scale():
    one, other = made([0.125, 0.375]), made([0.375, 0.625])
    limits = score_range([one, None, other])
    assert limits == (0.125, 0.625)
    first, second = bars(bars_svg(one, 200, limits)), bars(bars_svg(other, 200, limits))
    assert first[1] == second[0] and first[0] == pytest.approx(2.0) and second[1] == pytest.approx(40.0)
    assert first[1] == pytest.approx(21.0)  # half between the lowest and the highest
    assert describe_reasons(other, limits).startswith('\u2585\u2588 best 0:00.5 (0.625)')


def test_equal_scores_have_equal_bars_and_the_first_is_the_best():
    reasons = made([0.25, 0.25, 0.25])
    assert describe_reasons(reasons, score_range([reasons])) == '\u2585\u2585\u2585 best 0:00 (0.250)'
    assert len(set(bars(bars_svg(reasons, 200, score_range([reasons]))))) == 1


def test_words_stand_under_their_best_frame_and_are_no_markup():
    words = [WordMatch('a', 2, 0.1, 0.2), WordMatch('<b>', 0, 0.3, 0.4), WordMatch('star', 2, 0.5, 0.4)]
    svg = bars_svg(made([0.1, 0.2, 0.3, 0.4], words), 400, (0.1, 0.4))
    texts = re.findall(r'<text x="([\d.]+)" [^>]*>([^<]*)</text>', svg)
    assert ('50.0', '&lt;b&gt;') in texts and ('250.0', 'a star') in texts


@pytest.mark.parametrize('count', [1, 7, 8, 9, 64])
def test_each_part_of_a_long_video_is_shown_by_its_best_frame(count):
    scores = np.random.default_rng(count).random(count).tolist()
    shown = shown_frames(made(scores), 8)
    assert len(shown) == min(count, 8) and shown == sorted(set(shown))
    assert scores.index(max(scores)) in shown


def test_the_strip_has_the_frames_of_the_times(tmp_path):
    clip = write_frames(tmp_path / 'clip.mp4', np.array([0, 0.1, 0.5, 0.6, 1.4, 2.0]), b_frames=0)
    strip = read_strip(str(clip), times=[0.1, 1.4])
    frames = decode_in_order(clip)
    for place, number in enumerate((1, 4)):
        expected = cv2.resize(frames[number], (128, 96)).astype(int)
        found = strip[:, 128 * place : 128 * place + 120].astype(int)
        assert np.abs(found - expected[:, :120]).max() <= 2


def test_sheets_with_reasons_show_answers_with_and_without_them(tmp_path):
    clip = write_frames(tmp_path / 'clip.mp4', at_rate(10, 40))
    answers = [Answer(0.5, str(clip), None, None, 4.0), Answer(0.4, '/gone.mp4', 0.0, 1.0, 2.0)]
    words = [WordMatch('star', 2, 0.5, 0.4)]
    reasons = [made(np.linspace(0.1, 0.4, 8).tolist(), words), None]
    write_contact_sheet(tmp_path / 's.html', answers, 'x', reasons, ['a <note>', ''])
    page = (tmp_path / 's.html').read_text()
    assert page.count('<svg') == 1 and page.count('<rect') == 8 and '<p>a &lt;note&gt;</p>' in page
    assert 'from 0.100 (lowest) to 0.400 (highest)' in page and 'does not exist any more' in page
    write_contact_sheet(tmp_path / 's.png', answers, 'x', reasons)
    write_contact_sheet(tmp_path / 'plain.png', answers, 'x')
    picture, plain = (cv2.imread(str(tmp_path / name)) for name in ('s.png', 'plain.png'))
    blue = (picture == (168, 95, 31)).all(axis=2).sum()  # the best bar
    assert blue > 200 and not (plain == (168, 95, 31)).all(axis=2).any()
