import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmaction.registry import LOOPS
from mmaction.structures import ActionDataSample
from mmengine.evaluator import Evaluator

from mmclip4clip.evaluation import (
    QueryBank,
    VideoRecord,
    make_record,
    ranks_of_captions,
    ranks_of_videos,
    score_videos,
)
from mmclip4clip.models import MeanAdapter

module = sys.modules[score_videos.__module__]


def sample(video, captions):
    texts = [f'caption {number}' for number in range(len(captions))]
    result = ActionDataSample(metainfo=dict(video_id=str(video), filename='v.mp4', captions=texts))
    unit = torch.nn.functional.normalize(torch.tensor(video), dim=0)
    result.set_field(dict(video=unit), 'video_features')
    result.set_field(dict(text=torch.tensor(captions)), 'text_features')
    return result


@pytest.fixture
def model():
    """A model that only compares."""
    model = torch.nn.Linear(1, 1)
    model.similarity = MeanAdapter().similarity
    return model


SAMPLES = (([1.0, 0.0], [[1.0, 0.0], [0.0, 2.0]]), ([0.0, 1.0], [[3.0, 4.0]]), ([1.0, 1.0], [[1.0, -1.0]]))


def test_each_caption_is_scored_with_every_video(model):
    samples = [sample(*s) for s in SAMPLES]
    score_videos(model, samples)
    half = 0.5**0.5
    torch.testing.assert_close(samples[0].scores, torch.tensor([[1.0, 0.0, half], [0.0, 1.0, half]]))
    torch.testing.assert_close(samples[1].scores, torch.tensor([[0.6, 0.8, 1.4 * half]]))
    torch.testing.assert_close(samples[2].scores, torch.tensor([[half, -half, 0.0]]))


def test_a_model_without_parameters_scores(model):
    samples, others = ([sample(*s) for s in SAMPLES] for _ in range(2))
    score_videos(model, samples)
    plain = torch.nn.Module()
    plain.similarity = model.similarity
    score_videos(plain, others)
    for one, other in zip(samples, others):
        assert torch.equal(one.scores, other.scores)


def test_what_cannot_be_scored_is_said(model):
    with pytest.raises(ValueError, match='there are no videos to score'):
        score_videos(model, [])
    nameless = sample(*SAMPLES[0])
    nameless.pop('video_id')
    with pytest.raises(KeyError, match='needs video_id, filename, captions; this one lacks video_id'):
        score_videos(model, [nameless])


def test_processes_score_their_own_captions_with_all_videos_in_the_datasets_order(model, monkeypatch):
    # Three videos on two processes: 0 and 2 here, 1 and again 0 (the sampler's padding) there.
    here, there = [sample(*SAMPLES[i]) for i in (0, 2)], [sample(*SAMPLES[i]) for i in (1, 0)]
    monkeypatch.setattr(module, 'get_world_size', lambda: 2)
    monkeypatch.setattr(
        module,
        'all_gather_object',
        lambda pieces: [
            pieces,
            ['unreadable' in s if isinstance(pieces[0], bool) else s.video_features for s in there],
        ],
    )
    score_videos(model, here, 3)
    alone = [sample(*s) for s in SAMPLES]
    monkeypatch.undo()
    score_videos(model, alone)
    assert torch.equal(here[0].scores, alone[0].scores)
    assert torch.equal(here[1].scores, alone[2].scores)


def test_nan_on_another_process_is_refused_here_too(model, monkeypatch):
    monkeypatch.setattr(module, 'all_reduce', lambda count: count.add_(2))
    with pytest.raises(ValueError, match='2 similarities are NaN'):
        score_videos(model, [sample(*s) for s in SAMPLES])


class TwoCaptions:
    """A query bank of two captions without a tokenizer."""

    add_scores = QueryBank.add_scores

    def scores(self, model, videos, device, fp16):
        return model.similarity(dict(text=torch.eye(2)), videos)


def test_each_process_scores_its_own_videos_with_the_whole_bank(model, monkeypatch):
    here, there = [sample(*SAMPLES[i]) for i in (2, 0)], [sample(*SAMPLES[i]) for i in (1, 2)]
    monkeypatch.setattr(module, 'get_world_size', lambda: 2)
    monkeypatch.setattr(
        module,
        'all_gather_object',
        lambda pieces: [
            pieces,
            ['unreadable' in s if isinstance(pieces[0], bool) else s.video_features for s in there],
        ],
    )
    score_videos(model, here, 3, query_bank=TwoCaptions())
    half = 0.5**0.5
    torch.testing.assert_close(here[0].bank_scores, torch.tensor([half, half]))
    torch.testing.assert_close(here[1].bank_scores, torch.tensor([1.0, 0.0]))
    assert here[0].scores.shape == (1, 3)


def test_a_bank_and_a_shortlist_are_refused_together():
    kind = LOOPS.get('VideoTextTestLoop')
    with pytest.raises(ValueError, match='rerank_top=5 avoids that'):
        kind(
            SimpleNamespace(),
            torch.utils.data.DataLoader([0]),
            Evaluator([]),
            rerank_top=5,
            query_bank=dict(ann_file='train.json'),
        )


def test_an_unreadable_video_is_last_for_every_caption_and_found_by_none(model):
    samples = [sample(*s) for s in SAMPLES]
    samples[1].set_metainfo(dict(unreadable='empty'))
    score_videos(model, samples)
    scores = torch.cat([s.scores for s in samples])
    own, others = scores[:, 1], scores[:, [0, 2]]
    assert own.max() < others.min() and len(set(own.tolist())) == 1
    assert ranks_of_videos(scores.numpy(), np.array([0, 0, 1, 2])).tolist()[2] == 3
    assert ranks_of_captions(scores.numpy(), np.array([0, 0, 1, 2])).tolist()[1] == 3
    assert not samples[1].video_features['video'].any()
    sound = [sample(*s) for s in SAMPLES]
    score_videos(model, sound)
    assert torch.equal(others, torch.cat([s.scores for s in sound])[:, [0, 2]])


def test_an_unreadable_video_of_another_process_is_last_here_too(model, monkeypatch):
    here, there = [sample(*SAMPLES[i]) for i in (0, 2)], [sample(*SAMPLES[i]) for i in (1, 0)]
    there[0].set_metainfo(dict(unreadable='empty'))
    monkeypatch.setattr(module, 'get_world_size', lambda: 2)
    monkeypatch.setattr(
        module,
        'all_gather_object',
        lambda pieces: [
            pieces,
            ['unreadable' in s if isinstance(pieces[0], bool) else s.video_features for s in there],
        ],
    )
    monkeypatch.setattr(
        module, 'all_reduce', lambda value, op='sum': value.clamp_(max=-3.0) if op == 'min' else None
    )
    score_videos(model, here, 3)
    assert torch.cat([s.scores for s in here])[:, 1].tolist() == [-4.0] * 3  # one less than the lowest of all


def test_each_sample_gets_its_record_once_scored(model):
    samples = [sample(*s) for s in SAMPLES]
    samples[0].set_metainfo(dict(video_id='v', filename='v.mp4', captions=['a', 'b'], start=1.0, end=None))
    samples[1].set_metainfo(dict(unreadable='empty', generated='what another video shows'))
    score_videos(model, samples, query_bank=TwoCaptions())
    record = samples[0].record
    assert isinstance(record, VideoRecord) and record.window == (1.0, None) and record.captions == ['a', 'b']
    assert np.array_equal(record.scores, samples[0].scores.numpy())
    assert record.text_features['text'].tolist() == SAMPLES[0][1] and record.bank_scores.shape == (2,)
    # What an unreadable video means is the same for the sample and for its record.
    assert samples[1].generated == samples[1].record.generated == ''
    assert samples[1].record.unreadable == 'empty' and not samples[1].record.video_features['video'].any()
    assert make_record(samples[0].to_dict()) is record


def test_features_of_a_model_that_gives_tensors_are_taken_with_a_warning(model):
    samples, ours = [sample(*s) for s in SAMPLES], [sample(*s) for s in SAMPLES]
    for one in samples:
        one.set_field(one.video_features['video'], 'video_features')
        one.set_field(one.text_features['text'], 'text_features')
    with pytest.warns(FutureWarning, match='the model, in video_features, returned features as a tensor'):
        score_videos(model, samples)
    score_videos(model, ours)
    assert all(torch.equal(a.scores, b.scores) for a, b in zip(samples, ours))
