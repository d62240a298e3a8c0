import numpy as np
import pytest
import torch
from mmaction.registry import MODELS

from mmclip4clip.search import FeatureLayout, pack_features, score_stored, text_vectors, video_vectors

HEADS = {
    'MeanAdapter': {},
    'TightAdapter': dict(num_layers=1, num_heads=2, start='random'),
    'WTIAdapter': dict(num_layers=1, num_heads=2, start='random'),
    'XPoolAdapter': {},
}


def build(clip, head):
    model = MODELS.build(
        dict(
            type='CLIP4ClipRetriever',
            backbone=dict(type='CLIPBackbone', config=clip),
            adapter=dict(type=head, **HEADS[head]),
        )
    ).eval()
    for parameter in model.adapter.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.fixture(params=HEADS)
def case(request, tiny_clip):
    """A model, features of 2 texts and of 5 videos, and their scores."""
    model = build(tiny_clip, request.param)
    width = model.backbone.width
    mask = (torch.arange(3) < torch.tensor([3, 1, 2, 3, 3])[:, None]).long()
    text = dict(text=torch.randn(2, width))
    if model.adapter.uses_tokens:
        text = dict(tokens=torch.randn(2, 4, width), text_mask=torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0]]))
    with torch.no_grad():
        videos = model.adapter.encode(torch.randn(5, 3, width), mask)
        return model, text, videos, model.similarity(text, videos).numpy()


@pytest.mark.parametrize('at_once', [2, 256])
def test_stored_videos_score_as_the_head_scores_them(case, at_once):
    model, text, videos, scores = case
    layout = FeatureLayout.of(videos)
    contents = pack_features(layout, videos)
    for row in range(2):
        one = {key: part[row : row + 1] for key, part in text.items()}
        found = score_stored(model, one, layout, contents, videos_at_once=at_once)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, scores[row], atol=5e-3 * np.abs(scores).max())
    found = score_stored(model, text, layout, contents[::-1], weights=[1.0, -0.5], videos_at_once=at_once)
    expected = (scores[0] - scores[1] / 2)[::-1]
    np.testing.assert_allclose(found, expected, atol=1e-2 * np.abs(scores).max())


def test_the_layout_of_a_model_is_that_of_its_features(case):
    model, _, videos, _ = case
    assert FeatureLayout.of_model(model) == FeatureLayout.of(videos)


def test_an_empty_shortlist_has_no_scores(case):
    model, text, videos, _ = case
    assert score_stored(model, text, FeatureLayout.of(videos), []).shape == (0,)


def test_another_number_of_weights_is_refused(case):
    model, text, videos, _ = case
    with pytest.raises(ValueError, match='one weight for each of the 2 texts, got 1'):
        score_stored(model, text, FeatureLayout.of(videos), [], weights=[1.0])


def test_scores_that_are_not_finite_are_refused(case):
    model, text, videos, _ = case
    layout = FeatureLayout.of(videos)
    broken = {key: part.float() * float('nan') if key != 'text_mask' else part for key, part in text.items()}
    with pytest.raises(ValueError, match='5 scores are NaN or infinite'):
        score_stored(model, broken, layout, pack_features(layout, videos))


@torch.no_grad()
def test_every_head_has_unit_vectors_of_one_width_for_texts_and_videos(case):
    model, text, videos, scores = case
    captions, clips = text_vectors(model.adapter, text), video_vectors(model.adapter, videos)
    assert captions.shape == (2, model.backbone.width) and clips.shape == (5, model.backbone.width)
    for vectors in (captions, clips):
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(vectors)))
    if type(model.adapter).__name__ == 'MeanAdapter':
        np.testing.assert_allclose(captions @ clips.T, scores, atol=1e-6)


def test_an_adapter_without_vectors_is_refused_by_name():
    with pytest.raises(TypeError, match='Linear has no vectors to search with: it must be a PooledAdapter'):
        text_vectors(torch.nn.Linear(1, 1), {})
    with pytest.raises(TypeError, match='Linear has no vectors to search with'):
        video_vectors(torch.nn.Linear(1, 1), {})
