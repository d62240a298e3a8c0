"""Wrong answers, and the page about a dump, with videos of several captions, ties, groups, and faults."""

import numpy as np
import pytest
from PIL import Image

from mmclip4clip.evaluation import VideoRecord, recall_figures
from mmclip4clip.evaluation.dump_page import write_dump_page
from mmclip4clip.evaluation.functional import rank_histogram, ranks_of_videos, recall_curve
from mmclip4clip.evaluation.records import stack_scores
from mmclip4clip.evaluation.wrong_answers import find_wrong_answers
from mmclip4clip.visualization.retrieval_figures import similarity_map


def record(name, captions, scores, **fields):
    return VideoRecord(name, f'/videos/{name}.mp4', captions, scores=np.array(scores), **fields)


@pytest.fixture
def records():
    """Video a has a caption at rank 1 and one at 3, b a tie, c is right, and d cannot be read."""
    return [
        record('a', ['a <cat>', 'one cat'], [[0.9, 0.1, 0.2, -1.0], [0.3, 0.5, 0.4, -1.0]], group='pets'),
        record('b', ['a dog'], [[0.1, 0.6, 0.6, -1.0]], group='pets'),
        record('c', ['a bird'], [[0.0, 0.1, 0.9, -1.0]]),
        record('d', ['a fish'], [[0.0, 0.1, 0.9, -1.0]], unreadable='no frames'),
    ]


@pytest.fixture
def many():
    """40 videos of 1 to 3 captions, with scores of few values, so that many are equal."""
    rng = np.random.default_rng(0)
    return [
        record(f'v{v}', [f'caption {v} {n}' for n in range(1 + v % 3)],
               rng.integers(0, 12, (1 + v % 3, 40)) / 8 + 0.5 * np.eye(40)[v], group=f'g{v % 7}')
        for v in range(40)
    ]  # fmt: skip


def test_wrong_answers_name_the_worst_caption_of_each_video_and_what_is_before_it(records):
    worst, tied = find_wrong_answers(records)
    assert worst[:4] == (0, 1, 3, 0.3) and worst.above == [(1, 0.5), (2, 0.4)]
    assert tied[:4] == (1, 0, 2, 0.6) and tied.above == [(2, 0.6)]
    assert find_wrong_answers(records, count=1, most_above=1) == [worst._replace(above=[(1, 0.5)])]


def test_wrong_answers_have_the_ranks_of_a_count_by_loops(many):
    found = find_wrong_answers(many, None, 100)
    worst = {}
    for video, item in enumerate(many):
        ranks = [sum(score >= row[video] for score in row) for row in item.scores]
        if max(ranks) > 1:
            worst[video] = max(ranks)
    assert {answer.video: answer.rank for answer in found} == worst and len(worst) > 10
    assert [answer.rank for answer in found] == sorted(worst.values(), reverse=True)
    for answer in found:
        row = many[answer.video].scores[answer.caption]
        assert len(answer.above) == answer.rank - 1 and answer.score == row[answer.video]
        assert all(row[video] == score >= answer.score for video, score in answer.above)


def test_recalls_are_sums_of_the_histogram_and_points_of_the_curve(many):
    ranks = ranks_of_videos(*stack_scores(many)[:2])
    figures, bins, curve = recall_figures(ranks), rank_histogram(ranks, 40), recall_curve(ranks, 40)
    assert [(bin.first, bin.last) for bin in bins] == [(1, 1), (2, 5), (6, 10), (11, 20), (21, 40)]
    for k in (1, 5, 10):
        share = 100 * sum(bin.queries for bin in bins if bin.last <= k) / len(ranks)
        assert share == pytest.approx(figures[f'R{k}']) == pytest.approx(curve[k - 1])
    assert sum(bin.queries for bin in bins) == len(ranks) == 79 and curve[-1] == 100
    with pytest.raises(ValueError, match='ranks must be from 1 to 3'):
        rank_histogram(np.array([1, 4]), 3)


@pytest.mark.parametrize('total', [1, 3, 5, 10, 11, 1000])
def test_ranges_of_ranks_cover_all_without_overlap(total):
    bins = rank_histogram(np.arange(1, total + 1), total)
    assert sum((list(range(bin.first, bin.last + 1)) for bin in bins), []) == list(range(1, total + 1))
    assert all(bin.queries == bin.last - bin.first + 1 for bin in bins)


def test_unreadable_videos_have_no_color_and_many_videos_are_thinned_out(records):
    scores = stack_scores(records)
    (picture,) = similarity_map(*scores[:2], [False] * 3 + [True]).axes[0].images
    shown = picture.get_array()
    assert shown.mask[:, 3].all() and not shown.mask[:, :3].any() and shown[0].tolist()[:3] == [0.9, 0.1, 0.2]
    assert picture.get_clim() == (0.0, 0.9)
    large = np.random.default_rng(1).random((1300, 1300))
    axis = similarity_map(large, np.arange(1300)).axes[0]
    assert axis.images[0].get_array().shape == (434, 434) and 'third video' in axis.get_title()
    np.testing.assert_array_equal(axis.images[0].get_array(), large[::3, ::3])


def test_the_page_shows_figures_pictures_and_wrong_answers(records, tmp_path):
    path = write_dump_page(tmp_path / 'report', records, 'my <test>', frames=True)
    page = path.read_text()
    assert '<h1>my &lt;test&gt;</h1>' in page and page.count('data:image/png') == 3
    assert '3 of 5 captions' in page and page.count('<section>') == 2
    first, second = page.split('<section>')[1:]
    assert '“one cat”' in first and 'right video, rank 3, 0.3000' in first
    assert 'rank 1, 0.5000, the same group' in first and 'rank 2, 0.4000</b>' in first
    assert 'a &lt;cat&gt;' in first and '<cat>' not in page and 'rank 1, 0.6000, the same score' in second
    for name in ('similarity', 'ranks', 'recall'):
        assert Image.open(tmp_path / f'report/{name}.png').size[0] > 300
    assert page.count('cannot be read') == 5  # the files do not exist


def test_the_axes_of_a_single_video_have_whole_numbers():
    axes = similarity_map(np.array([[0.5]]), np.array([0])).axes[0]
    assert [float(tick).is_integer() for tick in (*axes.get_xticks(), *axes.get_yticks())].count(False) == 0
