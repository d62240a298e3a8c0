"""Generator of the moving-shapes dataset: short captioned clips, written as video files.

One colored shape moves over a textured background. The motions form pairs of a motion and its time
reversal; the second of a pair is the first played backwards. All frames are intra-coded with the same
quantizer. So a clip and its reversal decode to the same frames and differ only in their order.
"""

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np

from .drawing import COLOURS, MOTION_PAIRS, SHAPES, Combination, draw_clip
from .grammar import write_captions


def split_combinations(seed: int, num_val: int, num_test: int) -> dict[str, list[Combination]]:
    """Split the combinations into disjoint train, val and test sets at random.

    Args:
        seed (int): Seed of the split.
        num_val (int): Number of combinations for validation, with two videos each per drawing.
        num_test (int): Number of combinations for the test, with two videos each per drawing.

    Raises:
        ValueError: If training would lack a color or a shape with some motion pair.

    Examples:
        >>> splits = split_combinations(seed=0, num_val=30, num_test=60)
        >>> {name: len(combinations) for name, combinations in splits.items()}
        {'train': 198, 'val': 30, 'test': 60}
    """
    everything = [Combination(*c) for c in product(COLOURS, SHAPES, range(len(MOTION_PAIRS)))]
    order = np.random.default_rng([seed, 0]).permutation(len(everything))
    ends = np.cumsum([num_test, num_val])
    test, val, train = (sorted(everything[i] for i in part) for part in np.split(order, ends))
    seen = {(c.colour, c.pair) for c in train} | {(c.shape, c.pair) for c in train}
    if len(seen) < (len(COLOURS) + len(SHAPES)) * len(MOTION_PAIRS):
        raise ValueError(
            f'num_val={num_val} and num_test={num_test} leave {len(train)} of '
            f'{len(everything)} combinations for training, too few to contain every '
            'color and shape with every motion'
        )
    return dict(train=train, val=val, test=test)


def write_video(path: Path, frames: np.ndarray, fps: int = 4) -> None:
    """Write frames (T, H, W, 3) uint8 RGB as an intra-only H.264 ``.mp4`` at ``fps`` frames/s.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_video(Path(folder, 'black.mp4'), np.zeros((4, 64, 64, 3), np.uint8))
    """
    import av

    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=fps)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], 'yuv420p'
        stream.thread_count = 1
        stream.options = dict(g='1', bf='0', qp='24', preset='veryfast', tune='fastdecode')
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='rgb24')))
        container.mux(stream.encode())


def write_split(
    root: Path, split: str, combinations: list[Combination], seed: int, clips: int, captions: int
) -> Iterator[Path]:
    """Write the videos and ``{split}.json`` of one split, yielding each video written.

    Every combination has ``clips`` drawings, and every drawing gives two videos: forward and reversed. Both
    have the same ``group`` in the annotations.

    Args:
        root (Path): Output folder of ``videos/{split}/*.mp4`` and ``{split}.json``.
        split (str): Name of the split, which is part of the seed.
        combinations (list[Combination]): Combinations of the split.
        seed (int): Seed of frames and captions.
        clips (int): Drawings per combination.
        captions (int): Captions per video.

    Examples:
        >>> import tempfile
        >>> combinations = [Combination('red', 'circle', pair=0)]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     videos = list(write_split(Path(folder), 'test', combinations, seed=0, clips=1, captions=2))
        >>> [video.name for video in videos]
        ['red_circle_right_0.mp4', 'red_circle_left_0.mp4']
    """
    folder = root / 'videos' / split
    folder.mkdir(parents=True, exist_ok=True)
    annotations = []
    for number, (combination, k) in enumerate(product(combinations, range(clips))):
        rng = np.random.default_rng([seed, *split.encode(), number])
        frames = draw_clip(rng, combination)
        colour, shape, pair = combination
        group = f'{colour}_{shape}_{MOTION_PAIRS[pair][0]}_{k}'
        for motion, step in zip(MOTION_PAIRS[pair], (1, -1)):
            name = f'{split}/{colour}_{shape}_{motion}_{k}.mp4'
            write_video(root / 'videos' / name, frames[::step])
            annotations.append(
                dict(video=name, group=group, captions=write_captions(rng, colour, shape, motion, captions))
            )
            yield root / 'videos' / name
    (root / f'{split}.json').write_text(json.dumps(annotations, indent=1) + '\n')


def group_by_shape(annotations: list[dict], size: int = 4) -> list[dict]:
    """Regroup the videos of a split into groups with one color and motion and different shapes.

    In such a group, color and motion do not identify the caption.

    Args:
        annotations (list[dict]): Annotations from :func:`write_split`.
        size (int): Maximum number of videos per group.

    Returns:
        list[dict]: The annotations with new groups, in the order of the groups.

    Examples:
        >>> videos = ['train/red_circle_right_0.mp4', 'train/red_star_right_0.mp4']
        >>> [entry['group'] for entry in group_by_shape([dict(video=video) for video in videos])]
        ['red_right_0', 'red_right_0']
    """
    cells: dict = {}
    for entry in annotations:
        colour, shape, rest = Path(entry['video']).stem.split('_', 2)
        motion = rest.rpartition('_')[0]
        cells.setdefault((colour, motion), {}).setdefault(shape, []).append(entry)
    grouped = []
    for (colour, motion), shapes in cells.items():
        number = 0
        while any(shapes.values()):  # take the shapes with most videos left, so that few groups are small
            fullest = sorted(shapes, key=lambda shape: -len(shapes[shape]))[:size]
            grouped += [
                dict(shapes[shape].pop(0), group=f'{colour}_{motion}_{number}')
                for shape in fullest
                if shapes[shape]
            ]
            number += 1
    return grouped
