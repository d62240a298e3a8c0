from types import SimpleNamespace

import pytest
import torch
from mmaction.registry import LOOPS
from mmaction.structures import ActionDataSample

from mmclip4clip.evaluation import score_videos
from mmclip4clip.evaluation.scoring import rerank as module
from mmclip4clip.evaluation.scoring.rerank import RerankedScores, report_rerank, worst_listed
from mmclip4clip.models import MeanAdapter, TightAdapter, WTIAdapter, XPoolAdapter

ALL = torch.ones(3, dtype=torch.bool)
CHEAP = torch.tensor([[0.9, 0.8, 0.1], [0.7, 0.2, 0.3], [0.6, 0.5, 0.4]])


def shortlist(cheap, top, counted):
    return module.shortlist(cheap, top, worst_listed(cheap.split(2), top, counted))


def rerank(adapter, text, videos, top, counted):
    text = text if isinstance(text, dict) else dict(text=text)
    scores = RerankedScores(adapter, text, videos, top, counted)
    lists = [scores.lists(torch.full((len(counted),), number)) for number in range(scores.total)]
    return scores.rows(slice(None)), torch.stack(lists, dim=1)


@pytest.fixture(autouse=True, params=[2**21, 9])
def captions_at_once(monkeypatch, request):
    """All captions at once, and two or three."""
    monkeypatch.setattr(module, 'AT_ONCE', request.param)


def test_the_shortlist_has_the_best_videos_of_captions_and_the_best_captions_of_videos():
    assert shortlist(CHEAP, 1, ALL).int().tolist() == [[1, 1, 0], [1, 0, 0], [1, 0, 1]]
    assert shortlist(CHEAP, 2, ALL).int().tolist() == [[1, 1, 0], [1, 0, 1], [1, 1, 1]]
    assert shortlist(CHEAP, 5, ALL).all()


def test_captions_of_all_processes_compete_for_a_video(monkeypatch):
    monkeypatch.setattr(module, 'all_gather', lambda best: [best, torch.tensor([[0.0, 0.95, 0.35]])])
    listed = shortlist(CHEAP, 1, ALL)  # another process's caption is better for videos 1 and none other
    assert listed.tolist() == [[True, False, False], [True, False, False], [True, False, True]]


def test_a_caption_that_two_processes_have_competes_once():
    twice = torch.cat([CHEAP, CHEAP[:1]])  # the sampler's padding
    listed = shortlist(twice, 2, torch.tensor([True, True, True, False]))
    assert listed[:3].tolist() == shortlist(CHEAP, 2, ALL).tolist()


@pytest.fixture
def pairs():
    adapter = TightAdapter(width=16, num_layers=2, num_heads=2, max_frames=4, start='random').eval()
    for parameter in adapter.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return adapter, torch.randn(5, 16), dict(frames=torch.randn(4, 3, 16), frame_mask=torch.ones(4, 3))


@torch.no_grad()
def test_listed_pairs_score_exactly_and_all_others_below_them_in_the_cheap_order(pairs):
    adapter, text, videos = pairs
    exact, cheap = adapter.similarity(text, videos), adapter.cheap_similarity(text, videos)
    scores, listed = rerank(adapter, text, videos, 1, torch.ones(5, dtype=torch.bool))
    assert 0 < listed.sum() < listed.numel()
    torch.testing.assert_close(scores[listed], exact[listed])
    assert scores[~listed].max() < scores[listed].min()
    assert torch.equal(scores[~listed].argsort(), cheap[~listed].argsort())
    everything, listed = rerank(adapter, text, videos, 5, torch.ones(5, dtype=torch.bool))
    assert listed.all()
    torch.testing.assert_close(everything, exact)


def test_only_captions_that_are_counted_and_not_listed_with_their_own_video_are_missed():
    listed = shortlist(CHEAP, 1, ALL)
    own = listed[torch.arange(3), torch.tensor([2, 1, 2])]
    figures = report_rerank(1, own, torch.tensor([True, True, True]))
    assert figures == {'rerank/top': 1, 'rerank/missed': 2, 'rerank/captions': 3}
    figures = report_rerank(1, own, torch.tensor([True, False, True]))
    assert figures == {'rerank/top': 1, 'rerank/missed': 1, 'rerank/captions': 2}


@pytest.mark.parametrize('build', [lambda: WTIAdapter(16, num_layers=0), lambda: XPoolAdapter(16)])
@torch.no_grad()
def test_wti_and_xpool_are_reranked_too(build):
    adapter = build().eval()
    videos, text = adapter.encode(torch.randn(4, 3, 16), torch.ones(4, 3)), dict(text=torch.randn(5, 16))
    if adapter.uses_tokens:
        text = dict(tokens=torch.randn(5, 2, 16), text_mask=torch.ones(5, 2))
    exact, counted = adapter.similarity(text, videos), torch.ones(5, dtype=torch.bool)
    scores, listed = rerank(adapter, text, videos, 1, counted)
    assert 0 < listed.sum() < listed.numel()
    torch.testing.assert_close(scores[listed], exact[listed])
    assert scores[~listed].max() < scores[listed].min()
    torch.testing.assert_close(rerank(adapter, text, videos, 5, counted)[0], exact)


def model_of(adapter):
    model = torch.nn.Linear(1, 1)
    model.adapter, model.similarity = adapter, adapter.similarity
    return model


def make_samples(text, videos):
    samples = []
    for i in range(4):
        names = dict(video_id=f'{i}', filename=f'{i}.mp4', captions=['a', 'b'][: 1 if i else 2])
        sample = ActionDataSample(metainfo=names)
        sample.set_field({k: v[i] for k, v in videos.items()}, 'video_features')
        sample.set_field(dict(text=text[i : i + 1] if i else text[[0, 4]]), 'text_features')
        samples.append(sample)
    return samples


@torch.no_grad()
def test_videos_are_reranked_and_it_is_said_how_much_is_missed(pairs, caplog):
    adapter, text, videos = pairs
    samples = make_samples(text, videos)
    extra = score_videos(model_of(adapter), samples, rerank_top=1)
    rows = text[[0, 4, 1, 2, 3]]
    listed = shortlist(adapter.cheap_similarity(rows, videos), 1, torch.ones(5, dtype=torch.bool))
    missed = sum(not listed[n, v] for n, v in enumerate([0, 0, 1, 2, 3]))
    assert extra == {'rerank/top': 1, 'rerank/missed': missed, 'rerank/captions': 5}
    exact = make_samples(text, videos)
    assert score_videos(model_of(adapter), exact) == {}
    ours, theirs = (torch.cat([s.scores for s in part]) for part in (samples, exact))
    torch.testing.assert_close(ours[listed], theirs[listed])


def test_an_adapter_that_scores_all_pairs_at_once_is_refused(pairs):
    samples = make_samples(pairs[1], dict(frames=torch.randn(4, 16)))
    for sample in samples:
        sample.set_field(dict(video=sample.video_features['frames']), 'video_features')
    with pytest.raises(ValueError, match='rerank_top=1 needs .* MeanAdapter scores all pairs at once'):
        score_videos(model_of(MeanAdapter()), samples, rerank_top=1)


def test_a_shortlist_of_nothing_is_refused():
    with pytest.raises(ValueError, match='rerank_top must be at least 1, got 0'):
        LOOPS.get('VideoTextTestLoop')(
            SimpleNamespace(), torch.utils.data.DataLoader([0]), SimpleNamespace(), rerank_top=0
        )


class Transposed(TightAdapter):
    """Its cheap score is its own, and not contiguous in memory."""

    def cheap_similarity(self, text, videos):
        return super().cheap_similarity(text, videos).T.contiguous().T


@pytest.mark.parametrize('kind', [TightAdapter, Transposed])
@torch.no_grad()
def test_all_pairs_are_scored_in_one_call_which_prepares_the_videos_once(kind, pairs, monkeypatch):
    adapter, text, videos = pairs
    expected = rerank(adapter, text, videos, 2, torch.ones(5, dtype=torch.bool))
    adapter.__class__, sizes = kind, []

    def pair_similarity(text, videos, pairs):
        sizes.append(len(pairs))
        return kind.pair_similarity(adapter, text, videos, pairs)

    monkeypatch.setattr(adapter, 'pair_similarity', pair_similarity)
    torch.testing.assert_close(rerank(adapter, text, videos, 2, torch.ones(5, dtype=torch.bool)), expected)
    assert sizes == [int(expected[1].sum())]


@torch.no_grad()
def test_a_process_without_captions_has_empty_scores(pairs):
    adapter, _, videos = pairs
    scores = RerankedScores(adapter, dict(text=torch.zeros(0, 16)), videos, 2, torch.ones(0).bool())
    assert scores.rows(slice(None)).shape == (0, 4) and scores.lists(torch.ones(0).long()).shape == (0,)
