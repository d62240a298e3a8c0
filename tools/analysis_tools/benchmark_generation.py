"""Time beam search with cached keys and values against re-running the prefix, in turns within one run.

Random weights. The baselines compute every token of the prefix and the keys and values
of the frames anew at each step; `prefix` takes logits of the last token alone, as it
must, `prefix, all logits` of every token, as a plain forward pass does.
"""
import argparse
import json
import time
from typing import Any, Dict, List, Tuple

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from transformers import DynamicCache, EncoderDecoderCache, GPT2Config, GPT2Model

from mmclip4clip.models.decoders import Generated, StepwiseDecoder, generate


class CachedDecoder:
    """GPT2 with cross-attention on frame features; the state is its cache and the frames (B, T, D)."""

    def __init__(self, model: GPT2Model, head: nn.Linear) -> None:
        self.model, self.head = model, head

    def start_state(self, frames: Tensor) -> Any:
        return EncoderDecoderCache(DynamicCache(), DynamicCache()), frames

    def step(self, tokens: Tensor, state: Any) -> Tuple[Tensor, Any]:
        cache, frames = state
        hidden = self.model(tokens[:, None], past_key_values=cache, encoder_hidden_states=frames,
                            use_cache=True).last_hidden_state
        return self.head(hidden[:, -1]), state

    def reorder(self, state: Any, rows: Tensor) -> Any:
        cache, frames = state
        cache.reorder_cache(rows)
        return cache, frames[rows]


class PrefixDecoder(CachedDecoder):
    """The same without a cache; the state is the frames and the tokens so far (B, L)."""

    all_logits = False

    def start_state(self, frames: Tensor) -> Any:
        return frames, torch.empty(len(frames), 0, dtype=torch.int64)

    def step(self, tokens: Tensor, state: Any) -> Tuple[Tensor, Any]:
        frames, before = state
        prefix = torch.cat([before, tokens[:, None]], dim=1)
        hidden = self.model(prefix, encoder_hidden_states=frames, use_cache=False).last_hidden_state
        logits = self.head(hidden)[:, -1] if self.all_logits else self.head(hidden[:, -1])
        return logits, (frames, prefix)

    def reorder(self, state: Any, rows: Tensor) -> Any:
        return tuple(part[rows] for part in state)


class AllLogitsDecoder(PrefixDecoder):
    """As a plain forward pass: logits of the whole prefix, of which the last are used."""

    all_logits = True


class Stopwatch:
    """A decoder whose time is counted."""

    def __init__(self, decoder: StepwiseDecoder) -> None:
        self.decoder, self.seconds = decoder, dict(step=0., reorder=0.)

    def _timed(self, name: str, *args) -> Any:
        begin = time.perf_counter()
        result = getattr(self.decoder, name)(*args)
        self.seconds[name] += time.perf_counter() - begin
        return result

    def step(self, tokens: Tensor, state: Any) -> Tuple[Tensor, Any]:
        return self._timed('step', tokens, state)

    def reorder(self, state: Any, rows: Tensor) -> Any:
        return self._timed('reorder', state, rows)


def build(args: argparse.Namespace) -> Dict[str, CachedDecoder]:
    """Make the decoders to compare, of the same weights."""
    torch.manual_seed(args.seed)
    config = GPT2Config(
        vocab_size=args.vocabulary, n_positions=args.tokens + 1, n_embd=args.width, n_layer=args.layers,
        n_head=args.heads, add_cross_attention=True, bos_token_id=0, eos_token_id=1)
    model = GPT2Model(config).eval()
    head = nn.Linear(args.width, args.vocabulary, bias=False)
    head.weight = model.wte.weight
    nn.init.normal_(head.weight, std=0.1)  # far enough apart for a clear best token
    kinds = {'cached': CachedDecoder, 'prefix': PrefixDecoder, 'prefix, all logits': AllLogitsDecoder}
    return {name: kind(model, head) for name, kind in kinds.items()}


def run(decoder: CachedDecoder, frames: Tensor, args: argparse.Namespace) -> Tuple[Generated, Dict[str, float]]:
    """Search once; return what was found and the seconds of all, of steps and of reordering."""
    watch, start = Stopwatch(decoder), torch.zeros(len(frames), dtype=torch.int64)
    begin = time.perf_counter()
    found = generate(watch, decoder.start_state(frames), start, 1, method='beam', beam_size=args.beam,
                     max_new_tokens=args.tokens, min_new_tokens=args.tokens)
    return found, dict(total=time.perf_counter() - begin, **watch.seconds)


def measure(decoders: Dict[str, CachedDecoder], args: argparse.Namespace) -> Dict[str, List[Dict[str, float]]]:
    """Run all in turns, `repeat` times after one to warm up, and check that they find the same."""
    frames = torch.randn(args.videos, args.frames, args.width)
    seconds = {name: [] for name in decoders}
    for turn in range(args.repeat + 1):
        found = {}
        for name, decoder in decoders.items():
            found[name], taken = run(decoder, frames, args)
            if turn:
                seconds[name].append(taken)
        for name, other in found.items():
            if not torch.equal(other.tokens, found['cached'].tokens):
                raise SystemExit(f'cached and {name} found different captions')
            torch.testing.assert_close(other.scores, found['cached'].scores)
    return seconds


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--videos', type=int, default=8, help='in the batch')
    parser.add_argument('--beam', type=int, default=5)
    parser.add_argument('--tokens', type=int, default=30, help='of each caption')
    parser.add_argument('--frames', type=int, default=12)
    parser.add_argument('--width', type=int, default=512)
    parser.add_argument('--layers', type=int, default=3)
    parser.add_argument('--heads', type=int, default=8)
    parser.add_argument('--vocabulary', type=int, default=49408)
    parser.add_argument('--repeat', type=int, default=3, help='turns of all; the best counts')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--json', action='store_true', help='print all digits, as JSON')
    args = parser.parse_args()
    seconds = measure(build(args), args)
    best = {name: min(runs, key=lambda taken: taken['total']) for name, runs in seconds.items()}
    for taken in best.values():
        taken['times_the_cached'] = taken['total'] / best['cached']['total']
    if args.json:
        print(json.dumps(best))
        return
    table = Table('', 'seconds', 'in the decoder', 'reordering', "times the cached one's")
    for name, taken in best.items():
        table.add_row(name, *(f'{taken[key]:.2f}' for key in ('total', 'step', 'reorder', 'times_the_cached')))
    Console().print(table)
    print(f'{args.videos} videos, beam {args.beam}, {args.tokens} tokens, {args.frames} frames, width '
          f'{args.width}, {args.layers} layers, vocabulary {args.vocabulary}, {torch.get_num_threads()} '
          'threads; all found the same captions')


if __name__ == '__main__':
    main()
