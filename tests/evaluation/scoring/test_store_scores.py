"""Scores in a temporary file give the figures of scores in memory."""

import errno
import gc
import os
import pickle
import socket
import tracemalloc

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmaction.registry import METRICS
from mmaction.structures import ActionDataSample

from mmclip4clip.evaluation import StoredRows, retrieval_figures, score_file, score_rows, score_videos
from mmclip4clip.evaluation.functional import score_blocks
from mmclip4clip.evaluation.metrics.retrieval import post_processed_figures
from mmclip4clip.evaluation.records import stack_scores
from mmclip4clip.evaluation.score_file import ScoreFile
from mmclip4clip.evaluation.scoring import rerank, store_scores
from mmclip4clip.models import MeanAdapter, TightAdapter, WTIAdapter, XPoolAdapter

VIDEOS, WIDTH, BANK = 9, 8, 5
# Vectors whose products are exact in any order, so that many scores are equal to the bit.
EXACT = torch.cat([torch.eye(4), 0.5 * torch.tensor([[1.0, 1, 1, 1], [1, -1, 1, -1], [-1, -1, 1, 1]])])


class Doubled(MeanAdapter):
    """Its scores are no cosines, so they are not computed again."""

    def similarity(self, text, videos):
        return 2 * super().similarity(text, videos)


HEADS = dict(
    ties=Doubled,
    tight=lambda: TightAdapter(WIDTH, 1, num_heads=2, max_frames=3, start='random', pairs_at_once=7),
    paper=lambda: TightAdapter(WIDTH, 2, num_heads=2, max_frames=3, start='random', variant='paper'),
    wti=lambda: WTIAdapter(WIDTH, 0, pairs_at_once=20),
    xpool=lambda: XPoolAdapter(WIDTH, num_heads=2),
)


def build(head):
    torch.manual_seed(0)
    model = torch.nn.Linear(1, 1)
    model.adapter = HEADS[head]().eval()
    model.similarity = model.adapter.similarity
    if head in ('tight', 'paper'):  # scores of a random head are almost equal
        torch.nn.init.normal_(model.adapter.score.weight, std=5)
    return model


@torch.no_grad()
def make_samples(head, unreadable=(), videos=VIDEOS, seed=0):
    """Videos of one to three frames in three groups, with one to four captions each."""
    draw = torch.Generator().manual_seed(seed)
    adapter, samples = build(head).adapter, []
    for number in range(videos):
        count = int(torch.randint(1, 5, (), generator=draw))
        sample = ActionDataSample(
            metainfo=dict(video_id=f'v{number}', filename='v.mp4', group=f'g{number % 3}')
        )
        sample.set_metainfo(dict(captions=[f'c{n}' for n in range(count)]))
        if number in unreadable:
            sample.set_metainfo(dict(unreadable='empty'))
        if head == 'ties':
            rows = EXACT[torch.randint(len(EXACT), (count + 1,), generator=draw)]
            video, text = dict(video=rows[0].clone()), dict(text=rows[1:].clone())
        else:
            frames = torch.randn(1, 3, WIDTH, generator=draw)
            mask = (torch.arange(3) < torch.randint(1, 4, (1, 1), generator=draw)).long()
            video = {key: value[0] for key, value in adapter.encode(frames, mask).items()}
            text = dict(text=torch.randn(count, WIDTH, generator=draw))
            if adapter.uses_tokens:
                length = int(torch.randint(1, 5, (), generator=draw))
                tokens = torch.randn(count, length, WIDTH, generator=draw)
                text = dict(tokens=tokens, text_mask=torch.ones(count, length))
        sample.set_field(video, 'video_features')
        sample.set_field(text, 'text_features')
        samples.append(sample)
    return samples


class Bank:
    """A query bank with scores in quarters, some of them equal."""

    def add_scores(self, samples, model, device, fp16):
        for sample in samples:
            draw = torch.Generator().manual_seed(int(sample.video_id[1:]))
            sample.set_field(torch.randint(-4, 5, (BANK,), generator=draw) / 4, 'bank_scores')


def metric_of(samples, protocol='caption_groups'):
    options = dict(v2t_protocol=protocol, post_processing=['dual_softmax', 'qb_norm'], temperature=2)
    metric = METRICS.build(dict(type='VideoTextRetrievalMetric', **options))
    metric.process(None, [sample.to_dict() for sample in samples])
    return metric


def evaluate(samples, protocol='caption_groups', total=VIDEOS):
    metric = metric_of(samples, protocol)
    return metric.evaluate(total), metric.records


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Keep no scores in memory, and score and read four captions at a time."""
    monkeypatch.setattr(score_rows, 'KEPT', 0)
    monkeypatch.setattr(store_scores, 'AT_ONCE', 4 * VIDEOS)
    monkeypatch.setattr(score_blocks, 'BLOCK', 4 * VIDEOS)


@pytest.mark.parametrize('unreadable', [(), (0, 8)])
@pytest.mark.parametrize('head', HEADS)
def test_figures_are_those_of_scores_in_memory(head, unreadable, tmp_path):
    model = build(head)
    kept, stored = (make_samples(head, unreadable) for _ in range(2))
    score_videos(model, kept, query_bank=Bank())
    score_videos(model, stored, query_bank=Bank(), in_blocks=True, folder=str(tmp_path))
    for protocol in ('caption_groups', 'best_caption'):
        (expected, records), (found, others) = (evaluate(s, protocol) for s in (kept, stored))
        assert found == expected and {'retrieval/group_R1', 'retrieval/qb_R1'} <= set(found)
    assert found['retrieval/R1'] < 100
    assert all(isinstance(record.scores, StoredRows) for record in others)
    for one, other in zip(records, others):
        assert one.scores.shape == other.scores.shape and len(one.scores) == len(other.scores)
        np.testing.assert_allclose(other.scores, one.scores, rtol=1e-5, atol=1e-6)  # rounding of a product
        if head == 'ties':
            np.testing.assert_array_equal(other.scores, one.scores)


@pytest.mark.parametrize('at_once', [2**21, 2 * VIDEOS])
@pytest.mark.parametrize('head', ['tight', 'wti', 'xpool'])
def test_figures_of_shortlists_are_those_of_scores_in_memory(head, at_once, tmp_path, monkeypatch):
    monkeypatch.setattr(rerank, 'AT_ONCE', at_once)
    model = build(head)
    kept, stored = (make_samples(head, (4,)) for _ in range(2))
    expected = score_videos(model, kept, rerank_top=2)
    model.similarity = None  # pairs that are not on a list are not scored
    assert score_videos(model, stored, rerank_top=2, in_blocks=True, folder=str(tmp_path)) == expected
    assert expected['rerank/missed'] > 0 and isinstance(stored[0].record.scores, StoredRows)
    assert evaluate_shortlists(stored) == evaluate_shortlists(kept)


def evaluate_shortlists(samples):
    metric = METRICS.build(dict(type='VideoTextRetrievalMetric', post_processing=['dual_softmax']))
    metric.process(None, [sample.to_dict() for sample in samples])
    return metric.evaluate(VIDEOS)


@pytest.mark.parametrize('head', HEADS)
def test_figures_are_those_of_the_plain_functions(head, tmp_path):
    samples = make_samples(head, unreadable=(3,))
    score_videos(build(head), samples, query_bank=Bank(), in_blocks=True, folder=str(tmp_path))
    found, records = evaluate(samples)
    scores = stack_scores(records)
    plain = scores._replace(similarity=np.concatenate([np.asarray(record.scores) for record in records]))
    np.testing.assert_array_equal(np.asarray(scores.similarity), plain.similarity)
    assert (plain.similarity[:, 3] < np.delete(plain.similarity, 3, axis=1).min()).all()
    expected = retrieval_figures(plain)
    expected.update(post_processed_figures(plain, ['dual_softmax', 'qb_norm'], temperature=2))
    assert found == {f'retrieval/{key}': value for key, value in expected.items()} | {
        'retrieval/unreadable_videos': 1.0
    }


def worker(rank, processes, port, folder, out):
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    os.chdir(folder)  # where the records are collected
    torch.set_num_threads(1)
    dist.init_process_group('gloo', rank=rank, world_size=processes)
    store_scores.AT_ONCE = 8 * VIDEOS  # four or two captions of each process
    for head in ('ties', 'wti'):
        every = range(rank, -(-VIDEOS // processes) * processes, processes)
        share = [make_samples(head, unreadable=(4,))[number % VIDEOS] for number in every]
        score_videos(build(head), share, VIDEOS, query_bank=Bank(), in_blocks=True, folder=folder)
        out[processes, rank, head] = evaluate(share)[0]
    listed = [make_samples('wti', unreadable=(4,))[number % VIDEOS] for number in every]
    extra = score_videos(build('wti'), listed, VIDEOS, rerank_top=2, in_blocks=True, folder=folder)
    out[processes, rank, 'listed'] = extra | evaluate_shortlists(listed)
    if rank:
        try:
            np.asarray(share[0].record.scores)
        except RuntimeError as error:
            out['elsewhere'] = str(error)
    flawed = make_samples('wti')[rank::processes]
    if rank:
        flawed[0].text_features['tokens'][0] = float('nan')
    for folder_of, expected in ((folder, 'are NaN or infinite'), (folder + '/missing', 'missing')):
        try:
            score_videos(build('wti'), flawed, VIDEOS, in_blocks=True, folder=folder_of)
        except (OSError, ValueError) as error:  # in every process, so that none waits for another
            out[processes, rank, expected] = str(error)
    dist.destroy_process_group()


def test_figures_do_not_depend_on_the_number_of_processes(tmp_path):
    expected = {}
    for head in ('ties', 'wti'):
        samples = make_samples(head, unreadable=(4,))
        score_videos(build(head), samples, query_bank=Bank())
        expected[head] = evaluate(samples)[0]
    samples = make_samples('wti', unreadable=(4,))
    extra = score_videos(build('wti'), samples, rerank_top=2)
    expected['listed'] = extra | evaluate_shortlists(samples)
    gc.freeze()  # the forks need not look through what is there already
    out = mp.get_context('fork').Manager().dict()
    for processes in (2, 3):
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            port = probe.getsockname()[1]
        mp.start_processes(
            worker, (processes, port, str(tmp_path), out), nprocs=processes, start_method='fork'
        )
        for rank in range(processes):
            assert {head: out[processes, rank, head] for head in expected} == expected
            for reason in ('are NaN or infinite', 'missing'):
                assert reason in out[processes, rank, reason]
    assert 'in a temporary file of its main process' in out['elsewhere']


def test_the_file_is_reserved_at_once_and_goes_with_the_scores(tmp_path):
    samples = make_samples('ties')
    score_videos(build('ties'), samples, in_blocks=True, folder=str(tmp_path))
    record = pickle.loads(pickle.dumps(samples[0].record))  # as records are collected
    np.testing.assert_array_equal(record.scores, samples[0].record.scores)
    file = record.scores.file
    assert file is samples[1].record.scores.file
    assert os.fstat(file.file.fileno()).st_blocks * 512 >= 4 * np.prod(file.shape)
    assert not os.listdir(tmp_path)  # it has no name
    descriptor, key, pickled = file.file.fileno(), file.key, pickle.dumps(record)
    del samples, record, file
    gc.collect()
    assert key not in score_file._FILES
    with pytest.raises(OSError, match='Bad file descriptor'):
        os.fstat(descriptor)
    with pytest.raises(RuntimeError, match='RetrievalDump writes a file that stays'):
        pickle.loads(pickled).scores[0]


def test_an_entry_of_a_dump_has_the_scores_themselves(tmp_path):
    samples = make_samples('ties')
    score_videos(build('ties'), samples, in_blocks=True, folder=str(tmp_path))
    entry = samples[0].record.to_dict()
    assert isinstance(entry['scores'], np.ndarray) and entry['scores'].shape == samples[0].scores.shape


@pytest.mark.parametrize('reason', ['disk', 'quota'])
def test_a_disk_that_is_too_small_is_said_before_anything_is_scored(reason, tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, 'posix_fallocate', refuse)
    shape = (2**40, 2**10) if reason == 'disk' else (2**8, 2**10)
    with pytest.raises(OSError, match=f'need .* GiB in a temporary file in {tmp_path}, which ') as error:
        ScoreFile.create(shape, str(tmp_path))
    assert ('GiB left' if reason == 'disk' else os.strerror(errno.EDQUOT)) in str(error.value)
    assert not os.listdir(tmp_path)


def test_a_folder_whose_files_cannot_be_mapped_is_said_before_anything_is_scored(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    monkeypatch.setattr(np, 'memmap', refuse)  # as on some file systems of a network
    with pytest.raises(OSError, match=f'in a temporary file in {tmp_path}, which failed: .*No such device'):
        ScoreFile.create((2, 3), str(tmp_path))


def test_scores_that_are_not_finite_are_refused(tmp_path):
    samples = make_samples('wti')
    samples[3].text_features['tokens'][0, 0] = float('nan')
    with pytest.raises(ValueError, match=f'^{VIDEOS} similarities are NaN or infinite'):
        score_videos(build('wti'), samples, in_blocks=True, folder=str(tmp_path))


def test_memory_does_not_grow_with_the_matrix(tmp_path, monkeypatch):
    monkeypatch.setattr(store_scores, 'AT_ONCE', 2**17)
    monkeypatch.setattr(score_blocks, 'BLOCK', 2**17)
    model, samples, largest = build('ties'), make_samples('ties', videos=1200), []

    def similarity(text, videos):
        largest.append(len(text['text']) * len(videos['video']))
        return Doubled().similarity(text, videos)

    model.similarity = similarity
    score_videos(model, samples, in_blocks=True, folder=str(tmp_path))
    metric = METRICS.build(dict(type='VideoTextRetrievalMetric', post_processing=['dual_softmax']))
    metric.process(None, samples)
    tracemalloc.start()
    metric.evaluate(len(samples))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert max(largest) <= 2**17 and sum(largest) > 3 * 2**20 and peak < 6 * 2**20
