"""What the ways of generating share: the decoder's contract, the rules for captions, the result."""
import math
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Tuple

import torch
from torch import Tensor
from transformers import NoRepeatNGramLogitsProcessor


class StepwiseDecoder(Protocol):
    """Anything that continues token sequences by one token at a time.

    Its state is opaque here: what it keeps of each row, such as the frames and the
    cached keys and values. A state that was passed in is never used again, so a
    decoder may change it in place.
    """

    def step(self, tokens: Tensor, state: Any) -> Tuple[Tensor, Any]:
        """Read each row's newest token, (B,) int64: return logits of the next, (B, K), and the new state."""

    def reorder(self, state: Any, rows: Tensor) -> Any:
        """Pick ``rows`` (B',) int64 of a state, in that order, maybe repeated, maybe before any step."""


class Generated(NamedTuple):
    """One caption for each row of a batch.

    Attributes:
        tokens (Tensor): Without the start token, ``end`` from the caption's end on, (B, L) int64
            with L the longest length.
        lengths (Tensor): Tokens before ``end``, (B,) int64.
        scores (Tensor): Sum of the decoder's own log-probabilities, the end token's among them,
            (B,); from :func:`beam_search` divided by a power of the length.
    """

    tokens: Tensor
    lengths: Tensor
    scores: Tensor


@dataclass(frozen=True)
class CaptionRules:
    """Which token sequences are captions.

    A caption ends with ``end``, or unended after ``max_new_tokens`` tokens.

    Args:
        end (int): The end token, which counts for none of the following.
        max_new_tokens (int): Most tokens of a caption.
        min_new_tokens (int): Fewest tokens of a caption.
        no_repeat_ngram (int): If n > 0, no n tokens in a row occur twice in a caption.

    Raises:
        ValueError: If a number is out of its range.
    """

    end: int
    max_new_tokens: int
    min_new_tokens: int = 0
    no_repeat_ngram: int = 0

    def __post_init__(self) -> None:
        check_integer('end', self.end, 0)
        check_integer('max_new_tokens', self.max_new_tokens, 1)
        check_integer('min_new_tokens', self.min_new_tokens, 0)
        check_integer('no_repeat_ngram', self.no_repeat_ngram, 0)
        if self.min_new_tokens > self.max_new_tokens:
            raise ValueError(f'min_new_tokens must be at most max_new_tokens, got {self.min_new_tokens} and '
                             f'{self.max_new_tokens}')

    def apply(self, prefixes: Tensor, log_probs: Tensor) -> Tensor:
        """Set what may not follow ``prefixes`` (B, L) to -inf in ``log_probs`` (B, K), maybe in place."""
        if self.no_repeat_ngram:
            log_probs = NoRepeatNGramLogitsProcessor(self.no_repeat_ngram)(prefixes, log_probs)
        if prefixes.shape[1] < self.min_new_tokens:
            log_probs[:, self.end] = -torch.inf
        return log_probs

    def check_start(self, start: Tensor) -> None:
        """Raise ValueError unless ``start`` is one token a row, (B,) int64."""
        if start.ndim != 1 or not len(start) or start.dtype != torch.int64:
            raise ValueError(f'start must be one token a row, (B,) int64, got {tuple(start.shape)} '
                             f'{start.dtype}')
        if start.min() < 0:
            raise ValueError(f'start must hold tokens from 0 on, got {start.min()}')

    def collect(self, tokens: Tensor, scores: Tensor) -> Generated:
        """Cut ``tokens`` (B, max_new_tokens), which have ``end`` after each caption, to the longest."""
        lengths = (tokens != self.end).sum(dim=1)
        return Generated(tokens[:, :lengths.max()], lengths, scores)


def next_log_probs(decoder: StepwiseDecoder, tokens: Tensor, state: Any, end: int) -> Tuple[Tensor, Any]:
    """Step the decoder, not trusting it.

    Args:
        decoder (StepwiseDecoder): What knows the language.
        tokens (Tensor): Each row's newest token, (B,).
        state: The decoder's state of these rows.
        end (int): The end token.

    Returns:
        tuple[Tensor, Any]: Log-probabilities of the next token in single precision, (B, K), and the
        new state.

    Raises:
        ValueError: If the logits are not (B, K) or not those of a distribution, or if a token
            is not below K.
    """
    logits, state = decoder.step(tokens, state)
    if logits.ndim != 2 or len(logits) != len(tokens) or logits.shape[1] < 2:
        raise ValueError(f'the decoder must return logits ({len(tokens)}, K) of K > 1 tokens, got '
                         f'{tuple(logits.shape)}')
    vocabulary = logits.shape[1]
    for name, token in (('end', end), ('a token of start', int(tokens.max()))):
        if token >= vocabulary:
            raise ValueError(f'{name} must be below {vocabulary}, the size of the vocabulary, got {token}')
    log_probs = logits.float().log_softmax(dim=1)
    broken = log_probs[:, 0].isnan()  # one NaN or +inf, or nothing but -inf, spoils the whole row
    if broken.any():
        raise ValueError(f'the decoder returned logits with NaN, +inf or only -inf in {int(broken.sum())} of '
                         f'{len(broken)} rows')
    return log_probs, state


def check_number(name: str, value: float) -> None:
    """Raise ValueError unless ``value`` is a finite number."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(f'{name} must be a finite number, got {value!r}')


def check_integer(name: str, value: int, least: int) -> None:
    """Raise ValueError unless ``value`` is an integer from ``least`` on."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f'{name} must be an integer from {least} on, got {value!r}')
