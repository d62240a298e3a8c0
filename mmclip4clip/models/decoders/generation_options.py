"""Options of generation, completed and tried out when a model is built rather than after an epoch."""
import inspect
from typing import Optional, Tuple

import torch
from torch import Tensor

from .generation import METHODS, generate, sample
from .stepwise import check_integer

SEEDS = 2**63  # what a torch generator takes, from 0 on


def complete_options(options: Optional[dict], vocab_size: int, max_positions: int, start: int,
                     end: int) -> dict:
    """Check the options of :func:`generate` as far as that is possible without a decoder, and add defaults.

    Args:
        options (dict, optional): ``method`` and what it takes, but for ``seeds``: ``'sample'`` takes
            ``seed`` here, see :func:`seed_of`.
        vocab_size (int): Tokens K that the decoder tells apart.
        max_positions (int): The most tokens that it can read.
        start (int): The token that captions start with.
        end (int): The token that ends a caption.

    Returns:
        dict: The options, with ``method='beam'`` and ``max_new_tokens``, 30 or ``max_positions`` if that
        is less, where there are none.

    Raises:
        ValueError: Naming what is unknown, out of its range, or of another kind.
    """
    if not isinstance(options, (dict, type(None))):
        raise ValueError(f'generation must be a dict of options, got {options!r}')
    options = dict(dict(method='beam', max_new_tokens=min(30, max_positions)), **options or {})
    method = METHODS.get(options['method']) if isinstance(options['method'], str) else None
    if method is None:
        raise ValueError(f'generation.method must be one of {sorted(METHODS)}, got {options["method"]!r}')
    known = {name for name, parameter in inspect.signature(method).parameters.items()
             if parameter.kind is parameter.KEYWORD_ONLY} - {'seeds'}
    known |= {'method', *(['seed'] if method is sample else [])}
    if set(options) - known:
        raise ValueError(f'generation with method={options["method"]!r} takes {sorted(known)}, got '
                         f'{sorted(set(options) - known)}; on the command line, '
                         'model.generation._delete_=True takes away what the config has')
    trial = {key: value for key, value in options.items() if key != 'seed'}
    if method is sample:
        check_integer('generation.seed', options.get('seed', 0), 0)
        if options.get('seed', 0) >= SEEDS:
            raise ValueError(f'generation.seed must be below 2 ** 63, got {options["seed"]}')
        trial['seeds'] = [0]
    try:
        with torch.device('cpu'):  # wherever the model is built
            generate(_Mumbler(vocab_size, end), None, torch.tensor([start]), end, **trial)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f'generation={options} cannot be used: {error}') from error
    if options['max_new_tokens'] > max_positions:
        raise ValueError(f'generation.max_new_tokens={options["max_new_tokens"]} is more than the '
                         f'{max_positions} positions of the decoder')
    return options


def seed_of(seed: int, number: int) -> int:
    """Make one seed of 63 bits of a base seed and a number, so that other base seeds give unrelated ones."""
    return (number + (seed + 1) * 0x9E3779B97F4A7C15) % SEEDS


class _Mumbler:
    """A stepwise decoder that likes to end, and any word as well as another: it tries options out."""

    def __init__(self, words: int, end: int) -> None:
        self.logits = torch.zeros(words)
        self.logits[end] = 50.

    def step(self, tokens: Tensor, state: None) -> Tuple[Tensor, None]:
        """Return the same logits whatever was said."""
        return self.logits.repeat(len(tokens), 1), None

    def reorder(self, state: None, rows: Tensor) -> None:
        """Keep nothing."""
