"""Scores that are not kept give the figures of those that are."""

import pickle
import sys
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmaction.registry import METRICS
from mmaction.structures import ActionDataSample
from mmengine.evaluator import Evaluator

from mmclip4clip.engine.loops import VideoTextTestLoop, video_text_loops
from mmclip4clip.evaluation import (
    RetrievalDump,
    StoredRows,
    VideoTextRetrievalMetric,
    cosine_scores,
    score_rows,
    score_videos,
)
from mmclip4clip.evaluation.cosine_scores import CosineRows, CosineScores, VideoVectors
from mmclip4clip.evaluation.functional import score_blocks
from mmclip4clip.evaluation.records import stack_scores
from mmclip4clip.models import MeanAdapter

module = sys.modules[score_videos.__module__]
# Vectors of length 1 whose products are exact in any order, so that many scores are equal to the bit.
EXACT = torch.cat([torch.eye(4), 0.5 * torch.tensor([[1.0, 1, 1, 1], [1, -1, 1, -1], [-1, -1, 1, 1]])])


@pytest.fixture
def model():
    model = torch.nn.Linear(1, 1)
    model.adapter = MeanAdapter()
    model.similarity = model.adapter.similarity
    return model


def make_samples(seed, videos=9, unreadable=()):
    draw = torch.Generator().manual_seed(seed)
    samples = []
    for number in range(videos):
        count = int(torch.randint(1, 5, (), generator=draw))
        rows = torch.randint(len(EXACT), (count + 1,), generator=draw)
        sample = ActionDataSample(
            metainfo=dict(video_id=f'v{number}', filename='v.mp4', group=f'g{number % 3}')
        )
        sample.set_metainfo(dict(captions=[f'c{n}' for n in range(count)]))
        if number in unreadable:
            sample.set_metainfo(dict(unreadable='empty'))
        sample.set_field(dict(video=EXACT[rows[0]].clone()), 'video_features')
        sample.set_field(dict(text=3 * EXACT[rows[1:]]), 'text_features')
        samples.append(sample)
    return samples


def evaluate(samples, **kwargs):
    metric = METRICS.build(dict(type='VideoTextRetrievalMetric', **kwargs))
    metric.process(None, samples)
    return metric.evaluate(len(samples)), metric.records


@pytest.fixture
def small_blocks(monkeypatch):
    """Keep no scores, and compute four captions at a time."""
    monkeypatch.setattr(score_rows, 'KEPT', 0)
    monkeypatch.setattr(score_blocks, 'BLOCK', 36)


@pytest.mark.parametrize('protocol', ['caption_groups', 'best_caption'])
@pytest.mark.parametrize(('seed', 'unreadable'), [(0, ()), (1, (4,)), (2, (0, 8)), (3, ())])
def test_figures_are_those_of_the_whole_matrix(model, small_blocks, protocol, seed, unreadable):
    kept, computed = (make_samples(seed, unreadable=unreadable) for _ in range(2))
    score_videos(model, kept)
    model.similarity = None  # the whole matrix is not computed
    score_videos(model, computed, in_blocks=True)
    options = dict(v2t_protocol=protocol, post_processing=['dual_softmax'], temperature=5)
    expected, records = evaluate(kept, **options)
    found, others = evaluate(computed, **options)
    assert found == expected and 'retrieval/group_R1' in found
    assert all(isinstance(r.scores, np.ndarray) for r in records)
    assert all(isinstance(r.scores, CosineRows) for r in others)
    for one, other in zip(records, others):
        assert np.array_equal(one.scores, np.asarray(other.scores)) and one.scores.shape == other.scores.shape
        assert np.array_equal(one.scores[-1], other.scores[-1])


class Bank:
    """A query bank of four captions."""

    def add_scores(self, samples, model, device, fp16):
        for sample in samples:
            sample.set_field(EXACT[:4] @ sample.video_features['video'], 'bank_scores')


def test_qb_norm_is_that_of_the_whole_matrix(model, small_blocks):
    kept, computed = make_samples(5), make_samples(5)
    score_videos(model, kept, query_bank=Bank())
    score_videos(model, computed, query_bank=Bank(), in_blocks=True)
    assert (
        evaluate(kept, post_processing=['qb_norm'])[0] == evaluate(computed, post_processing=['qb_norm'])[0]
    )


def test_processes_have_the_rows_of_one(model, small_blocks, monkeypatch):
    alone = make_samples(0, videos=3)
    score_videos(model, alone, in_blocks=True)
    here, there = (
        [make_samples(0, videos=3)[i] for i in (0, 2)],
        [make_samples(0, videos=3)[i] for i in (1, 0)],
    )
    monkeypatch.setattr(module, 'get_world_size', lambda: 2)

    def gather(pieces):
        flags = isinstance(pieces[0], bool)
        return [pieces, ['unreadable' in s if flags else s.video_features for s in there]]

    monkeypatch.setattr(module, 'all_gather_object', gather)
    score_videos(model, here, 3, in_blocks=True)
    received = pickle.loads(pickle.dumps([sample.record for sample in here]))  # as the main process gets them
    for record, expected in zip(received, (alone[0], alone[2])):
        assert np.array_equal(record.scores, expected.record.scores)


def test_records_are_sent_with_each_vector_once(model, small_blocks):
    samples = make_samples(0, videos=100)
    score_videos(model, samples, in_blocks=True)
    rows = [sample.record.scores for sample in samples]
    numbers = sum(len(row) for row in rows) + len(rows)  # vectors of captions and videos
    assert len(pickle.dumps(rows)) < numbers * 4 * EXACT.shape[1] + 1000 * len(rows)


def test_scores_are_kept_for_other_metrics_and_small_tests_and_stored_for_other_heads(model, monkeypatch):
    samples = make_samples(0)
    score_videos(model, samples, in_blocks=True)
    assert isinstance(samples[0].record.scores, np.ndarray)  # 64 MiB are not reached
    monkeypatch.setattr(score_rows, 'KEPT', 0)
    score_videos(model, samples)
    assert isinstance(samples[0].record.scores, np.ndarray)

    class Scaled(MeanAdapter):
        def similarity(self, text, videos):
            return 2 * super().similarity(text, videos)

    model.adapter = Scaled()
    model.similarity = model.adapter.similarity
    score_videos(model, samples, in_blocks=True)
    assert all(isinstance(sample.record.scores, StoredRows) for sample in samples)
    assert max(np.max(sample.record.scores) for sample in samples) == 2


class OwnMetric(VideoTextRetrievalMetric):
    """May index the matrix as it likes."""


@pytest.mark.parametrize(
    ('others', 'in_blocks'), [([], True), ([RetrievalDump], False), ([OwnMetric], False)]
)
def test_the_loop_asks_its_metrics(monkeypatch, tmp_path, others, in_blocks):
    given = []
    monkeypatch.setattr(video_text_loops, 'score_videos', lambda *args: given.append(args))
    metrics = [VideoTextRetrievalMetric()]
    metrics += [kind(str(tmp_path / 'r.pkl')) if kind is RetrievalDump else kind() for kind in others]
    loop = SimpleNamespace(
        runner=SimpleNamespace(model=torch.nn.Linear(1, 1), work_dir='folder'),
        evaluator=Evaluator(metrics),
        dataloader=SimpleNamespace(dataset=[0]),
        rerank_top=None,
        query_bank=None,
        fp16=False,
    )
    VideoTextTestLoop.score(loop, [])
    assert given[0][-2:] == (in_blocks, 'folder')


def test_features_that_are_not_finite_are_refused(model, small_blocks):
    samples = make_samples(0)
    samples[3].text_features['text'][0, 0] = float('nan')
    with pytest.raises(ValueError, match='features are NaN or infinite'):
        score_videos(model, samples, in_blocks=True)


def test_an_entry_of_a_dump_has_the_scores_themselves(model, small_blocks):
    samples = make_samples(0)
    score_videos(model, samples, in_blocks=True)
    entry = samples[0].record.to_dict()
    assert isinstance(entry['scores'], np.ndarray) and entry['scores'].shape == samples[0].scores.shape


def test_memory_does_not_grow_with_the_matrix(model, monkeypatch):
    monkeypatch.setattr(score_rows, 'KEPT', 0)
    samples = make_samples(0, videos=1200)  # about 3,000 captions
    score_videos(model, samples, in_blocks=True)
    _, records = evaluate(samples)
    whole = 4 * np.prod(stack_scores(records).similarity.shape)
    tracemalloc.start()
    evaluate(samples)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert whole > 12 * 2**20 and peak < 4 * 2**20


@pytest.mark.parametrize('protocol', ['caption_groups', 'best_caption'])
@pytest.mark.parametrize('tile', [1, 3, 100])
@pytest.mark.parametrize('unreadable', [(), (2, 5)])
def test_ranks_in_tiles_are_those_of_the_whole_matrix(monkeypatch, protocol, tile, unreadable):
    monkeypatch.setattr(cosine_scores, 'TILE', tile)
    draw = torch.Generator().manual_seed(tile)
    videos = EXACT[torch.randint(len(EXACT), (11,), generator=draw)]
    index = torch.cat([torch.arange(11), torch.randint(11, (14,), generator=draw)])
    index = index[torch.randperm(25, generator=draw)].numpy().astype(np.uint16)
    bad = torch.zeros(11, dtype=torch.bool)
    bad[list(unreadable)] = True
    captions = EXACT[torch.randint(len(EXACT), (25,), generator=draw)]
    scores = CosineScores(captions, VideoVectors(videos, bad, last=-2.0))
    whole = np.asarray(captions @ videos.T)
    whole[:, bad] = -2
    to_video, to_caption = scores.ranks(index, protocol)
    assert to_video.tolist() == [int((row >= row[own]).sum()) for row, own in zip(whole, index)]
    best = [whole[index == video, video].max() for video in range(11)]
    for video in range(11):
        others = [whole[index == other, video] for other in range(11) if other != video]
        ahead = [part.max() for part in others] if protocol == 'caption_groups' else np.concatenate(others)
        assert to_caption[video] == 1 + sum(score >= best[video] for score in ahead)
