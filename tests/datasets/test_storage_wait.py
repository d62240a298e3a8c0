import errno
import json
import os
import random
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmaction.registry import DATASETS

from mmclip4clip.datasets import bad_videos, storage_wait
from mmclip4clip.datasets.storage_wait import StorageWait
from mmclip4clip.datasets.video_readers import VideoReadError, VideoUnavailableError

from .test_bad_videos import build  # noqa: F401  the fixture


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(storage_wait, 'PAUSES', (0.02, 0.1))


def move(folder, back_after=None):
    """Take a folder away, for good or for some seconds."""
    away = folder.with_name(folder.name + '-away')
    folder.rename(away)
    if back_after is not None:
        threading.Timer(back_after, away.rename, (folder,)).start()


def test_a_hiccup_costs_no_video(build, tmp_path):  # noqa: F811
    for policy in (
        dict(),
        dict(bad_videos='error'),
        dict(test_mode=True),
        dict(cached=True),
        dict(test_mode=True, bad_videos='report'),
    ):
        dataset = build(bad=0, storage_wait=20, **policy)
        move(tmp_path / 'v', back_after=0.4)
        sample = dataset[0]['data_samples']
        assert sample.video_id == 'good0.mp4' and not dataset.known_bad, policy
        assert not {'replaced', 'unavailable', 'unreadable'} & set(sample.keys())


def test_a_video_that_stays_away_is_replaced_and_tried_again(build, tmp_path):  # noqa: F811
    dataset = build(bad=0, storage_wait=0.1)
    video = tmp_path / 'v/good0.mp4'
    video.rename(tmp_path / 'kept')
    sample = dataset[0]['data_samples']
    assert sample.video_id != 'good0.mp4' and 'replaced' not in sample and not dataset.known_bad
    assert {name for name, _ in sample.unavailable} == {'good0.mp4'}
    (tmp_path / 'kept').rename(video)
    assert dataset[0]['data_samples'].video_id == 'good0.mp4'


def test_a_storage_that_stays_away_ends_the_run_and_is_named(build, tmp_path):  # noqa: F811
    dataset = build(bad=0, storage_wait=0.3)
    move(tmp_path / 'v')
    begin = time.monotonic()
    message = 'not the videos: of 20 videos in a row .* it did not give 20, .* for 0.3 s'
    with pytest.raises(VideoUnavailableError, match=message + r' .storage_wait.; .*\.mp4'):
        dataset[0]
    assert 0.3 <= time.monotonic() - begin < 10  # it was waited for once, not for each of the 20
    with pytest.raises(VideoUnavailableError, match='good0.mp4 cannot be read'):
        dataset.bad_videos = 'error'
        dataset[0]


@pytest.mark.parametrize('number', [errno.EIO, errno.ESTALE, errno.EMFILE])
def test_errors_of_input_are_tried_again(build, monkeypatch, number):  # noqa: F811
    dataset, left, opened = build(bad=0, storage_wait=20), [6], os.open

    def failing(path, *args, **kwargs):
        if str(path).endswith('good0.mp4') and left[0]:
            left[0] -= 1
            raise OSError(number, os.strerror(number))
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(os, 'open', failing)
    assert dataset[0]['data_samples'].video_id == 'good0.mp4' and left == [0]


def test_a_damaged_video_is_not_waited_for_and_forgotten_later(build, tmp_path, monkeypatch):  # noqa: F811
    dataset = build(bad=1, storage_wait=1000)
    begin = time.monotonic()
    assert dataset[0]['data_samples'].replaced[0][0] == 'bad0.mp4' and time.monotonic() - begin < 60
    (tmp_path / 'v/bad0.mp4').write_bytes((tmp_path / 'v/good0.mp4').read_bytes())
    assert dataset[0]['data_samples'].replaced  # remembered
    monkeypatch.setattr(bad_videos, 'FORGET_AFTER', 0)
    assert dataset[0]['data_samples'].video_id == 'bad0.mp4' and not dataset.known_bad


def test_each_try_draws_the_same_random_numbers():
    drawn = []

    def prepare():
        drawn.append((random.random(), np.random.rand(), float(torch.rand(1))))
        if len(drawn) < 4:
            raise VideoUnavailableError('away')
        return drawn[-1]

    assert StorageWait(20)(prepare) == drawn[0] and len(set(drawn)) == 1


def test_pauses_grow_and_end_with_the_time(monkeypatch):
    now, pauses = [0.0], []

    def sleep(seconds):
        pauses.append(seconds)
        now[0] += seconds

    def away():
        raise VideoUnavailableError('away')

    monkeypatch.setattr(storage_wait, 'PAUSES', (0.5, 8.0))
    monkeypatch.setattr(storage_wait, 'time', SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    wait = StorageWait(60)
    with pytest.raises(VideoUnavailableError, match='away'):
        wait(away)
    assert pauses[:6] == [0.5, 1, 2, 4, 8, 8] and sum(pauses) == 60
    with pytest.raises(VideoUnavailableError):
        wait(away)
    assert sum(pauses) == 60  # the time is for all calls together


def test_other_errors_are_not_waited_for():
    def damaged():
        raise VideoReadError('damaged')

    begin = time.monotonic()
    with pytest.raises(VideoReadError, match='damaged'):
        StorageWait(1000)(damaged)
    assert time.monotonic() - begin < 60


def test_at_the_start_a_storage_that_does_not_answer_is_waited_for(build, monkeypatch):  # noqa: F811
    left, stat = [3], os.stat

    def failing(path, *args, **kwargs):
        if str(path).endswith('good0.mp4') and left[0]:
            left[0] -= 1
            raise OSError(errno.ESTALE, 'Stale file handle')
        return stat(path, *args, **kwargs)

    monkeypatch.setattr(os, 'stat', failing)
    assert len(build(bad=0, storage_wait=20)) and left == [0]
    left[0] = 10**9
    with pytest.raises(VideoUnavailableError, match='good0.mp4 cannot be accessed; .* Stale file handle'):
        build(bad=0, storage_wait=0.1)


@pytest.mark.parametrize('seconds', [-1, float('inf'), float('nan')])
def test_a_time_that_is_none_is_refused(build, seconds):  # noqa: F811
    with pytest.raises(ValueError, match='storage_wait must be seconds from 0 up, got'):
        build(storage_wait=seconds)


def test_a_video_that_was_never_there_is_missing_at_once(tmp_path):
    (tmp_path / 'ann.json').write_text(json.dumps({'none.mp4': ['x']}))
    with pytest.raises(FileNotFoundError, match='1 of the 1 videos'):
        DATASETS.build(
            dict(
                type='VideoCaptionDataset',
                ann_file='ann.json',
                data_root=str(tmp_path),
                storage_wait=1000,
                pipeline=[dict(type='DecodeVideo', sampling=dict(type='SampleAtRate'))],
            )
        )
