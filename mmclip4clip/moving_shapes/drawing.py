"""Draw clips of one colored shape that moves over a textured background."""

from typing import NamedTuple

import cv2
import numpy as np

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
