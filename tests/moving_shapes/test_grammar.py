import numpy as np

from mmclip4clip.moving_shapes.drawing import MOTION_PAIRS
from mmclip4clip.moving_shapes.grammar import PHRASES, write_captions


def test_captions_name_colour_shape_and_motion_and_differ():
    captions = write_captions(np.random.default_rng(0), 'red', 'star', 'left_then_up', 8)
    assert len(set(captions)) == 8
    for caption in captions:
        assert 'red' in caption and 'star' in caption and 'left' in caption and 'up' in caption


def test_every_motion_has_phrases_of_its_own():
    phrases = [p for motion in PHRASES for p in PHRASES[motion]]
    assert len(set(phrases)) == len(phrases)
    assert {m for pair in MOTION_PAIRS for m in pair} == set(PHRASES)
