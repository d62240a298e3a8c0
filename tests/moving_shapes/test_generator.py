import hashlib
import json

import decord
import numpy as np
import pytest

from mmclip4clip.moving_shapes.generator import (
    COLOURS,
    MOTION_PAIRS,
    SHAPES,
    Combination,
    draw_clip,
    group_by_shape,
    split_combinations,
    write_split,
)


def read(path):
    return decord.VideoReader(str(path)).get_batch(range(7)).asnumpy()


def test_test_combinations_are_never_seen_in_training():
    splits = split_combinations(0, 30, 60)
    assert {k: len(v) for k, v in splits.items()} == dict(train=198, val=30, test=60)
    assert len(set().union(*splits.values())) == len(COLOURS) * len(SHAPES) * len(MOTION_PAIRS)


def test_too_few_training_combinations_are_refused():
    with pytest.raises(ValueError, match='num_test=280 leave 8 of 288'):
        split_combinations(0, 0, 280)


def test_decoded_reversals_are_the_same_frames_backwards(shapes):
    groups = {}
    for entry in json.loads((shapes / 'test.json').read_text()):
        groups.setdefault(entry['group'], []).append(shapes / 'videos' / entry['video'])
    assert len(groups) == 8
    for forward, backward in groups.values():
        assert np.array_equal(read(forward), read(backward)[::-1])
        assert not np.array_equal(read(forward), read(backward))


def test_the_same_seed_gives_the_same_frames_and_captions(tmp_path):
    combinations = split_combinations(0, 30, 2)['test']
    digests = {}
    for name, seed in (('a', 1), ('b', 1), ('c', 2)):
        files = sorted(write_split(tmp_path / name, 'test', combinations, seed, 1, 3))
        content = b''.join(read(f).tobytes() for f in files)
        digests[name] = hashlib.sha256(content).hexdigest(), (tmp_path / name / 'test.json').read_text()
    assert digests['a'] == digests['b']
    assert digests['a'][0] != digests['c'][0] and digests['a'][1] != digests['c'][1]


@pytest.mark.parametrize(
    'pair, moves',
    [
        (0, lambda x, y, n: x > 15 and abs(y) < 3 and abs(n) < 0.3),
        (1, lambda x, y, n: y > 15 and abs(x) < 3),
        (3, lambda x, y, n: n > 2),
        (4, lambda x, y, n: x > 15 and y > 15),
        (5, lambda x, y, n: x > 15 and y > 15),
    ],
)
def test_the_shape_moves_as_the_motion_says(pair, moves):
    frames = draw_clip(np.random.default_rng(0), Combination('white', 'circle', pair))
    masks = [(f.min(axis=2) > 200) for f in (frames[0], frames[-1])]
    (y0, x0), (y1, x1) = (np.mean(np.nonzero(m), axis=1) for m in masks)
    assert moves(x1 - x0, y1 - y0, masks[1].sum() / masks[0].sum() - 1)


def test_clockwise_is_clockwise_to_the_eye():
    frames = draw_clip(np.random.default_rng(0), Combination('white', 'circle', 2))
    centers = [np.mean(np.nonzero(f.min(axis=2) > 200), axis=1)[::-1] - 31.5 for f in frames]
    for (x0, y0), (x1, y1) in zip(centers, centers[1:]):
        assert x0 * y1 - y0 * x1 > 0  # with y pointing down, a positive turn is clockwise


def test_corner_motions_take_their_turns():
    for pair, axis in ((4, 1), (5, 0)):
        frames = draw_clip(np.random.default_rng(0), Combination('white', 'circle', pair))
        centers = np.array([np.mean(np.nonzero(f.min(axis=2) > 200), axis=1) for f in frames])
        first = np.abs(centers[3] - centers[0])  # rows are y, x
        assert first[axis] > 15 and first[1 - axis] < 3


def test_groups_by_shape_differ_in_nothing_else_and_lose_no_video():
    annotations = [
        dict(video=f'train/{colour}_{shape}_{motion}_{k}.mp4', captions=[f'{shape}{k}'], group='x')
        for colour in ('red', 'blue')
        for motion in ('up', 'left_then_up')
        for shape in SHAPES[: 5 if motion == 'up' else 2]
        for k in range(3)
    ]
    grouped = group_by_shape(annotations)
    assert sorted((e['video'], *e['captions']) for e in grouped) == sorted(
        (e['video'], *e['captions']) for e in annotations
    )
    groups = {}
    for entry in grouped:
        groups.setdefault(entry['group'], []).append(entry['video'].split('/')[1].split('_', 2))
    for name, members in groups.items():
        assert len({shape for _, shape, _ in members}) == len(members) <= 4
        (alike,) = {f'{colour}_{rest.rpartition("_")[0]}' for colour, _, rest in members}
        assert name.rpartition('_')[0] == alike
    assert sorted(map(len, groups.values())) == sorted(2 * [4, 4, 4, 3] + 6 * [2])
