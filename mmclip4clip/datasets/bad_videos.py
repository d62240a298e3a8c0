"""Going on when a video cannot be read, without losing count of it."""
import logging

import numpy as np
from mmengine.logging import print_log

from ..random_states import seed_everything
from .video_readers import VideoReadError

MAX_TRIES = 20  # videos in a row; more bad luck than that is a mount that is gone


def prepare_in_place_of_bad(dataset, idx: int) -> dict:
    """Prepare an item, or something in its place if its video cannot be read.

    In training another item stands in, drawn from numpy's random numbers, which
    a run's seed determines. In a test the item itself goes on, captions and all,
    with the frames of another video, so that they have the right form. The data
    sample tells of it: ``replaced``, a list of (video_id, reason), in training, with
    the ``video_key`` of each in ``replaced_keys``, and ``unreadable``, the reason, in a test.

    Args:
        dataset (VideoCaptionDataset): The dataset.
        idx (int): The item.

    Returns:
        dict: What the pipeline returns.

    Raises:
        VideoReadError: If other videos cannot be read either.
    """
    bad = []
    seed = np.random.randint(2**31)  # what a video draws before it fails must not decide what replaces it
    for _ in range(MAX_TRIES):
        info = dataset.get_data_info(idx)
        try:
            if info['video_id'] in dataset.known_bad:
                raise VideoReadError(dataset.known_bad[info['video_id']])
            data = (_prepare(dataset, bad[0][0], info) if bad and dataset.test_mode
                    else dataset.pipeline(dict(info)))
        except VideoReadError as error:
            if info['video_id'] not in dataset.known_bad:
                print_log(str(error), logger='current', level=logging.WARNING)
            dataset.known_bad[info['video_id']] = str(error)
            bad.append((info, str(error)))
            seed_everything(seed, len(bad))
            idx = np.random.randint(len(dataset))
            continue
        if bad and not dataset.test_mode:
            data['data_samples'].set_metainfo(
                dict(replaced=[(info['video_id'], reason) for info, reason in bad],
                     replaced_keys=[info['video_key'] for info, _ in bad]))
        elif bad:
            data['data_samples'].set_metainfo(dict(unreadable=bad[0][1]))
        return data
    raise VideoReadError(f'{MAX_TRIES} videos in a row cannot be read; the last one: {bad[-1][1]}')


def _prepare(dataset, info: dict, stand_in: dict) -> dict:
    """Run the pipeline for one item with the frames of another."""
    own = {key: info.get(key) for key in ('filename', 'start', 'end')}
    data = dataset.pipeline(dict(info, **{key: stand_in.get(key) for key in own}))
    data['data_samples'].set_metainfo(own)
    return data
