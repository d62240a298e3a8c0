import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from mmclip4clip.evaluation import (
    caption_group_scores,
    group_ranks,
    ranks_of_captions,
    ranks_of_videos,
    recall_figures,
)

# Captions 0 and 1 describe video 0, caption 2 video 1, caption 3 video 2.
SIMILARITY = np.array([[0.9, 0.1, 0.2], [0.3, 0.8, 0.4], [0.5, 0.5, 0.1], [0.2, 0.3, 0.6]])
OWNER = np.array([0, 0, 1, 2])


def test_text_to_video_by_hand():
    # Caption 1's video is last of three; caption 2's is tied for first, so it is second.
    assert ranks_of_videos(SIMILARITY, OWNER).tolist() == [1, 3, 2, 1]


def test_video_to_text_by_hand():
    groups = np.array([[0.9, 0.8, 0.4], [0.5, 0.5, 0.1], [0.2, 0.3, 0.6]])
    assert np.array_equal(caption_group_scores(SIMILARITY, OWNER), groups)
    assert ranks_of_captions(SIMILARITY, OWNER).tolist() == [1, 2, 1]
    assert ranks_of_captions(SIMILARITY, OWNER, 'best_caption').tolist() == [1, 2, 1]


@pytest.mark.parametrize('dtype', [np.uint8, np.uint64, np.int32])
def test_unsorted_video_indices_of_any_integer_type_are_ranked(dtype):
    order = np.array([3, 1, 2, 0])
    ranks = ranks_of_captions(SIMILARITY[order], OWNER[order].astype(dtype))
    assert ranks.tolist() == ranks_of_captions(SIMILARITY, OWNER).tolist()


def test_the_two_protocols_differ_when_one_video_has_two_captions_that_beat_the_right_one():
    similarity = np.array([[0.9, 0.8], [0.9, 0.7], [0.1, 0.5]])
    video_index = np.array([0, 0, 1])
    assert ranks_of_captions(similarity, video_index).tolist() == [1, 2]
    assert ranks_of_captions(similarity, video_index, 'best_caption').tolist() == [1, 3]


def test_a_collapsed_model_is_last_and_not_first():
    ranks = ranks_of_videos(np.zeros((4, 3)), OWNER)
    assert ranks.tolist() == [3, 3, 3, 3]
    assert ranks_of_captions(np.zeros((4, 3)), OWNER).tolist() == [3, 3, 3]


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused(bad):
    similarity = SIMILARITY.copy()
    similarity[1, 2] = bad
    for function in (ranks_of_videos, ranks_of_captions):
        with pytest.raises(ValueError, match='1 of the 12 similarities are NaN or infinite'):
            function(similarity, OWNER)


def test_shapes_owners_and_protocols_are_checked():
    with pytest.raises(ValueError, match=r'\(4, 3\) and \(3,\)'):
        ranks_of_videos(SIMILARITY, OWNER[:3])
    with pytest.raises(ValueError, match='video_index must be from 0 to 2, got 0 to 3'):
        ranks_of_videos(SIMILARITY, OWNER + np.array([0, 0, 0, 1]))
    with pytest.raises(ValueError, match=r'without a caption .*\[2\]'):
        ranks_of_captions(SIMILARITY[:3], OWNER[:3])
    with pytest.raises(ValueError, match="got 'sentences'"):
        ranks_of_captions(SIMILARITY, OWNER, 'sentences')


def test_group_ranks_are_those_of_each_caption_compared_singly():
    rng = np.random.default_rng(0)
    groups = [None if g == 0 else f'g{g}' for g in rng.integers(0, 6, 20)]
    video_index, scores = rng.integers(0, 20, 50), rng.integers(0, 9, (50, 20)).astype(float)  # with ties
    expected = [
        sum(
            scores[n, v] >= scores[n, video_index[n]]
            for v in range(20)
            if groups[v] == groups[video_index[n]]
        )
        for n in range(50)
        if groups[video_index[n]] is not None and groups.count(groups[video_index[n]]) > 1
    ]
    assert group_ranks(scores, video_index, groups).tolist() == expected


def test_many_grouped_videos_are_ranked_group_by_group():
    """8,000 videos in pairs, each of one array's row: as many comparisons as captions times group size."""

    class Counted(np.ndarray):
        compared = 0

        def __ge__(self, other):
            Counted.compared += self.size
            return np.asarray(self) >= other

    groups = [video // 2 for video in range(2000)]
    scores = np.random.default_rng(0).random((2000, 2000))
    ranks = group_ranks(scores.view(Counted), np.arange(2000), groups)
    assert Counted.compared == 2000 * 2 and len(ranks) == 2000


def test_group_ranks_compare_within_the_group_only():
    # Videos 0 and 1 are rivals, video 2 is alone: caption 3 does not count.
    assert group_ranks(SIMILARITY, OWNER, ['g', 'g', 'h']).tolist() == [1, 2, 2]
    assert group_ranks(SIMILARITY, OWNER, [None, None, None]).tolist() == []


def test_figures_by_hand():
    assert recall_figures(np.array([1, 2, 3, 10]), (1, 3)) == dict(R1=25.0, R3=75.0, MdR=2.5, MnR=4.0)
    with pytest.raises(ValueError, match='no ranks'):
        recall_figures(np.array([]))


@given(st.data())
def test_ranks_equal_a_count_by_loops(data):
    captions, videos = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 6))
    values = st.sampled_from([0.0, 0.25, 0.5, 1.0])  # few values, so that ties are common
    similarity = data.draw(npst.arrays(float, (captions + videos, videos), elements=values))
    video_index = np.array(
        [
            *range(videos),
            *data.draw(st.lists(st.integers(0, videos - 1), min_size=captions, max_size=captions)),
        ]
    )
    for n, rank in enumerate(ranks_of_videos(similarity, video_index)):
        others = [similarity[n, v] for v in range(videos) if v != video_index[n]]
        assert rank == 1 + sum(s >= similarity[n, video_index[n]] for s in others)
    groups = ranks_of_captions(similarity, video_index)
    for v, rank in enumerate(groups):
        best = [
            max(similarity[n, v] for n in range(len(video_index)) if video_index[n] == g)
            for g in range(videos)
        ]
        assert rank == 1 + sum(best[g] >= best[v] for g in range(videos) if g != v)


def test_one_caption_a_video_makes_both_directions_transposes():
    square = np.random.default_rng(0).random((5, 5))
    video_index = np.arange(5)
    assert np.array_equal(ranks_of_captions(square, video_index), ranks_of_videos(square.T, video_index))
    assert np.array_equal(
        ranks_of_captions(square, video_index, 'best_caption'), ranks_of_captions(square, video_index)
    )


def test_the_lower_median_is_the_lower_of_the_two_in_the_middle():
    for ranks, mean, lower in (([4, 1, 2, 9], 3, 2), ([4, 1, 9], 4, 4), ([7], 7, 7), ([2, 1], 1.5, 1)):
        ranks = np.array(ranks)
        assert recall_figures(ranks)['MdR'] == mean
        assert recall_figures(ranks, lower_median=True)['MdR'] == lower
