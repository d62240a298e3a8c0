"""Captions from any :class:`StepwiseDecoder`: one token at a time, or by beam search.

A row's caption does not depend on the other rows of its batch: rows that are done
leave it, so a decoder never sees a token after the end. What can still differ with
the batch size is the decoder's own rounding.
"""
from typing import Any, Callable, Sequence

import torch
from torch import Tensor
from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from .beam_search import beam_search
from .stepwise import (
    CaptionRules,
    Generated,
    StepwiseDecoder,
    check_integer,
    check_number,
    next_log_probs,
)

__all__ = ['Generated', 'StepwiseDecoder', 'beam_search', 'generate', 'greedy_search', 'sample']


def generate(decoder: StepwiseDecoder, state: Any, start: Tensor, end: int, *, method: str = 'beam',
             **options) -> Generated:
    """Choose a way of generating by name, for configs.

    Args:
        decoder (StepwiseDecoder): What knows the language.
        state: The decoder's state before the first token, of B rows.
        start (Tensor): The first token of each row, (B,) int64.
        end (int): The token that ends a caption.
        method (str): ``'beam'``, ``'greedy'`` or ``'sample'``.
        **options: Of :func:`beam_search`, :func:`greedy_search` or :func:`sample`.

    Returns:
        Generated: A caption a row.

    Raises:
        TypeError: If the method has no such option, or needs one that is missing.
        ValueError: If there is no such method, or an option is out of its range.
    """
    if method not in METHODS:
        raise ValueError(f"method must be 'beam', 'greedy' or 'sample', got {method!r}")
    return METHODS[method](decoder, state, start, end, **options)


def greedy_search(decoder: StepwiseDecoder, state: Any, start: Tensor, end: int, *, max_new_tokens: int,
                  min_new_tokens: int = 0, no_repeat_ngram: int = 0) -> Generated:
    """Take the most probable token each time.

    Args:
        decoder (StepwiseDecoder): What knows the language.
        state: The decoder's state before the first token, of B rows.
        start (Tensor): The first token of each row, (B,) int64.
        end (int): The token that ends a caption.
        max_new_tokens (int): Most tokens of a caption; after them it is cut, without an end.
        min_new_tokens (int): Fewest tokens of a caption.
        no_repeat_ngram (int): If n > 0, no n tokens in a row occur twice in a caption.

    Returns:
        Generated: A caption a row.

    Raises:
        ValueError: If an argument is out of its range, the logits are broken, or the rules
            leave no token.
    """
    rules = CaptionRules(end, max_new_tokens, min_new_tokens, no_repeat_ngram)
    return _token_by_token(decoder, state, start, rules, lambda log_probs, rows: log_probs.argmax(dim=1))


def sample(decoder: StepwiseDecoder, state: Any, start: Tensor, end: int, *, seeds: Sequence[int],
           temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, max_new_tokens: int,
           min_new_tokens: int = 0, no_repeat_ngram: int = 0) -> Generated:
    """Draw each token from the decoder's distribution, cut as asked.

    Args:
        decoder (StepwiseDecoder): What knows the language.
        state: The decoder's state before the first token, of B rows.
        start (Tensor): The first token of each row, (B,) int64.
        end (int): The token that ends a caption.
        seeds (Sequence[int]): One a row. A row's draws depend on its seed alone, and on the kind of
            device.
        temperature (float): What logits are divided by, before the following.
        top_k (int): If k > 0, draw from the k most probable tokens.
        top_p (float): Then draw from the fewest most probable tokens that hold this share.
        max_new_tokens (int): As in :func:`greedy_search`, with the following.
        min_new_tokens (int): Fewest tokens of a caption.
        no_repeat_ngram (int): If n > 0, no n tokens in a row occur twice in a caption.

    Returns:
        Generated: A caption a row, with its score before temperature and cuts.

    Raises:
        ValueError: As :func:`greedy_search`.
    """
    rules = CaptionRules(end, max_new_tokens, min_new_tokens, no_repeat_ngram)
    rules.check_start(start)
    if len(seeds) != len(start):
        raise ValueError(f'seeds must be one a row of start, {len(start)}, got {len(seeds)}')
    warp = _warpers(temperature, top_k, top_p)
    generators = [torch.Generator(start.device).manual_seed(int(seed)) for seed in seeds]

    def draw(log_probs: Tensor, rows: Tensor) -> Tensor:
        probs = warp(None, log_probs).softmax(dim=1)
        return torch.cat([torch.multinomial(prob, 1, generator=generators[row])
                          for prob, row in zip(probs, rows.tolist())])

    return _token_by_token(decoder, state, start, rules, draw)


def _warpers(temperature: float, top_k: int, top_p: float) -> LogitsProcessorList:
    """Build what cuts a distribution, in the usual order; see :func:`sample`."""
    check_number('temperature', temperature)
    if temperature <= 0:
        raise ValueError(f'temperature must be above 0, got {temperature}')
    check_integer('top_k', top_k, 0)
    check_number('top_p', top_p)
    if not 0 < top_p <= 1:
        raise ValueError(f'top_p must be above 0 and at most 1, got {top_p}')
    warpers = LogitsProcessorList([TemperatureLogitsWarper(float(temperature))])
    if top_k:
        warpers.append(TopKLogitsWarper(top_k))
    if top_p < 1:
        warpers.append(TopPLogitsWarper(top_p))
    return warpers


@torch.no_grad()
def _token_by_token(decoder: StepwiseDecoder, state: Any, start: Tensor, rules: CaptionRules,
                    pick: Callable[[Tensor, Tensor], Tensor]) -> Generated:
    """Grow one caption a row by what ``pick`` makes of log-probabilities (B', K) of the rows (B',)."""
    rules.check_start(start)
    rows = torch.arange(len(start), device=start.device)  # those not done
    tokens = start.new_full((len(start), rules.max_new_tokens), rules.end)
    scores, newest = torch.zeros(len(start), device=start.device), start
    for place in range(rules.max_new_tokens):
        log_probs, state = next_log_probs(decoder, newest, state, rules.end)
        log_probs = rules.apply(tokens[rows, :place], log_probs)
        if (log_probs.amax(dim=1) == -torch.inf).any():
            raise ValueError(f'no token is left for place {place} of a caption: min_new_tokens='
                             f'{rules.min_new_tokens} and no_repeat_ngram={rules.no_repeat_ngram} forbid all')
        newest = pick(log_probs, rows)
        tokens[rows, place] = newest
        scores[rows] += log_probs.gather(1, newest[:, None])[:, 0]
        going = (newest != rules.end).nonzero()[:, 0]
        if not len(going):
            break
        if len(going) < len(rows):
            rows, newest, state = rows[going], newest[going], decoder.reorder(state, going)
    return rules.collect(tokens, scores)


METHODS = dict(beam=beam_search, greedy=greedy_search, sample=sample)
