"""Seeding, saving and restoring the global random generators of Python, numpy and torch."""

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch


def seed_everything(*key: int) -> None:
    """Seed the global generators of this process from integers.

    Only CPU generators are seeded, because workers prepare data there and must not use an accelerator.

    Args:
        key (int): Integers that identify the random stream, such as seed, epoch and item. Trailing zeros
            have no effect.

    Examples:
        >>> seed_everything(0, 3)
        >>> first = random.random()
        >>> seed_everything(0, 3)
        >>> random.random() == first
        True
    """
    words = np.random.SeedSequence([number % 2**64 for number in key]).generate_state(6)
    np.random.seed(words[:4])
    random.seed(int(words[4]))
    torch.default_generator.manual_seed(int(words[5]))


@contextlib.contextmanager
def preserve_random_states() -> Iterator[None]:
    """Restore the states of the global CPU generators on exit.

    Examples:
        >>> seed_everything(0)
        >>> with preserve_random_states():
        ...     first = random.random()
        >>> random.random() == first
        True
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


def get_random_states() -> dict[str, Any]:
    """Return the states of all global generators, including those of GPUs, as tensors and plain values."""
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
    """Restore the states that :func:`get_random_states` returned."""
    version, words, gauss = states['python']
    random.setstate((version, tuple(words), gauss))
    kind, keys, *rest = states['numpy']
    np.random.set_state((kind, keys.cpu().numpy().astype(np.uint32), *rest))
    torch.set_rng_state(states['torch'].cpu())
    if 'cuda' in states and len(states['cuda']) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([state.cpu() for state in states['cuda']])
