"""Captions by ``generate`` of transformers: greedy, beam search or sampling.

A row's caption does not depend on the other rows of its batch, but for the decoder's own rounding.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias, cast

import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    LogitNormalization,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from .generation_options import GenerationOptions
from .logits_processors import CaptionRules, TokenPicker

# A PreTrainedModel that is a GenerationMixin too: Python has no type for what is both.
LanguageModel: TypeAlias = Any


class Generated(NamedTuple):
    """One caption for each row of a batch.

    Attributes:
        tokens (Tensor): Without the start token, ``end`` from the caption's end on, (B, L) int64
            with L the longest length.
        lengths (Tensor): Tokens before ``end``, (B,) int64.
        scores (Tensor): Sum of the decoder's own log-probabilities, the end token's among them, (B,).
            Those of a beam search are divided by length ** ``length_penalty``, where the length
            counts the end token, if there is one.
    """

    tokens: Tensor
    lengths: Tensor
    scores: Tensor


@torch.no_grad()
def generate(
    model: LanguageModel,
    inputs: dict[str, Tensor],
    start: Tensor,
    end: int,
    options: GenerationOptions,
    seeds: Sequence[int] | None = None,
) -> Generated:
    """Generate a caption a row.

    Args:
        model (LanguageModel): A causal language model of transformers, whose ``config.vocab_size`` is
            the number K of tokens.
        inputs (dict[str, Tensor]): What its ``forward`` takes beside tokens, with B rows each.
        start (Tensor): The first token of each row, (B,) int64.
        end (int): The token that ends a caption.
        options (GenerationOptions): How to generate; ``seeds`` stand for ``seed``.
        seeds (Sequence[int], optional): One a row, for sampling. A row's draws depend on its seed alone,
            and on the kind of device.

    Raises:
        ValueError: If an argument does not fit the others, the logits are broken, or no caption keeps
            the rules.
    """
    _check_tokens(start, end, model.config.vocab_size)
    options.check_vocabulary(model.config.vocab_size)
    if options.method == 'sample' and (seeds is None or len(seeds) != len(start)):
        raise ValueError(
            f'seeds must be one a row of start, {len(start)}, got {None if seeds is None else len(seeds)}'
        )
    if options.method == 'beam' and options.beam_size > 1:
        tokens, scores = _search(model, inputs, start, end, options)
    else:
        tokens, scores = _pick(model, inputs, start, end, options, seeds)
    lengths = (tokens != end).sum(dim=1)
    if options.method == 'beam' and options.beam_size == 1:
        scores = scores / (lengths + 1).clamp(max=options.max_new_tokens) ** options.length_penalty
    return Generated(tokens[:, : lengths.max()], lengths, scores)


def _search(
    model: LanguageModel,
    inputs: dict[str, Tensor],
    start: Tensor,
    end: int,
    options: GenerationOptions,
) -> tuple[Tensor, Tensor]:
    """Search with beams: tokens (B, L) that ``end`` fills, and scores (B,).

    A caption is finished when its end is among the ``beam_size`` best continuations, a row when
    ``beam_size`` captions are. That is ``early_stopping=True``. The library's default goes on while a
    better caption is likely, and finds one in about 1 of 12 cases.
    """
    rules = CaptionRules(end, options, options.beam_size)
    found = _run(
        model,
        inputs,
        start,
        end,
        options,
        [rules],
        [_ForgetScores()],
        num_beams=options.beam_size,
        length_penalty=float(options.length_penalty),
        early_stopping=True,
        output_scores=True,
    )
    none = (found.sequences_scores < -1e8).nonzero()[:, 0].tolist()  # the library starts at -1e9
    if none:
        raise ValueError(
            f'no caption keeps the rules in rows {none}: min_new_tokens={options.min_new_tokens} and '
            f'no_repeat_ngram={options.no_repeat_ngram} leave no token'
        )
    return found.sequences[:, 1:], found.sequences_scores


def _pick(
    model: LanguageModel,
    inputs: dict[str, Tensor],
    start: Tensor,
    end: int,
    options: GenerationOptions,
    seeds: Sequence[int] | None,
) -> tuple[Tensor, Tensor]:
    """Take the best token or draw one each time: tokens (B, L) that ``end`` fills, and scores (B,)."""
    picker = TokenPicker(end, options)
    if options.method == 'sample' and seeds is not None:
        generators = [torch.Generator(start.device).manual_seed(int(seed)) for seed in seeds]
        picker = TokenPicker(end, options, _warpers(options), generators)
    processors = [LogitNormalization(), CaptionRules(end, options, beams=1), picker]
    found = _run(model, inputs, start, end, options, processors)
    return found.sequences[:, 1:], picker.totals


def _run(
    model: LanguageModel,
    inputs: dict[str, Tensor],
    start: Tensor,
    end: int,
    options: GenerationOptions,
    processors: list[LogitsProcessor],
    criteria: Sequence[StoppingCriteria] = (),
    **settings,
) -> Any:
    """Call the library. What is not set here would come from the model's config, as ``use_cache=False``."""
    config = GenerationConfig(
        max_new_tokens=options.max_new_tokens,
        eos_token_id=end,
        pad_token_id=end,
        do_sample=False,
        use_cache=True,
        return_dict_in_generate=True,
        **settings,
    )
    prompt, others = start[:, None], cast('dict[str, Any]', inputs)
    return model.generate(
        prompt,
        generation_config=config,
        attention_mask=torch.ones_like(prompt),
        logits_processor=LogitsProcessorList(processors),
        stopping_criteria=StoppingCriteriaList(criteria),
        **others,
    )


class _ForgetScores(StoppingCriteria):
    """Free what ``generate`` keeps of each step, all log-probabilities, when only final scores are needed.

    At CLIP's vocabulary they take 1 MB a token of each video with five beams.
    """

    def __call__(self, input_ids: Tensor, scores: tuple[Tensor, ...], **kwargs) -> Tensor:
        """Stop nothing."""
        scores[-1].untyped_storage().resize_(0)
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


def _warpers(options: GenerationOptions) -> LogitsProcessorList:
    """Build what cuts a distribution, in the usual order."""
    warpers = LogitsProcessorList([TemperatureLogitsWarper(float(options.temperature))])
    if options.top_k:
        warpers.append(TopKLogitsWarper(options.top_k))
    if options.top_p < 1:
        warpers.append(TopPLogitsWarper(float(options.top_p)))
    return warpers


def _check_tokens(start: Tensor, end: int, vocab_size: int) -> None:
    """Raise ValueError unless ``start`` is (B,) int64, and it and ``end`` are of the vocabulary."""
    if start.ndim != 1 or not len(start) or start.dtype != torch.int64:
        raise ValueError(f'start must be one token a row, (B,) int64, got {tuple(start.shape)} {start.dtype}')
    for name, token in (('end', end), *(('a token of start', int(token)) for token in start.aminmax())):
        if not 0 <= token < vocab_size:
            raise ValueError(
                f'{name} must be from 0 on and below {vocab_size}, the size of the vocabulary, got {token}'
            )
