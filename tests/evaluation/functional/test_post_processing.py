import math

import numpy as np
import pytest

from mmclip4clip.evaluation import dual_softmax, qb_norm, ranks_of_captions, ranks_of_videos

BOTH = pytest.mark.parametrize('function', [dual_softmax, lambda s: qb_norm(s, s)], ids=['dual', 'qb'])


def order(scores):
    """The answers of each row, best first."""
    return np.argsort(-np.asarray(scores), axis=1, kind='stable').tolist()


def paper_dual_softmax(similarity, temperature, axis):
    """The published product with Python's floats; a negative similarity is divided by its weight."""
    rows, columns = similarity.shape
    scores = np.zeros((rows, columns))
    for n in range(rows):
        for v in range(columns):
            queries = similarity[:, v] if axis == 0 else similarity[n]
            weight = math.exp(temperature * similarity[n, v]) / math.fsum(
                math.exp(temperature * s) for s in queries
            )
            s = similarity[n, v]
            scores[n, v] = s * weight if s >= 0 else s / weight
    return scores


def paper_qb_norm(similarity, bank, beta, k):
    """The dynamic inverted softmax with Python's floats, one query after another."""
    hubs = set()
    for row in bank:
        hubs.update(sorted(range(len(row)), key=lambda v: -row[v])[:k])
    scores = []
    for row in similarity:
        if max(range(len(row)), key=lambda v: row[v]) in hubs:
            row = [
                math.exp(beta * s) / math.fsum(math.exp(beta * b) for b in bank[:, v])
                for v, s in enumerate(row)
            ]
        scores.append(row)
    return np.array(scores)


def test_dual_softmax_of_two_by_two_by_hand():
    # With a factor of ln 2 the weights of the captions are 2^s: for video 0, 2^3 and 2^2 of 12; for
    # video 1, 2^2 and 2^0 of 5. Caption 0: 3 * 8/12 = 2 beats 2 * 4/5 = 1.6; caption 1 alike.
    similarity = np.array([[3.0, 2.0], [2.0, 0.0]])
    scores = dual_softmax(similarity, math.log(2))
    np.testing.assert_allclose(np.exp(scores[0, 0] - scores[0, 1]), 2 / 1.6)
    np.testing.assert_allclose(np.exp(scores[0, 0] - scores[1, 0]), 2 / (2 * 4 / 12))
    assert scores[1, 1] == 0
    # The mirror: the weights of the videos for caption 0 are 8 and 4 of 12, for caption 1, 4 and 1 of 5.
    mirror = dual_softmax(similarity, math.log(2), axis=1)
    np.testing.assert_allclose(np.exp(mirror[0, 0] - mirror[1, 0]), (3 * 8 / 12) / (2 * 4 / 5))


def test_dual_softmax_gives_a_video_to_the_caption_that_it_prefers():
    similarity = np.array([[0.6, 0.5], [0.9, 0.1]])  # both captions like video 0, which is caption 1's
    assert ranks_of_videos(similarity, np.array([1, 0])).tolist() == [2, 1]
    assert ranks_of_videos(dual_softmax(similarity), np.array([1, 0])).tolist() == [1, 1]
    assert ranks_of_captions(similarity.T, np.array([1, 0])).tolist() == [2, 1]
    assert ranks_of_captions(dual_softmax(similarity.T, axis=1), np.array([1, 0])).tolist() == [1, 1]


def test_a_negative_similarity_gains_nothing_by_being_unlikely():
    similarity = np.array([[0.5, -0.1, -0.2], [0.1, -0.1, 0.3]])
    product = similarity * np.exp(100 * similarity) / np.exp(100 * similarity).sum(axis=0)
    assert order(product)[0] == [0, 2, 1]  # what the product alone would do
    assert order(dual_softmax(similarity))[0] == [0, 1, 2]


@pytest.mark.parametrize('axis', [0, 1])
@pytest.mark.parametrize('seed', range(5))
def test_dual_softmax_orders_as_a_slow_loop_does(axis, seed):
    similarity = np.random.default_rng(seed).uniform(-0.5, 1, (9, 6))
    slow = paper_dual_softmax(similarity, 100.0, axis)
    fast = dual_softmax(similarity, 100.0, axis)
    assert order(fast) == order(slow) and order(fast.T) == order(slow.T)
    positive = similarity > 0
    np.testing.assert_allclose(np.diff(fast[positive]), np.diff(np.log(slow[positive])), atol=1e-9)


def test_a_hub_that_wins_everything_is_demoted():
    similarity = np.array([[0.6, 0.5, 0.1], [0.6, 0.1, 0.5], [0.9, 0.1, 0.1]])  # video 0 is caption 2's only
    bank = np.array([[0.9, 0.1, 0.1], [0.8, 0.1, 0.1]])
    video_index = np.array([1, 2, 0])
    assert ranks_of_videos(similarity, video_index).tolist() == [2, 2, 1]
    assert ranks_of_videos(qb_norm(similarity, bank), video_index).tolist() == [1, 1, 1]


def test_only_queries_whose_best_video_is_a_hub_are_changed():
    similarity = np.array([[0.6, 0.5], [0.5, 0.6]])
    bank = np.array([[0.9, 0.1]])
    scores = qb_norm(similarity, bank, beta=10.0)
    assert scores[1].tolist() == [0.5, 0.6]
    np.testing.assert_allclose(scores[0], [0.6 - 0.9, 0.5 - 0.1])
    changed = qb_norm(similarity, bank, beta=10.0, k=2)  # with two answers a caption, both are hubs
    np.testing.assert_allclose(changed[1], [0.5 - 0.9, 0.6 - 0.1])


@pytest.mark.parametrize('k', [1, 3, 6])
@pytest.mark.parametrize('seed', range(5))
def test_qb_norm_orders_as_a_slow_loop_does(k, seed):
    random = np.random.default_rng(seed)
    similarity = random.uniform(-0.5, 1, (12, 6))
    bank = random.uniform(-0.5, 1, (2, 6))  # so few that with k=1 some rows stay
    slow = paper_qb_norm(similarity, bank, 20.0, k)
    assert order(qb_norm(similarity, bank, 20.0, k)) == order(slow)


def test_videos_that_tie_are_hubs_together_and_stay_tied():
    similarity = np.array([[0.5, 0.5, 0.3]])
    first, second, third = qb_norm(similarity, np.array([[0.9, 0.9, 0.1]]), beta=10.0)[0]
    assert first == second < third
    assert (
        qb_norm(similarity, np.array([[0.2, 0.9, 0.1]]), beta=10.0)[0, 0] != 0.5
    )  # video 1 is tied for best


@pytest.mark.parametrize('seed', range(5))
def test_rounding_errors_of_other_queries_do_not_part_a_tie(seed):
    random = np.random.default_rng(seed)
    others = random.uniform(0, 0.5, (300, 1)).astype(np.float32)
    noise = np.nextafter(others, random.choice([-1, 1], others.shape).astype(np.float32))
    similarity = np.vstack([np.float32([[0.5, 0.5]]), np.hstack([others, noise])])
    assert (similarity[1:, 0] != similarity[1:, 1]).all()
    for scores in (
        dual_softmax(similarity),
        dual_softmax(similarity.T, axis=1).T,
        qb_norm(similarity, similarity),
    ):
        assert scores[0, 0] == scores[0, 1]
    one_step = np.float32([[0.5, np.nextafter(np.float32(0.5), np.float32(1))]])
    assert np.diff(qb_norm(one_step, similarity)) > 0  # what the model tells apart stays so


def test_nothing_overflows_or_vanishes_at_temperature_1000():
    similarity = np.array([[1.0, -1.0, 0.4], [-1.0, 1.0, 0.5], [0.2, 0.3, -1.0]], np.float32)
    for scores in (
        dual_softmax(similarity, 1000.0),
        dual_softmax(similarity, 1000.0, axis=1),
        qb_norm(similarity, similarity[::-1] / 2, 1000.0),
    ):
        assert np.isfinite(scores).all()
        assert all(len(set(row)) == 3 for row in scores.tolist())  # a weight of e^-2000 is not 0
    assert order(dual_softmax(similarity, 1000.0))[0] == [0, 2, 1]


@pytest.mark.parametrize('shape', [(1, 1), (1, 4)])
def test_a_query_alone_is_ranked_as_without_dual_softmax(shape):
    similarity = np.random.default_rng(0).uniform(-1, 1, shape)
    assert order(dual_softmax(similarity)) == order(similarity)
    assert order(dual_softmax(similarity.T, axis=1).T) == order(similarity)


def test_one_video_is_the_answer_to_everything():
    similarity = np.array([[0.3], [-0.2]])
    for scores in (dual_softmax(similarity), qb_norm(similarity, np.array([[0.9]]))):
        assert ranks_of_videos(scores, np.array([0, 0])).tolist() == [1, 1]


def test_zeros_stay_between_positive_and_negative():
    scores = dual_softmax(np.array([[0.1, 0.0, -0.1], [0.0, 0.0, 0.0]]))
    assert scores[0, 0] > scores[0, 1] == 0 > scores[0, 2]
    assert scores[1].tolist() == [0, 0, 0]


@BOTH
@pytest.mark.parametrize('dtype', [np.float16, np.float32, np.float64])
def test_the_plain_scores_are_left_alone(function, dtype):
    similarity = np.random.default_rng(0).uniform(-1, 1, (4, 3)).astype(dtype)
    before = similarity.copy()
    assert function(similarity).dtype == np.float64
    assert np.array_equal(similarity, before)


@BOTH
@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused(function, bad):
    with pytest.raises(ValueError, match='1 of the 4 scores of similarity are NaN or infinite'):
        function(np.array([[bad, 1], [2, 3]]))


def test_nan_in_the_bank_is_refused():
    with pytest.raises(ValueError, match='1 of the 2 scores of bank are NaN or infinite'):
        qb_norm(np.ones((3, 2)), np.array([[1, np.nan]]))


@BOTH
@pytest.mark.parametrize('shape', [(3,), (0, 2), (2, 0), (2, 2, 2)])
def test_shapes_are_checked(function, shape):
    with pytest.raises(ValueError, match=r'expected similarity \(captions, videos\) .*got \('):
        function(np.ones(shape))


def test_a_bank_of_other_videos_and_numbers_out_of_range_are_refused():
    ones = np.ones((2, 3))
    with pytest.raises(ValueError, match=r'expected bank \(captions, 3\) .*got \(2, 4\)'):
        qb_norm(ones, np.ones((2, 4)))
    with pytest.raises(ValueError, match=r'got \(0, 3\)'):
        qb_norm(ones, np.ones((0, 3)))
    for k in (0, 4):
        with pytest.raises(ValueError, match=f'k must be from 1 to 3, the number of videos, got {k}'):
            qb_norm(ones, ones, k=k)
    for bad in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match='beta must be a finite number above 0'):
            qb_norm(ones, ones, beta=bad)
        with pytest.raises(ValueError, match='temperature must be a finite number above 0'):
            dual_softmax(ones, bad)
