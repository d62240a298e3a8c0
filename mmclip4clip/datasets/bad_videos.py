"""Substitute unreadable videos and keep a record of them."""

import logging
import time
from functools import partial

import numpy as np
from mmengine.logging import print_log

from ..random_states import seed_everything
from .storage_wait import StorageWait
from .video_readers import VideoReadError, VideoUnavailableError

MAX_TRIES = 20  # videos in a row; more failures indicate a lost mount
FORGET_AFTER = 3600.0  # seconds; then a damaged video is tried again, in case it was repaired


def substitute_unreadable(dataset, idx: int) -> dict:
    """Prepare an item, and substitute another video if its own cannot be read.

    In training, another item replaces it. It is drawn from numpy's global generator, which the seed of the
    run determines. The data sample lists the failures as (video_id, reason) in ``replaced``, with their
    ``video_key`` in ``replaced_keys``. In a test, the item and its captions are kept, with the frames of
    another video as a placeholder of the right shape. The data sample has the reason in ``unreadable``.

    If the storage does not return a video, the dataset waits for it. If it remains unavailable, it is
    replaced as well, but tried again the next time, and listed in ``unavailable`` and ``unavailable_keys``.
    A damaged video is remembered for an hour.

    Args:
        dataset (VideoCaptionDataset): The dataset.
        idx (int): Index of the item.

    Returns:
        dict: The output of the pipeline.

    Raises:
        VideoUnavailableError: If the storage does not return other videos either.
        VideoReadError: If other videos cannot be read either.
    """
    bad: list[tuple[dict, VideoReadError]] = []
    seed = np.random.randint(2**31)  # what a failing video draws must not affect its replacement
    wait = StorageWait(dataset.storage_wait)
    for _ in range(MAX_TRIES):
        info = dataset.get_data_info(idx)
        try:
            known = _known_reason(dataset, info['video_id'])
            if known is not None:
                raise VideoReadError(known)
            data = wait(partial(_prepare, dataset, bad[0][0] if bad and dataset.test_mode else info, info))
        except VideoReadError as error:
            _record_failure(dataset, info['video_id'], error)
            bad.append((info, error))
            seed_everything(seed, len(bad))
            idx = np.random.randint(len(dataset))
            continue
        if bad:
            data['data_samples'].set_metainfo(_substitution_metainfo(bad, dataset.test_mode))
        return data
    raise _too_many_failures(bad, dataset.storage_wait)


def _known_reason(dataset, video_id: str) -> str | None:
    """Return why a video is known to be unreadable; None if unknown or found too long ago."""
    if time.monotonic() - dataset.known_since.get(video_id, 0) > FORGET_AFTER:
        dataset.known_bad.pop(video_id, None)
    return dataset.known_bad.get(video_id)


def _record_failure(dataset, video_id: str, error: VideoReadError) -> None:
    if video_id in dataset.known_bad:
        return
    print_log(str(error), logger='current', level=logging.WARNING)
    if not isinstance(error, VideoUnavailableError):
        dataset.known_bad[video_id], dataset.known_since[video_id] = str(error), time.monotonic()


def _substitution_metainfo(bad: list[tuple[dict, VideoReadError]], test_mode: bool) -> dict:
    """Describe the substitution as metainfo of the data sample."""
    if test_mode:
        return dict(unreadable=str(bad[0][1]))
    metainfo: dict = {}
    for info, error in bad:
        key = 'unavailable' if isinstance(error, VideoUnavailableError) else 'replaced'
        metainfo.setdefault(key, []).append((info['video_id'], str(error)))
        metainfo.setdefault(f'{key}_keys', []).append(info['video_key'])
    return metainfo


def _too_many_failures(bad: list[tuple[dict, VideoReadError]], seconds: float) -> VideoReadError:
    away = sum(isinstance(error, VideoUnavailableError) for _, error in bad)
    last = f'the last one: {bad[-1][1]}'
    if away:
        return VideoUnavailableError(
            f'the storage seems to fail, not the videos: of {MAX_TRIES} videos in a row that cannot '
            f'be read, it did not give {away}, and it was waited for {seconds:g} s (storage_wait); {last}'
        )
    return VideoReadError(f'{MAX_TRIES} videos in a row cannot be read; {last}')


def _prepare(dataset, info: dict, substitute: dict) -> dict:
    """Run the pipeline for one item, with the frames of the substitute if it has one."""
    if info is substitute:
        return dataset.pipeline(dict(info))
    source = {key: info.get(key) for key in ('filename', 'start', 'end')}
    data = dataset.pipeline(dict(info, **{key: substitute.get(key) for key in source}))
    data['data_samples'].set_metainfo(source)
    return data
