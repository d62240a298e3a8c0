"""Compare the speed of beam search with a cache, without one, and in a plain loop, in one run.

The weights are random. `generate` is the search that generates captions: that of transformers, with the
rules of this package for captions. `plain loop` is a minimal search for captions of one length with a
cache, so its difference to `generate` is the overhead of the library and of this package. `no cache`
processes all previous tokens again at each step, with logits of the last token only.
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from typing import Any


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--videos', type=int, default=8, help='batch size (default: %(default)s)')
    parser.add_argument('--beam', type=int, default=5, help='beam size (default: %(default)s)')
    parser.add_argument(
        '--tokens', type=int, default=30, help='length of each caption (default: %(default)s)'
    )
    parser.add_argument('--frames', type=int, default=12, help='frames per video (default: %(default)s)')
    parser.add_argument(
        '--width', type=int, default=512, help='width of the decoder and of CLIP (default: %(default)s)'
    )
    parser.add_argument('--layers', type=int, default=3, help='layers of the decoder (default: %(default)s)')
    parser.add_argument('--heads', type=int, default=8, help='attention heads (default: %(default)s)')
    parser.add_argument(
        '--vocabulary',
        type=int,
        default=49408,
        help='number of tokens in the vocabulary (default: %(default)s)',
    )
    parser.add_argument(
        '--repeat', type=int, default=3, help='repetitions; the fastest one counts (default: %(default)s)'
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='seed of the random weights (default: %(default)s)'
    )
    parser.add_argument('--json', action='store_true', help='print all digits, as JSON (default: a table)')
    args = parser.parse_args()
    for name, value in vars(args).items():
        if name not in ('seed', 'json') and value < 1:
            parser.error(f'--{name} must be at least 1, got {value}')
    return args


if __name__ == '__main__':
    args = parse_args()  # before the imports, which take seconds

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from transformers import DynamicCache, EncoderDecoderCache

from mmclip4clip.models.backbones import CLIPBackbone
from mmclip4clip.models.decoders import CaptionDecoder, GenerationOptions, generate
from mmclip4clip.models.decoders.language_model import CaptionLanguageModel

START, END = 0, 1


class PrefixModel(CaptionLanguageModel):
    """The decoder without its cache."""

    def prepare_inputs_for_generation(self, input_ids: Tensor, **kwargs) -> dict[str, Any]:
        """Return all previous tokens as input."""
        frames = {name: kwargs[name] for name in ('frames', 'frame_mask')}
        return dict(input_ids=input_ids, **frames, use_cache=False)


def make_decoder(args: argparse.Namespace) -> CaptionDecoder:
    """Return a decoder tied to a random CLIP with the width and vocabulary of the arguments."""
    heads = dict(num_attention_heads=args.heads, num_hidden_layers=1)
    backbone = CLIPBackbone(
        config=dict(
            text_config=dict(
                **heads,
                hidden_size=args.width,
                intermediate_size=args.width,
                vocab_size=args.vocabulary,
                max_position_embeddings=args.tokens + 1,
            ),
            vision_config=dict(**heads, hidden_size=args.heads * 8, intermediate_size=64, patch_size=32),
            projection_dim=args.width,
        )
    )
    words = backbone.clip.text_model.embeddings.token_embedding.weight
    nn.init.normal_(words, std=0.1)  # so that one token is clearly the best
    return CaptionDecoder(backbone, num_layers=args.layers, num_heads=args.heads).eval()


def plain_search(model: CaptionLanguageModel, inputs: dict[str, Tensor], beam: int, length: int) -> Tensor:
    """Return the best tokens of exactly this length that a beam search finds, (B, L)."""
    inputs = {name: rows.repeat_interleave(beam, dim=0) for name, rows in inputs.items()}
    batch, words = len(inputs['frames']) // beam, model.config.vocab_size
    cache = EncoderDecoderCache(DynamicCache(), DynamicCache())  # transformers 4 would make tuples
    tokens = torch.full((batch * beam, 1), START)
    totals = torch.full((batch * beam, 1), -torch.inf)
    totals[::beam] = 0  # all beams are equal at first
    first = torch.arange(0, batch * beam, beam)[:, None]
    for _ in range(length):
        out = model(tokens[:, -1:], **inputs, past_key_values=cache)
        log_probs = out.logits[:, 0].log_softmax(dim=1)
        log_probs[:, END] = -torch.inf
        best, index = log_probs.add_(totals).view(batch, -1).topk(beam)
        rows, totals, cache = (first + index // words).flatten(), best.view(-1, 1), out.past_key_values
        tokens = torch.cat([tokens[rows], (index % words).view(-1, 1)], dim=1)
        cache.reorder_cache(rows)
    return tokens[::beam, 1:]


def searches(args: argparse.Namespace) -> dict[str, Callable[[int], Tensor]]:
    """Return search functions by name, which return captions with a given number of tokens, (B, L)."""
    decoder = make_decoder(args)
    frames = torch.randn(args.videos, args.frames, args.width)
    frame_mask = torch.ones(args.videos, args.frames)
    inputs = dict(frames=decoder.frame_proj(decoder.frame_norm(frames)), frame_mask=frame_mask)
    weights = decoder.transformer, decoder.transformer.wte.weight
    cached, prefix = CaptionLanguageModel(*weights), PrefixModel(*weights)

    def options(length: int) -> GenerationOptions:
        return GenerationOptions(length, min_new_tokens=length, beam_size=args.beam)

    start = torch.full((args.videos,), START)
    return {
        'generate': lambda length: decoder.generate(frames, frame_mask, START, END, options(length)).tokens,
        'plain loop': lambda length: plain_search(cached, inputs, args.beam, length),
        'no cache': lambda length: generate(prefix, inputs, start, END, options(length)).tokens,
    }


def measure(found_by: dict[str, Callable[[int], Tensor]], args: argparse.Namespace) -> dict[str, float]:
    """Return the minimum time of each search in seconds, and check that all find the same captions."""
    seconds = dict.fromkeys(found_by, math.inf)
    for search in found_by.values():
        search(min(2, args.tokens))
    for _ in range(args.repeat):
        found = {}
        for name, search in found_by.items():
            begin = time.perf_counter()
            found[name] = search(args.tokens)
            seconds[name] = min(seconds[name], time.perf_counter() - begin)
        for name, other in found.items():
            if not torch.equal(other, found['generate']):
                raise SystemExit(f'generate and {name} found different captions')
    return seconds


@torch.no_grad()
def main(args: argparse.Namespace) -> None:
    torch.manual_seed(args.seed)
    seconds = measure(searches(args), args)
    figures = {
        name: dict(seconds=taken, times_generate=taken / seconds['generate'])
        for name, taken in seconds.items()
    }
    if args.json:
        print(json.dumps(figures))
        return
    table = Table('', 'seconds', 'times generate')
    for name, taken in figures.items():
        table.add_row(name, *(f'{value:.2f}' for value in taken.values()))
    Console().print(table)
    print(
        f'{args.videos} videos, beam {args.beam}, {args.tokens} tokens, {args.frames} frames, width '
        f'{args.width}, {args.layers} layers, vocabulary {args.vocabulary}, {torch.get_num_threads()} '
        'threads; all found the same captions'
    )


if __name__ == '__main__':
    main(args)
