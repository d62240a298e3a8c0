"""Generator of the moving-shapes dataset: short captioned clips, written as video files.

One colored shape moves over a textured background. The motions form pairs of a motion and its time
reversal; the second of a pair is the first played backwards. All frames are intra-coded with the same
quantizer. So a clip and its reversal decode to the same frames and differ only in their order.
"""

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from .grammar import write_captions

COLOURS = {
    'red': (220, 30, 30), 'green': (30, 180, 50), 'blue': (40, 70, 235),
    'yellow': (240, 225, 30), 'purple': (150, 40, 190), 'cyan': (40, 220, 225),
    'orange': (250, 135, 10), 'white': (250, 250, 250),
}  # yapf: disable
SHAPES = ('circle', 'square', 'triangle', 'star', 'cross', 'ring')

# (motion, the motion played backwards)
MOTION_PAIRS = (
    ('right', 'left'),
    ('down', 'up'),
    ('clockwise', 'counterclockwise'),
    ('grows', 'shrinks'),
    ('right_then_down', 'up_then_left'),
    ('down_then_right', 'left_then_up'),
)


class Combination(NamedTuple):
    """A color, a shape and the index of a motion pair.

    Examples:
        >>> MOTION_PAIRS[Combination('red', 'circle', 3).pair]
        ('grows', 'shrinks')
    """

    colour: str
    shape: str
    pair: int


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


def _background(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a gray texture: blurred noise, stripes or a gradient, (size, size, 3) uint8."""
    kind = rng.integers(3)
    if kind == 0:
        cells = int(rng.integers(4, 17))
        field = cv2.resize(rng.random((cells, cells)), (size, size), interpolation=cv2.INTER_CUBIC)
    else:
        angle = rng.uniform(0, 2 * np.pi)
        y, x = np.mgrid[0:size, 0:size] / size
        ramp = x * np.cos(angle) + y * np.sin(angle)
        field = ramp if kind == 1 else 0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(3, 8) * ramp)
    tint = rng.uniform(-8, 8, 3)
    gray = rng.uniform(60, 120) + rng.uniform(20, 50) * (field - field.mean())
    return np.clip(gray[..., None] + tint + rng.normal(0, 4, (size, size, 1)), 0, 255).astype(np.uint8)


def _polygon(shape: str) -> np.ndarray:
    """Return the outline of a shape with radius 1 around the origin, (points, 2)."""
    if shape == 'cross':
        a, b = 1.0, 0.33
        return np.array(
            [
                (-b, -a),
                (b, -a),
                (b, -b),
                (a, -b),
                (a, b),
                (b, b),
                (b, a),
                (-b, a),
                (-b, b),
                (-a, b),
                (-a, -b),
                (-b, -b),
            ]
        )
    corners, inner = dict(
        square=(4, 1.0), triangle=(3, 1.0), star=(5, 0.42), circle=(32, 1.0), ring=(32, 1.0)
    )[shape]
    turn = np.pi / 4 if shape == 'square' else -np.pi / 2
    points = 2 * corners if inner < 1 else corners
    angles = turn + 2 * np.pi * np.arange(points) / points
    radii = np.where(np.arange(points) % 2, inner, 1.0)
    return np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None]


def _trajectory(rng: np.random.Generator, motion: str, num_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Return centers (num_frames, 2) and radii (num_frames,), as fractions of the frame size."""
    t = np.linspace(0, 1, num_frames)
    near, far = rng.uniform(0.18, 0.24), rng.uniform(0.76, 0.82)
    line = near + (far - near) * t
    still = np.full(num_frames, rng.uniform(0.25, 0.75))
    radii = np.full(num_frames, rng.uniform(0.17, 0.21))
    if motion == 'right':
        centers = line, still
    elif motion == 'down':
        centers = still, line
    elif motion == 'clockwise':  # image y points down, so growing angles run clockwise
        angle = rng.uniform(0, 2 * np.pi) + rng.uniform(1.3, 1.8) * np.pi * t
        centers = 0.5 + 0.29 * np.cos(angle), 0.5 + 0.29 * np.sin(angle)
    elif motion == 'grows':
        centers = still, np.full(num_frames, rng.uniform(0.25, 0.75))
        radii = np.linspace(rng.uniform(0.07, 0.10), rng.uniform(0.25, 0.30), num_frames)
    else:
        first = near + (far - near) * np.clip(2 * t, 0, 1)
        second = near + (far - near) * np.clip(2 * t - 1, 0, 1)
        centers = (first, second) if motion == 'right_then_down' else (second, first)
    return np.stack(centers, 1), radii


def draw_clip(
    rng: np.random.Generator, combination: Combination, size: int = 64, num_frames: int = 7
) -> np.ndarray:
    """Draw the forward clip of a combination.

    Args:
        rng (np.random.Generator): Random generator for background, position, size and speed.
        combination (Combination): Color, shape and motion pair; the first motion of the pair is drawn.
        size (int): Side length of the square frames in pixels.
        num_frames (int): Number of frames.

    Returns:
        np.ndarray: RGB frames, (num_frames, size, size, 3) uint8.

    Examples:
        >>> draw_clip(np.random.default_rng(0), Combination('red', 'circle', pair=0)).shape
        (7, 64, 64, 3)
    """
    background = _background(rng, size)
    colour = np.clip(np.array(COLOURS[combination.colour]) + rng.uniform(-12, 12, 3), 0, 255)
    centers, radii = _trajectory(rng, MOTION_PAIRS[combination.pair][0], num_frames)
    outline, frames, sub = _polygon(combination.shape), [], 4  # sub: subpixel bits of cv2
    for center, radius in zip(centers, radii):
        scale = size * 2**sub
        points = np.rint((center + radius * outline) * scale).astype(np.int32)
        frame = background.copy()
        cv2.fillPoly(frame, [points], colour.tolist(), cv2.LINE_AA, sub)
        if combination.shape == 'ring':
            hole = np.zeros((size, size, 1), np.uint8)
            inner = np.rint((center + 0.55 * radius * outline) * scale).astype(np.int32)
            cv2.fillPoly(hole, [inner], 255, cv2.LINE_AA, sub)
            frame = (frame + (background.astype(float) - frame) * (hole / 255)).astype(np.uint8)
        frames.append(frame)
    return np.stack(frames)


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
