import random

import numpy as np
import torch

from mmclip4clip.random_states import (
    get_random_states,
    preserve_random_states,
    seed_everything,
    set_random_states,
)


def draw():
    return random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn(), float(torch.rand(()))


def test_states_survive_a_checkpoint(tmp_path):
    draw()  # half of a pair of normal numbers is kept for later
    torch.save(get_random_states(), tmp_path / 'states.pth')
    expected = draw()
    set_random_states(torch.load(tmp_path / 'states.pth', weights_only=True))
    assert draw() == expected


def test_a_key_gives_the_same_numbers_and_another_key_others():
    seen = []
    for key in ((1, 2), (1, 2), (2, 1), (1, 2, 1), (-1, 2)):
        seed_everything(*key)
        seen.append(draw())
    assert seen[0] == seen[1] and len(set(seen)) == 4


def test_what_is_drawn_within_leaves_no_trace_even_after_an_error():
    seed_everything(0)
    expected = draw()
    seed_everything(0)
    try:
        with preserve_random_states():
            draw()
            raise KeyError
    except KeyError:
        pass
    assert draw() == expected
