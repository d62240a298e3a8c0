"""Ranks and post-processing in small blocks against the whole matrix."""

import numpy as np
import pytest

from mmclip4clip.evaluation import (
    caption_group_scores,
    dual_softmax,
    qb_norm,
    ranks_of_captions,
    ranks_of_videos,
)
from mmclip4clip.evaluation.functional import score_blocks
from mmclip4clip.evaluation.functional.score_blocks import ComputedScores, count_not_finite, row_blocks


@pytest.fixture(params=[np.float32, np.float64])
def case(request):
    """Scores with ties, and captions of videos in any order, several of some."""
    rng = np.random.default_rng(0)
    index = np.concatenate([np.arange(7), rng.integers(0, 7, 20)])
    rng.shuffle(index)
    return rng.integers(-4, 5, (27, 7)).astype(request.param) / 4, index


FUNCTIONS = dict(
    videos=lambda s, index: ranks_of_videos(s, index),
    groups=lambda s, index: caption_group_scores(s, index),
    captions=lambda s, index: ranks_of_captions(s, index),
    best=lambda s, index: ranks_of_captions(s, index, 'best_caption'),
    dual=lambda s, index: dual_softmax(s, 3.7, axis=0),
    dual_backwards=lambda s, index: dual_softmax(s, 3.7, axis=1),
    qb=lambda s, index: qb_norm(s[:9], s, k=2),
)


@pytest.mark.parametrize('block', [1, 15, 40])  # scores: 1, 2 and 5 captions
@pytest.mark.parametrize('name', FUNCTIONS)
def test_blocks_change_nothing(case, name, block, monkeypatch):
    whole = FUNCTIONS[name](*case)
    monkeypatch.setattr(score_blocks, 'BLOCK', block)
    found = FUNCTIONS[name](*case)
    if 'dual' in name or name == 'qb':
        np.testing.assert_allclose(found, whole, rtol=1e-12)  # sums in another order
        np.testing.assert_array_equal(found >= found[:, :1], whole >= whole[:, :1])  # ties stay ties
    else:
        np.testing.assert_array_equal(found, whole)


def test_group_scores_are_the_maxima_of_the_captions_of_each_video(case, monkeypatch):
    similarity, index = case
    monkeypatch.setattr(score_blocks, 'BLOCK', 15)  # blocks that divide the captions of a video
    expected = [similarity[index == video].max(axis=0) for video in range(7)]
    np.testing.assert_array_equal(caption_group_scores(similarity, index), expected)


def test_best_captions_are_counted_one_by_one(case):
    similarity, index = case
    expected = []
    for video in range(7):
        best = similarity[index == video, video].max()
        expected.append(1 + sum(s[video] >= best for s, own in zip(similarity, index) if own != video))
    assert ranks_of_captions(similarity, index, 'best_caption').tolist() == expected


def test_computed_scores_are_ranked_without_the_matrix(case, monkeypatch):
    similarity, index = case
    monkeypatch.setattr(score_blocks, 'BLOCK', 15)
    largest = []

    def compute(rows):
        largest.append(similarity[rows].size)
        return similarity[rows]

    scores = ComputedScores(compute, similarity.shape, similarity.dtype)
    np.testing.assert_array_equal(ranks_of_videos(scores, index), ranks_of_videos(similarity, index))
    for protocol in ('caption_groups', 'best_caption'):
        found = ranks_of_captions(scores, index, protocol)
        np.testing.assert_array_equal(found, ranks_of_captions(similarity, index, protocol))
    # A block has at least all captions of a video.
    assert max(largest) == max(14, np.bincount(index).max() * similarity.shape[1]) < similarity.size


def test_blocks_cover_all_rows_once(monkeypatch):
    monkeypatch.setattr(score_blocks, 'BLOCK', 10)
    for shape in ((7, 3), (7, 100), (0, 3), (3, 0)):
        rows = [row for block in row_blocks(shape) for row in range(block.start, block.stop)]
        assert rows == list(range(shape[0]))
    scores = np.ones((7, 3))
    scores[0, 0], scores[6, 2] = np.nan, np.inf
    assert count_not_finite(scores) == 2


def test_captions_in_the_order_of_their_videos_are_read_without_copies(case):
    similarity, index = case
    order = np.argsort(index, kind='stable')
    for function in (ranks_of_captions, caption_group_scores):
        np.testing.assert_array_equal(function(similarity[order], index[order]), function(similarity, index))
