import math
from typing import Any

import torch
from torch import Tensor

from .stepwise import (
    CaptionRules,
    Generated,
    StepwiseDecoder,
    check_integer,
    check_number,
    next_log_probs,
)


@torch.no_grad()
def beam_search(decoder: StepwiseDecoder, state: Any, start: Tensor, end: int, *, beam_size: int = 5,
                length_penalty: float = 1.0, max_new_tokens: int, min_new_tokens: int = 0,
                no_repeat_ngram: int = 0) -> Generated:
    """Follow the most probable beginnings of each row at once, and return the best caption found.

    A caption's score is the sum of its log-probabilities divided by length ** ``length_penalty``,
    where the length counts the end token, if there is one. It is finished when its end is among the
    ``beam_size`` best continuations. A row is done when ``beam_size`` captions are finished, or
    when no running one can reach the best of these any more, whatever follows. That is what ``generate`` of
    transformers does with ``early_stopping=True``. Its default goes on while a better caption is likely, and
    finds one in about 1 of 12 cases.

    Args:
        decoder (StepwiseDecoder): What knows the language. It steps all beams of all rows at once.
        state: The decoder's state before the first token, of B rows.
        start (Tensor): The first token of each row, (B,) int64.
        end (int): The token that ends a caption.
        beam_size (int): How many beginnings of a row to follow. 1 is greedy search.
        length_penalty (float): 0 prefers short captions; the larger, the longer.
        max_new_tokens (int): Most tokens of a caption; after them it is cut, without an end.
        min_new_tokens (int): Fewest tokens of a caption.
        no_repeat_ngram (int): If n > 0, no n tokens in a row occur twice in a caption.

    Returns:
        Generated: A caption a row.

    Raises:
        ValueError: If an argument is out of its range, the logits are broken, or no caption
            keeps the rules.
    """
    rules = CaptionRules(end, max_new_tokens, min_new_tokens, no_repeat_ngram)
    rules.check_start(start)
    check_integer('beam_size', beam_size, 1)
    check_number('length_penalty', length_penalty)
    if abs(length_penalty) * math.log10(max_new_tokens) > 30:  # single precision ends at 38
        raise ValueError('length_penalty must keep max_new_tokens ** length_penalty from 1e-30 to 1e30, got '
                         f'{length_penalty} with max_new_tokens={max_new_tokens}')
    beams = _Beams(start, beam_size, float(length_penalty), rules)
    state = decoder.reorder(state, beams.rows.repeat_interleave(beam_size))
    newest = start.repeat_interleave(beam_size)
    for _ in range(max_new_tokens):
        log_probs, state = next_log_probs(decoder, newest, state, end)
        parents = beams.advance(rules.apply(beams.prefixes.flatten(0, 1), log_probs))
        if not len(parents):
            break
        state, newest = decoder.reorder(state, parents), beams.prefixes[..., -1].flatten()
    return beams.result()


class _Beams:
    """What runs in the rows that are not done, R of B, and the best finished caption of all rows.

    Attributes:
        rows (Tensor): The rows that are not done, (R,).
        prefixes (Tensor): Running captions, the best first, (R, beam_size, L).
        totals (Tensor): Their sums of log-probabilities, -inf where there is none, (R, beam_size).
        finished (Tensor): How many captions each row has finished, (B,).
        best (Tensor): Each row's best score so far, (B,), and in ``tokens`` its caption.
    """

    def __init__(self, start: Tensor, size: int, penalty: float, rules: CaptionRules) -> None:
        self.size, self.penalty, self.rules = size, penalty, rules
        batch, device = len(start), start.device
        self.rows = torch.arange(batch, device=device)
        self.prefixes = start.new_empty(batch, size, 0)
        self.totals = torch.full((batch, size), -torch.inf, device=device)
        self.totals[:, 0] = 0  # all beams are alike at first: only one may be continued
        self.finished = torch.zeros_like(self.rows)
        self.best = torch.full((batch,), -torch.inf, device=device)
        self.tokens = start.new_full((batch, rules.max_new_tokens), rules.end)

    def advance(self, log_probs: Tensor) -> Tensor:
        """Continue by log-probabilities (R * beam_size, K), which are used up.

        Returns:
            Tensor: Which of these R * beam_size to go on with, in the new order, (R' * beam_size,).
        """
        vocabulary, length = log_probs.shape[1], self.prefixes.shape[2] + 1
        if self.size > vocabulary ** self.rules.max_new_tokens:
            raise ValueError(f'beam_size must be at most the number of captions, {vocabulary} ** '
                             f'{self.rules.max_new_tokens}, got {self.size}')
        candidates = log_probs.add_(self.totals.view(-1, 1)).view(len(self.rows), -1)  # in place: it is large
        totals, index = candidates.topk(2 * self.size, dim=1)  # each beam can end, and one go on, at least
        beam, token = index // vocabulary, index % vocabulary
        before = self.prefixes.gather(1, beam[..., None].expand(-1, -1, length - 1))
        prefixes, ended = torch.cat([before, token[..., None]], dim=2), token == self.rules.end
        self._finish(prefixes, totals, ended)
        order = ended.int().argsort(dim=1, stable=True)[:, :self.size]  # still the best first
        totals = totals.gather(1, order)
        going = self._going(totals, length)
        order, rows = order[going], going.nonzero()
        self.rows, self.totals = self.rows[going], totals[going]
        self.prefixes = prefixes[rows, order]
        return (rows * self.size + beam[rows, order]).flatten()

    def _finish(self, prefixes: Tensor, totals: Tensor, ended: Tensor) -> None:
        """Keep what is complete among the ``beam_size`` best candidates, if it beats the best of its row."""
        length = prefixes.shape[2]
        complete = (ended | (length == self.rules.max_new_tokens)) & (totals > -torch.inf)
        complete[:, self.size:] = False
        self.finished[self.rows] += complete.sum(dim=1)
        scores, place = (totals / length ** self.penalty).masked_fill(~complete, -torch.inf).max(dim=1)
        better = (scores > self.best[self.rows]).nonzero()[:, 0]
        rows = self.rows[better]
        self.best[rows] = scores[better]
        self.tokens[rows, :length] = prefixes[better, place[better]]  # longer than any before it

    def _going(self, totals: Tensor, length: int) -> Tensor:
        """Tell which rows may still find a better caption, (R,), from their running totals (R, beam_size)."""
        if length == self.rules.max_new_tokens:
            return torch.zeros_like(self.rows, dtype=torch.bool)
        # A total only falls, but the longer the caption, the more a positive penalty makes up for it.
        kindest = self.rules.max_new_tokens if self.penalty > 0 else length + 1
        reachable = totals[:, 0] / kindest ** self.penalty
        return (reachable > self.best[self.rows]) & (self.finished[self.rows] < self.size)

    def result(self) -> Generated:
        """Return the best caption of each row, or raise ValueError if a row has none."""
        none = (self.best == -torch.inf).nonzero()[:, 0].tolist()
        if none:
            raise ValueError(f'no caption keeps the rules in rows {none}: min_new_tokens='
                             f'{self.rules.min_new_tokens} and no_repeat_ngram='
                             f'{self.rules.no_repeat_ngram} leave no token')
        return self.rules.collect(self.tokens, self.best)
