"""Going on when a video cannot be read, without losing count of it."""

import logging
import time
from functools import partial

import numpy as np
from mmengine.logging import print_log

from ..random_states import seed_everything
from .storage_wait import StorageWait
from .video_readers import VideoReadError, VideoUnavailableError

MAX_TRIES = 20  # videos in a row; more bad luck than that is a mount that is gone
FORGET_AFTER = 3600.0  # seconds; a damaged video then costs another try, and one that was mended is read


def substitute_unreadable(dataset, idx: int) -> dict:
    """Prepare an item, or something in its place if its video cannot be read.

    In training another item stands in, drawn from numpy's random numbers, which
    a run's seed determines. In a test the item itself goes on, captions and all,
    with the frames of another video, so that they have the right form. The data
    sample tells of it: ``replaced``, a list of (video_id, reason), in training, with
    the ``video_key`` of each in ``replaced_keys``, and ``unreadable``, the reason, in a test.

    A video that the storage does not give is waited for. If it stays away it is
    replaced too, but tried again the next time: it counts as ``unavailable``, with
    ``unavailable_keys``, as ``replaced`` does. A damaged one is remembered for an hour.

    Args:
        dataset (VideoCaptionDataset): The dataset.
        idx (int): The item.

    Returns:
        dict: What the pipeline returns.

    Raises:
        VideoUnavailableError: If the storage gives no other videos either.
        VideoReadError: If other videos cannot be read either.
    """
    bad: list[tuple[dict, VideoReadError]] = []
    seed = np.random.randint(2**31)  # what a video draws before it fails must not decide what replaces it
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
    """Return why a video is known to be bad, unless that was found long ago."""
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
    """Tell what stands in for what, as metainfo of the data sample."""
    if test_mode:
        return dict(unreadable=str(bad[0][1]))
    told: dict = {}
    for info, error in bad:
        key = 'unavailable' if isinstance(error, VideoUnavailableError) else 'replaced'
        told.setdefault(key, []).append((info['video_id'], str(error)))
        told.setdefault(f'{key}_keys', []).append(info['video_key'])
    return told


def _too_many_failures(bad: list[tuple[dict, VideoReadError]], seconds: float) -> VideoReadError:
    away = sum(isinstance(error, VideoUnavailableError) for _, error in bad)
    last = f'the last one: {bad[-1][1]}'
    if away:
        return VideoUnavailableError(
            f'the storage, not the videos, seems to be at fault: of {MAX_TRIES} videos in a row that cannot '
            f'be read, it did not give {away}, and it was waited for {seconds:g} s (storage_wait); {last}'
        )
    return VideoReadError(f'{MAX_TRIES} videos in a row cannot be read; {last}')


def _prepare(dataset, info: dict, stand_in: dict) -> dict:
    """Run the pipeline for one item with the frames of another, or with its own."""
    if info is stand_in:
        return dataset.pipeline(dict(info))
    own = {key: info.get(key) for key in ('filename', 'start', 'end')}
    data = dataset.pipeline(dict(info, **{key: stand_in.get(key) for key in own}))
    data['data_samples'].set_metainfo(own)
    return data
