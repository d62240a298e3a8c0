"""Damaged video files are read or refused by name; they never take the run down."""

import numpy as np
import pytest

from mmclip4clip.datasets import DecodeVideo
from mmclip4clip.datasets.video_readers import VideoReadError

MAX_FRAMES = 6


def mutate(content: bytes, seed: int) -> bytes:
    """Flip bytes, overwrite a run, cut the end off, drop or double a piece: by a seed."""
    rng, data = np.random.default_rng(seed), bytearray(content)
    place, length = int(rng.integers(len(data))), int(rng.integers(1, 2000))
    kind = seed % 5
    if kind == 0:
        for at in rng.integers(len(data), size=rng.integers(1, 50)):
            data[at] ^= int(rng.integers(1, 256))
    elif kind == 1:
        data[place : place + length] = rng.bytes(length)
    elif kind == 2:
        del data[max(place, 100) :]
    elif kind == 3:
        del data[place : place + length]
    else:
        data[place:place] = data[place : place + length]
    return bytes(data)


def read_all(clips, folder, seeds) -> dict:
    """Read mutated clips; count how many were read, and how many refused by name."""
    decode = DecodeVideo(dict(type='SampleAtRate', fps=1, max_frames=MAX_FRAMES), time_limit=20)
    counts = dict(read=0, refused=0)
    for seed in seeds:
        clip = clips[seed % len(clips)]
        path = folder / f'{seed}{clip.suffix}'
        path.write_bytes(mutate(clip.read_bytes(), seed))
        try:
            results = decode(dict(filename=str(path)))
        except VideoReadError as error:
            assert str(path) in str(error)
            counts['refused'] += 1
        else:
            frames = np.stack(results['imgs'])
            assert frames.dtype == np.uint8 and frames.shape[3] == 3
            assert 1 <= len(frames) == len(results['frame_inds']) <= MAX_FRAMES
            counts['read'] += 1
        path.unlink()
    return counts


def test_mutated_clips_are_read_or_refused(shapes, tmp_path):
    counts = read_all(sorted((shapes / 'videos').rglob('*.mp4')), tmp_path, range(25))
    assert counts['read'] and counts['refused'] and sum(counts.values()) == 25


@pytest.mark.long
def test_500_mutations_of_real_clips_are_read_or_refused(data, tmp_path):
    clips = sorted(path for path in (data / 'clips').rglob('*') if path.suffix in ('.mp4', '.avi'))
    counts = read_all(clips, tmp_path, range(500))
    print(f'500 mutations of {len(clips)} clips: {counts}')
    assert sum(counts.values()) == 500
