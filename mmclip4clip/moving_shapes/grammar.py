"""The grammar of moving shapes: subjects and phrases of captions."""

from itertools import product

import numpy as np

SUBJECTS = (
    'a {colour} {shape}',
    'the {colour} {shape}',
    'one {colour} {shape}',
    'a {shape} that is {colour}',
    'a {shape} coloured {colour}',
)
PHRASES = {
    'right': ('moves to the right', 'slides from left to right', 'goes right'),
    'left': ('moves to the left', 'slides from right to left', 'goes left'),
    'down': ('moves down', 'falls from top to bottom', 'goes downwards'),
    'up': ('moves up', 'rises from bottom to top', 'goes upwards'),
    'clockwise': ('circles clockwise', 'goes around clockwise', 'runs around the middle clockwise'),
    'counterclockwise': (
        'circles counterclockwise',
        'goes around counterclockwise',
        'runs around the middle counterclockwise',
    ),
    'grows': ('grows', 'gets bigger', 'becomes larger and larger'),
    'shrinks': ('shrinks', 'gets smaller', 'becomes smaller and smaller'),
    'right_then_down': ('moves right and then down', 'first goes right, then down'),
    'up_then_left': ('moves up and then left', 'first goes up, then left'),
    'down_then_right': ('moves down and then right', 'first goes down, then right'),
    'left_then_up': ('moves left and then up', 'first goes left, then up'),
}


def write_captions(rng: np.random.Generator, colour: str, shape: str, motion: str, count: int) -> list[str]:
    """Return ``count`` different captions of one video."""
    choices = [
        f'{subject.format(colour=colour, shape=shape)} {phrase}'
        for subject, phrase in product(SUBJECTS, PHRASES[motion])
    ]
    return [choices[i] for i in rng.choice(len(choices), size=count, replace=False)]
