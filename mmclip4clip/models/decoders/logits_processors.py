"""Logits processors for ``generate`` of transformers: rules for captions, and the choice of tokens."""

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList, NoRepeatNGramLogitsProcessor

from .generation_options import GenerationOptions


def ended_rows(tokens: Tensor, end: int) -> Tensor:
    """Return which rows of ``tokens`` (B, L) contain ``end`` after the start token, (B,) bool."""
    return (tokens[:, 1:] == end).any(dim=1)


class CaptionRules(LogitsProcessor):
    """Forbid tokens by the rules for captions, and raise an error for logits that are not finite.

    The rules of transformers differ: its n-grams contain the start token, which some tokenizers use as the
    end token too, and a beam wider than the vocabulary continues after an end token.

    Args:
        end (int): The token that ends a caption.
        options (GenerationOptions): ``min_new_tokens`` and ``no_repeat_ngram``.
        beams (int): Rows per caption, which are equal at first.

    Examples:
        >>> rules = CaptionRules(end=1, options=GenerationOptions(5, min_new_tokens=2), beams=1)
        >>> rules(torch.tensor([[0]]), torch.zeros(1, 3))  # the end token comes too early
        tensor([[0., -inf, 0.]])
    """

    def __init__(self, end: int, options: GenerationOptions, beams: int) -> None:
        self.end, self.min_new_tokens, self.beams = end, options.min_new_tokens, beams
        ngram = options.no_repeat_ngram
        self.ngrams = NoRepeatNGramLogitsProcessor(ngram) if ngram else None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Set log-probabilities (B, K) of tokens that must not follow ``input_ids`` (B, L) to -inf."""
        ended, length = ended_rows(input_ids, self.end), input_ids.shape[1] - 1
        broken = scores[:, 0].isnan() & ~ended  # a NaN, a +inf, or only -inf makes the row NaN
        if broken.any():
            raise ValueError(
                'the decoder returned logits with NaN, +inf or only -inf in '
                f'{int(broken.sum())} of {len(broken)} rows'
            )
        if self.ngrams:
            scores = self.ngrams(input_ids[:, 1:], scores)
        if length < self.min_new_tokens:
            scores[:, self.end] = -torch.inf
        if ended.any():
            scores[ended] = -torch.inf
        if length == 0:  # all beams are equal, so only one is continued
            scores.view(-1, self.beams, scores.shape[1])[:, 1:] = -torch.inf
        return scores


class TokenPicker(LogitsProcessor):
    """Choose one token per row, the most probable or a sampled one, and forbid all others.

    Each row is sampled with its own generator, so that draws do not depend on the batch. ``generate`` has no
    option for that.

    Args:
        end (int): The token that ends a caption.
        options (GenerationOptions): Named in the error if no token is allowed.
        warpers (LogitsProcessorList, optional): Processors of the distribution before a draw.
        generators (list[torch.Generator], optional): One per row. None chooses the most probable token.

    Attributes:
        totals (Tensor): Sums of the log-probabilities of the chosen tokens, before any warper, (B,).

    Examples:
        >>> picker = TokenPicker(end=1, options=GenerationOptions(5))
        >>> picker(torch.tensor([[0]]), torch.tensor([[-2., -3., -1.]]))
        tensor([[-inf, -inf, 0.]])
    """

    def __init__(
        self,
        end: int,
        options: GenerationOptions,
        warpers: LogitsProcessorList | None = None,
        generators: list[torch.Generator] | None = None,
    ) -> None:
        self.end, self.options, self.warpers, self.generators = end, options, warpers, generators
        self.totals = torch.zeros(0)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Set log-probabilities (B, K) to 0 for the chosen token and to -inf for all others."""
        if input_ids.shape[1] == 1:
            self.totals = scores.new_zeros(len(scores))
        rows = (~ended_rows(input_ids, self.end)).nonzero()[:, 0]
        log_probs = scores[rows]
        if (log_probs.amax(dim=1) == -torch.inf).any():
            raise ValueError(
                f'no token is allowed at position {input_ids.shape[1] - 1} of a caption: '
                f'min_new_tokens={self.options.min_new_tokens} and no_repeat_ngram='
                f'{self.options.no_repeat_ngram} forbid all tokens'
            )
        picked = self._pick(input_ids[rows], log_probs, rows)
        self.totals[rows] += log_probs.gather(1, picked[:, None])[:, 0]
        chosen = torch.full_like(scores, -torch.inf)
        chosen[rows, picked] = 0
        return chosen

    def _pick(self, tokens: Tensor, log_probs: Tensor, rows: Tensor) -> Tensor:
        """Choose one token for each of the ``rows`` (B',) that have not ended, (B',)."""
        picked = log_probs.argmax(dim=1)
        if self.generators is not None and self.warpers is not None:
            # transformers declares torch.LongTensor, which is not what torch's functions return
            probs = self.warpers(tokens, log_probs).softmax(dim=1)  # type: ignore[arg-type]
            for i, row in enumerate(rows.tolist()):
                picked[i] = torch.multinomial(probs[i], 1, generator=self.generators[row])
        return picked
