"""Python's, numpy's and torch's global random numbers: seeding them, and putting them back."""

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch


def seed_everything(*key: int) -> None:
    """Seed the global generators of this process from some whole numbers.

    On the CPU alone: data is prepared there, and a worker must not touch an accelerator.

    Args:
        key (int): Numbers that tell this moment from all others, such as a seed, an epoch and an item. Zeros
            at the end count for nothing.
    """
    words = np.random.SeedSequence([number % 2**64 for number in key]).generate_state(6)
    np.random.seed(words[:4])
    random.seed(int(words[4]))
    torch.default_generator.manual_seed(int(words[5]))


@contextlib.contextmanager
def preserve_random_states() -> Iterator[None]:
    """Put the global generators on the CPU back to where they were before."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


def get_random_states() -> dict[str, Any]:
    """Return the states of all global generators, accelerators' too, as tensors and plain values."""
    version, words, gauss = random.getstate()
    state: Any = np.random.get_state(legacy=True)
    kind, keys, *rest = state
    states: dict[str, Any] = dict(
        python=[version, list(words), gauss],
        torch=torch.get_rng_state(),
        numpy=[kind, torch.from_numpy(keys.astype(np.int64)), *rest],
    )
    if torch.cuda.is_available():
        states['cuda'] = torch.cuda.get_rng_state_all()
    return states


def set_random_states(states: dict[str, Any]) -> None:
    """Put all global generators into the states of :func:`get_random_states`."""
    version, words, gauss = states['python']
    random.setstate((version, tuple(words), gauss))
    kind, keys, *rest = states['numpy']
    np.random.set_state((kind, keys.cpu().numpy().astype(np.uint32), *rest))
    torch.set_rng_state(states['torch'].cpu())
    if 'cuda' in states and len(states['cuda']) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([state.cpu() for state in states['cuda']])
