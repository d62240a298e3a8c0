"""Caption generation with ``generate`` of transformers: greedy search, beam search or sampling.

The caption of a row does not depend on the other rows of the batch, except for rounding in the decoder.
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

# A PreTrainedModel and GenerationMixin; Python has no intersection types.
LanguageModel: TypeAlias = Any


class Generated(NamedTuple):
    """One caption for each row of a batch.

    Attributes:
        tokens (Tensor): Token ids without the start token, padded with ``end``, (B, L) int64. L is the
            greatest length.
        lengths (Tensor): Number of tokens before ``end``, (B,) int64.
        scores (Tensor): Sum of the log-probabilities of the decoder, including the end token, (B,). Beam
            search divides it by length ** ``length_penalty``; the length includes the end token, if
            there is one.

    Examples:
        >>> Generated(torch.tensor([[5, 6, 9]]), torch.tensor([2]), torch.tensor([-0.5])).lengths  # 9 ends it
        tensor([2])
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
    """Generate one caption per row.

    Args:
        model (LanguageModel): A causal language model of transformers. Its ``config.vocab_size`` is the
            size K of the vocabulary.
        inputs (dict[str, Tensor]): Further inputs of its ``forward``, with B rows each.
        start (Tensor): The first token of each row, (B,) int64.
        end (int): The token that ends a caption.
        options (GenerationOptions): Options of the generation; ``seeds`` replace its ``seed``.
        seeds (Sequence[int], optional): One per row, for sampling. The draws of a row depend only on its
            seed and the type of device.

    Raises:
        ValueError: If arguments contradict each other, logits are not finite, or the options allow no
            caption.

    Examples:
        >>> from transformers import GPT2Config, GPT2LMHeadModel
        >>> config = GPT2Config(vocab_size=12, n_positions=16, n_embd=8, n_layer=1, n_head=1)
        >>> model, start = GPT2LMHeadModel(config).eval(), torch.tensor([0, 0])
        >>> options = GenerationOptions(max_new_tokens=4, beam_size=2)
        >>> generate(model, {}, start, end=1, options=options).lengths.shape
        torch.Size([2])
    """
    _check_tokens(start, end, model.config.vocab_size)
    options.check_vocabulary(model.config.vocab_size)
    if options.method == 'sample' and (seeds is None or len(seeds) != len(start)):
        raise ValueError(
            f'seeds must be one per row of start, {len(start)}, got {None if seeds is None else len(seeds)}'
        )
    if options.method == 'beam' and options.beam_size > 1:
        tokens, scores = _beam_search(model, inputs, start, end, options)
    else:
        tokens, scores = _greedy_or_sample(model, inputs, start, end, options, seeds)
    lengths = (tokens != end).sum(dim=1)
    if options.method == 'beam' and options.beam_size == 1:
        scores = scores / (lengths + 1).clamp(max=options.max_new_tokens) ** options.length_penalty
    return Generated(tokens[:, : lengths.max()], lengths, scores)


def _beam_search(
    model: LanguageModel,
    inputs: dict[str, Tensor],
    start: Tensor,
    end: int,
    options: GenerationOptions,
) -> tuple[Tensor, Tensor]:
    """Run beam search; return tokens (B, L), padded with ``end``, and scores (B,).

    A caption is finished when its end token is among the ``beam_size`` best continuations. A row is finished
    when it has ``beam_size`` captions, which is ``early_stopping=True``. The default of transformers
    continues while a better caption is likely, and finds one in about 1 of 12 cases.
    """
    rules = CaptionRules(end, options, options.beam_size)
    output = _call_generate(
        model,
        inputs,
        start,
        end,
        options,
        [rules],
        [_FreeStepScores()],
        num_beams=options.beam_size,
        length_penalty=float(options.length_penalty),
        early_stopping=True,
        output_scores=True,
    )
    failed = (output.sequences_scores < -1e8).nonzero()[:, 0].tolist()  # transformers starts at -1e9
    if failed:
        raise ValueError(
            f'the options allow no caption in rows {failed}: min_new_tokens={options.min_new_tokens} and '
            f'no_repeat_ngram={options.no_repeat_ngram} leave no token'
        )
    return output.sequences[:, 1:], output.sequences_scores


def _greedy_or_sample(
    model: LanguageModel,
    inputs: dict[str, Tensor],
    start: Tensor,
    end: int,
    options: GenerationOptions,
    seeds: Sequence[int] | None,
) -> tuple[Tensor, Tensor]:
    """Run greedy search or sampling; return tokens (B, L), padded with ``end``, and scores (B,)."""
    picker = TokenPicker(end, options)
    if options.method == 'sample' and seeds is not None:
        generators = [torch.Generator(start.device).manual_seed(int(seed)) for seed in seeds]
        picker = TokenPicker(end, options, _warpers(options), generators)
    processors = [LogitNormalization(), CaptionRules(end, options, beams=1), picker]
    output = _call_generate(model, inputs, start, end, options, processors)
    return output.sequences[:, 1:], picker.totals


def _call_generate(
    model: LanguageModel,
    inputs: dict[str, Tensor],
    start: Tensor,
    end: int,
    options: GenerationOptions,
    processors: list[LogitsProcessor],
    criteria: Sequence[StoppingCriteria] = (),
    **settings,
) -> Any:
    """Call ``generate``; settings not given here would come from the config of the model."""
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


class _FreeStepScores(StoppingCriteria):
    """Free the log-probabilities that ``generate`` keeps of each step; only the final scores are needed.

    With CLIP's vocabulary and five beams they take 1 MB per token and video.
    """

    def __call__(self, input_ids: Tensor, scores: tuple[Tensor, ...], **kwargs) -> Tensor:
        """Free the scores of the last step, and never stop."""
        scores[-1].untyped_storage().resize_(0)
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


def _warpers(options: GenerationOptions) -> LogitsProcessorList:
    """Build the processors of temperature, top-k and top-p, in this order."""
    warpers = LogitsProcessorList([TemperatureLogitsWarper(float(options.temperature))])
    if options.top_k:
        warpers.append(TopKLogitsWarper(options.top_k))
    if options.top_p < 1:
        warpers.append(TopPLogitsWarper(float(options.top_p)))
    return warpers


def _check_tokens(start: Tensor, end: int, vocab_size: int) -> None:
    """Raise ValueError unless ``start`` is (B,) int64, and it and ``end`` are in the vocabulary."""
    if start.ndim != 1 or not len(start) or start.dtype != torch.int64:
        raise ValueError(
            f'start must be one token per row, (B,) int64, got {tuple(start.shape)} {start.dtype}'
        )
    for name, token in (('end', end), *(('a token of start', int(token)) for token in start.aminmax())):
        if not 0 <= token < vocab_size:
            raise ValueError(
                f'{name} must be at least 0 and below {vocab_size}, the size of the vocabulary, got {token}'
            )
