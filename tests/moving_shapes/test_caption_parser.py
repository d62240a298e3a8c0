from itertools import product

import pytest

from mmclip4clip.moving_shapes import parse_caption
from mmclip4clip.moving_shapes.drawing import COLOURS, SHAPES
from mmclip4clip.moving_shapes.grammar import PHRASES, SUBJECTS


def test_every_caption_that_the_grammar_can_write_is_understood():
    count = 0
    for subject, colour, shape, (motion, phrases) in product(SUBJECTS, COLOURS, SHAPES, PHRASES.items()):
        for phrase in phrases:
            caption = f'{subject.format(colour=colour, shape=shape)} {phrase}'
            assert parse_caption(caption) == (colour, shape, motion), caption
            count += 1
    assert count == 5 * 8 * 6 * sum(map(len, PHRASES.values()))


def test_case_and_punctuation_do_not_matter():
    right = ('red', 'star', 'up_then_left')
    assert parse_caption(' The RED star first goes up , then left .') == right
    assert parse_caption('a star that is red first goes up then left!') == right


@pytest.mark.parametrize(
    'caption, said',
    [
        ('', (None, None, None)),
        ('a man is cooking', (None, None, None)),
        ('a red star', ('red', 'star', None)),
        ('a red blue star grows', (None, 'star', 'grows')),
        ('a red red star grows', (None, 'star', 'grows')),
        ('a red star or a ring grows', ('red', None, 'grows')),
        ('redstar grows', (None, None, 'grows')),
        ('a red circle circles', ('red', 'circle', None)),
        ('a red star moves', ('red', 'star', None)),
        ('a red star moves to the', ('red', 'star', None)),
        ('a red star moves up moves down', ('red', 'star', None)),
        ('a red star first goes right then up', ('red', 'star', None)),
        ('a red star moves right and then up', ('red', 'star', None)),
        ('a red star grows shrinks', ('red', 'star', None)),
        ('a red star grows and grows', ('red', 'star', None)),
        ('a red star grows red', (None, 'star', None)),
        ('moves down a red star', ('red', 'star', None)),
    ],
)
def test_nonsense_and_doubles_say_nothing(caption, said):
    assert parse_caption(caption) == said
