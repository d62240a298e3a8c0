"""Options of caption generation, checked when a model is built rather than after an epoch."""

import math
from dataclasses import dataclass
from typing import Any

METHODS = dict(
    beam=('beam_size', 'length_penalty'), greedy=(), sample=('temperature', 'top_k', 'top_p', 'seed')
)
SHARED = ('method', 'max_new_tokens', 'min_new_tokens', 'no_repeat_ngram')
SEEDS = 2**63  # a torch generator takes seeds below


@dataclass(frozen=True)
class GenerationOptions:
    """Options of caption generation.

    Args:
        max_new_tokens (int): Maximum number of tokens of a caption. Longer ones are cut without an end token.
        method (str): ``'beam'``, ``'greedy'`` or ``'sample'``.
        min_new_tokens (int): Minimum number of tokens of a caption, without the end token.
        no_repeat_ngram (int): If n > 0, no n-gram of tokens occurs twice in a caption.
        beam_size (int): Number of beams. 1 is greedy search.
        length_penalty (float): Beam search maximizes the sum of log-probabilities divided by
            length ** ``length_penalty``. 0 prefers short captions; larger values prefer longer ones.
        temperature (float): Divisor of the log-probabilities in sampling, applied before top-k and top-p.
        top_k (int): If k > 0, sample from the k most probable tokens.
        top_p (float): Sample from the smallest set of most probable tokens with at least this probability.
        seed (int): Seed of sampling. A caption depends on it and on the video id.

    Raises:
        ValueError: If an option is out of range or has the wrong type.

    Examples:
        >>> GenerationOptions(max_new_tokens=30, beam_size=0)
        Traceback (most recent call last):
            ...
        ValueError: beam_size must be an integer from 1 on, got 0
    """

    max_new_tokens: int
    method: str = 'beam'
    min_new_tokens: int = 0
    no_repeat_ngram: int = 0
    beam_size: int = 5
    length_penalty: float = 1.0
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.method, str) or self.method not in METHODS:
            raise ValueError(f'generation.method must be one of {sorted(METHODS)}, got {self.method!r}')
        for name, least in dict(
            max_new_tokens=1, min_new_tokens=0, no_repeat_ngram=0, beam_size=1, top_k=0, seed=0
        ).items():
            check_integer(name, getattr(self, name), least)
        for name in ('length_penalty', 'temperature', 'top_p'):
            check_number(name, getattr(self, name))
        if self.min_new_tokens > self.max_new_tokens:
            raise ValueError(
                f'min_new_tokens must be at most max_new_tokens, got {self.min_new_tokens} and '
                f'{self.max_new_tokens}'
            )
        # Scores must be finite, and above the -1e9 with which transformers marks invalid captions.
        if not -5 <= self.length_penalty * math.log10(self.max_new_tokens) <= 30:
            raise ValueError(
                'length_penalty must keep max_new_tokens ** length_penalty from 1e-5 to 1e30, '
                f'got {self.length_penalty} with max_new_tokens={self.max_new_tokens}'
            )
        if self.temperature <= 0:
            raise ValueError(f'temperature must be above 0, got {self.temperature}')
        if not 1e-30 <= self.temperature <= 1e30:  # single precision ends at 1e38
            raise ValueError(f'temperature must be from 1e-30 to 1e30, got {self.temperature}')
        if not 0 < self.top_p <= 1:
            raise ValueError(f'top_p must be above 0 and at most 1, got {self.top_p}')
        if self.seed >= SEEDS:
            raise ValueError(f'seed must be below 2 ** 63, got {self.seed}')

    def check_vocabulary(self, size: int) -> None:
        """Raise ValueError if ``size`` tokens, including the end token, allow too few captions."""
        if self.method == 'beam' and self.beam_size > size**self.max_new_tokens:
            raise ValueError(
                f'beam_size must be at most the number of captions, {size} ** '
                f'{self.max_new_tokens}, got {self.beam_size}'
            )
        # L tokens have L - n + 1 n-grams, and only (size - 1) ** n different n-grams exist.
        ngram = self.no_repeat_ngram
        if ngram and self.min_new_tokens > (size - 1) ** ngram + ngram - 1:
            raise ValueError(
                f'min_new_tokens={self.min_new_tokens} and no_repeat_ngram={ngram} leave no '
                f'caption of {size - 1} words'
            )


def read_options(options: dict | None, vocab_size: int, max_positions: int) -> GenerationOptions:
    """Build the options from ``generation`` of a config.

    Args:
        options (dict, optional): ``method`` and its options. ``method`` defaults to ``'beam'``, and
            ``max_new_tokens`` to 30 or ``max_positions``, whichever is less.
        vocab_size (int): Size K of the decoder's vocabulary.
        max_positions (int): Maximum number of tokens that the decoder can read.

    Raises:
        ValueError: If an option is unknown, out of range, or has the wrong type.
    """
    if not isinstance(options, (dict, type(None))):
        raise ValueError(f'generation must be a dict of options, got {options!r}')
    options = dict(dict(method='beam', max_new_tokens=min(30, max_positions)), **options or {})
    method = options['method']
    known = {*SHARED, *METHODS.get(method, options)} if isinstance(method, str) else set(options)
    if set(options) - known:
        raise ValueError(
            f'generation with method={method!r} takes {sorted(known)}, got '
            f'{sorted(set(options) - known)}; on the command line, '
            'model.generation._delete_=True removes the options of the config'
        )
    try:
        read = GenerationOptions(**options)
        read.check_vocabulary(vocab_size)
    except (TypeError, ValueError) as error:
        raise ValueError(f'generation={options} cannot be used: {error}') from error
    if read.max_new_tokens > max_positions:
        raise ValueError(
            f'generation.max_new_tokens={read.max_new_tokens} is more than the {max_positions} '
            'positions of the decoder'
        )
    return read


def derive_seed(seed: int, number: int) -> int:
    """Combine a base seed and a number into a 63-bit seed; other base seeds give unrelated ones."""
    return (number + (seed + 1) * 0x9E3779B97F4A7C15) % SEEDS


def check_number(name: str, value: Any) -> None:
    """Raise ValueError unless ``value`` is a finite number."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(f'{name} must be a finite number, got {value!r}')


def check_integer(name: str, value: Any, least: int) -> None:
    """Raise ValueError unless ``value`` is an integer of at least ``least``."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f'{name} must be an integer from {least} on, got {value!r}')
