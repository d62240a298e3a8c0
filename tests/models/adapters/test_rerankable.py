import pytest
import torch

from mmclip4clip.models import TightAdapter, WTIAdapter, XPoolAdapter
from mmclip4clip.models.adapters import RerankableAdapter

from .plain import unit

D, BLOCKS = 16, dict(width=16, num_layers=2, num_heads=2, max_frames=8, start='random')
HEADS = {
    'Tight': (TightAdapter, dict(BLOCKS, pairs_at_once=4)),
    'WTI': (WTIAdapter, dict(BLOCKS, pairs_at_once=4)),
    'XPool': (XPoolAdapter, dict(width=D, num_heads=2, pairs_at_once=4)),
}


@pytest.fixture(params=HEADS)
def scored(request):
    """A head with random weights, the features of 5 captions and of 4 videos, and its scores."""
    build, arguments = HEADS[request.param]
    adapter = build(**arguments).eval()
    for parameter in adapter.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    mask = (torch.arange(3) < torch.tensor([3, 1, 2, 3])[:, None]).long()
    text = dict(text=torch.randn(5, D))
    if adapter.uses_tokens:
        lengths = torch.tensor([4, 1, 3, 2, 4])[:, None]
        text = dict(tokens=torch.randn(5, 4, D), text_mask=(torch.arange(4) < lengths).long())
    with torch.no_grad():
        videos = adapter.encode(torch.randn(4, 3, D), mask)
        return adapter, text, videos, adapter.similarity(text, videos)


@torch.no_grad()
def test_single_pairs_score_as_in_the_matrix_in_any_order_and_number(scored):
    adapter, text, videos, scores = scored
    for pairs in (torch.tensor([], dtype=torch.long), torch.tensor([7]), torch.randperm(20), torch.arange(9)):
        found = adapter.pair_similarity(text, videos, pairs)
        torch.testing.assert_close(found, scores.flatten()[pairs], rtol=1e-5, atol=1e-5)


def test_gradients_of_single_pairs_are_those_of_the_matrix(scored):
    adapter, text, videos, _ = scored
    inputs = next(iter(text.values())).requires_grad_()
    (expected,) = torch.autograd.grad(adapter.similarity(text, videos).sum(), inputs)
    (found,) = torch.autograd.grad(adapter.pair_similarity(text, videos, torch.arange(20)).sum(), inputs)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('at_once', [1, 6, 1000])
@torch.no_grad()
def test_the_size_of_chunks_changes_no_score_of_a_pair(scored, at_once):
    adapter, text, videos, scores = scored
    adapter.pairs_at_once = at_once
    pairs = torch.randperm(20)
    found = adapter.pair_similarity(text, videos, pairs)
    torch.testing.assert_close(found, scores.flatten()[pairs], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_cheap_vectors_have_unit_length_and_their_cosine_is_the_cheap_score(scored):
    adapter, text, videos, _ = scored
    captions, clips = adapter.cheap_text(text), adapter.cheap_video(videos)
    assert len(captions) == 5 and len(clips) == 4
    for vectors in (captions, clips):
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(vectors)))
    torch.testing.assert_close(adapter.cheap_similarity(text, videos), captions @ clips.T)


@torch.no_grad()
def test_padding_changes_no_cheap_vector(scored):
    adapter, text, videos, _ = scored
    alone = {key: part[1:2, :1] for key, part in videos.items()}  # one real frame
    torch.testing.assert_close(adapter.cheap_video(alone)[0], adapter.cheap_video(videos)[1])
    if adapter.uses_tokens:
        one = {key: part[1:2, :1] for key, part in text.items()}
        torch.testing.assert_close(adapter.cheap_text(one)[0], adapter.cheap_text(text)[1])


@torch.no_grad()
def test_the_score_of_a_word_and_a_frame_of_wti_is_its_cheap_score():
    adapter = WTIAdapter(width=D, num_layers=0)
    text = dict(tokens=torch.randn(3, 1, D), text_mask=torch.ones(3, 1))
    videos = adapter.encode(torch.randn(2, 1, D), torch.ones(2, 1))
    torch.testing.assert_close(adapter.cheap_similarity(text, videos), adapter.similarity(text, videos))


@torch.no_grad()
def test_without_attention_the_score_of_xpool_is_its_cheap_score():
    adapter = XPoolAdapter(width=D).eval()
    torch.nn.init.zeros_(adapter.q_proj.weight)
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    text, videos = dict(text=torch.randn(3, D)), adapter.encode(torch.randn(2, 3, D), mask)
    torch.testing.assert_close(adapter.cheap_similarity(text, videos), adapter.similarity(text, videos))


@torch.no_grad()
def test_the_cheap_score_of_tight_is_the_cosine_with_the_mean_of_unit_frames():
    adapter = TightAdapter(**BLOCKS)
    text, frames = torch.randn(2, D), torch.randn(1, 3, D)
    videos = adapter.encode(frames, torch.tensor([[1, 1, 0]]))
    mean = unit(frames[0, 0]) + unit(frames[0, 1])
    expected = torch.stack([unit(caption) @ unit(mean) for caption in text])[:, None]
    torch.testing.assert_close(adapter.cheap_similarity(dict(text=text), videos), expected)


class OnlyCheapScores(RerankableAdapter):
    """An adapter of an earlier version."""

    def pool(self, frames, frame_mask):
        return dict(video=frames[:, 0])

    def similarity(self, text, videos):
        return text['text'] @ videos['video'].T

    def cheap_similarity(self, text, videos):
        return self.similarity(text, videos).tanh()

    def pair_similarity(self, text, videos, pairs):
        return self.similarity(text, videos).flatten()[pairs]


def test_an_adapter_with_cheap_scores_but_no_vectors_reranks_and_is_refused_by_name_for_search():
    adapter, text = OnlyCheapScores(), dict(text=torch.eye(2))
    videos = adapter.encode(torch.eye(2)[:, None], torch.ones(2, 1))
    assert adapter.cheap_similarity(text, videos).argmax(dim=1).tolist() == [0, 1]
    with pytest.raises(NotImplementedError, match=r'OnlyCheapScores has no cheap_text\(\): search needs'):
        adapter.cheap_text(text)
    with pytest.raises(NotImplementedError, match=r'OnlyCheapScores has no cheap_video\(\)'):
        adapter.cheap_video(videos)
