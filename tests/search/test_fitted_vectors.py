from types import SimpleNamespace

import pytest
import torch

from mmclip4clip.models import MeanAdapter, TightAdapter
from mmclip4clip.search.fitted_vectors import FittedVectors
from mmclip4clip.search.random_captions import random_captions
from mmclip4clip.tokenizers.loading import train_tokenizer

D = 8


class Ordered(TightAdapter):
    """A score that is linear in the caption and sees only the difference of the first two frames."""

    def similarity(self, text, videos):
        caption, frames = self.cheap_text(text), videos['frames']
        return caption @ (frames[:, 0] - frames[:, 1]).T + frames[:, 0, 0]


@pytest.fixture
def fitted():
    adapter = Ordered(width=D, num_layers=1, num_heads=2, max_frames=4, start='random').eval()
    model = SimpleNamespace(adapter=adapter, similarity=adapter.similarity, pool=adapter.pool)
    return model, FittedVectors(model, dict(text=torch.randn(200, D)))


@torch.no_grad()
def test_videos_rank_as_by_a_score_that_the_mean_frame_cannot_tell(fitted):
    model, vectors = fitted
    frames = torch.randn(6, 2, D)
    frames = torch.cat([frames, frames.flip(1)]) / 4  # the same means
    videos, text = model.adapter.encode(frames, torch.ones(12, 2)), dict(text=torch.randn(20, D))
    exact = model.similarity(text, videos)
    found = vectors.of_texts(text) @ vectors.of_videos(videos).T
    assert torch.stack([torch.corrcoef(pair)[0, 1] for pair in torch.stack([exact, found], 1)]).min() > 0.99
    assert torch.equal(found.argmax(dim=1), exact.argmax(dim=1))
    cheap = model.adapter.cheap_similarity(text, videos)
    torch.testing.assert_close(cheap[:, :6], cheap[:, 6:])  # what it replaces


@torch.no_grad()
def test_vectors_have_unit_length_even_of_videos_beyond_the_bound(fitted):
    model, vectors = fitted
    for size in (0.0, 1.0, 1e4):
        videos = model.adapter.encode(size * torch.randn(3, 2, D), torch.ones(3, 2))
        torch.testing.assert_close(vectors.of_videos(videos).norm(dim=1), torch.ones(3))
    torch.testing.assert_close(vectors.of_texts(dict(text=torch.randn(3, D))).norm(dim=1), torch.ones(3))


def test_the_same_probes_give_the_same_vectors(fitted):
    model, vectors = fitted
    videos = model.adapter.encode(torch.randn(3, 2, D), torch.ones(3, 2))
    again = FittedVectors(model, vectors.probes)
    assert again.bound == vectors.bound and torch.equal(again.of_videos(videos), vectors.of_videos(videos))


def test_an_adapter_whose_score_is_the_cosine_needs_none():
    with pytest.raises(TypeError, match='need a RerankableAdapter, got MeanAdapter'):
        FittedVectors(SimpleNamespace(adapter=MeanAdapter()), {})


def test_random_captions_are_words_of_the_tokenizer_and_repeatable(tmp_path):
    tokenizer = train_tokenizer(['a dog runs', 'a cat sleeps in 3 boxes!'], tmp_path)
    captions = random_captions(tokenizer, 50, words=(2, 4))
    assert captions == random_captions(tokenizer, 50, words=(2, 4)) != random_captions(tokenizer, 50, seed=1)
    assert {len(caption.split()) for caption in captions} == {2, 3, 4}
    words = {word for caption in captions for word in caption.split()}
    known = {tokenizer.decode([token]).strip() for token in range(len(tokenizer))}
    assert words <= known and all(word.isalpha() for word in words) and len(words) > 20


def test_a_vocabulary_without_words_is_refused():
    class Digits(list):
        def decode(self, ids):
            return str(ids[0])

    with pytest.raises(ValueError, match='the vocabulary of Digits has no words'):
        random_captions(Digits(range(5)))
