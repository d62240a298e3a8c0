"""Time beam search with cached keys and values against re-running the prefix, in turns within one run.

Random weights. What re-runs the prefix computes all its tokens, and the keys and values
of the frames, anew at each step: `prefix` then takes logits of the last token alone,
`prefix, all logits` of every token, as a plain forward pass does.
"""
import argparse
import json
import time
from typing import Any, Dict, List, NamedTuple, Tuple

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from mmclip4clip.models.backbones import CLIPBackbone
from mmclip4clip.models.decoders import CaptionDecoder, Generated, StepwiseDecoder, generate


class Prefix(NamedTuple):
    """Projected frames (B, T, D), their mask (B, T), and the tokens so far (B, L)."""

    frames: Tensor
    frame_mask: Tensor
    tokens: Tensor


def make_decoder(args: argparse.Namespace) -> CaptionDecoder:
    """Return a decoder tied to a random CLIP of the width and vocabulary asked for."""
    heads = dict(num_attention_heads=args.heads, num_hidden_layers=1)
    backbone = CLIPBackbone(config=dict(
        text_config=dict(**heads, hidden_size=args.width, intermediate_size=args.width,
                         vocab_size=args.vocabulary, max_position_embeddings=args.tokens + 1),
        vision_config=dict(**heads, hidden_size=args.heads * 8, intermediate_size=64, patch_size=32),
        projection_dim=args.width))
    words = backbone.clip.text_model.embeddings.token_embedding.weight
    nn.init.normal_(words, std=0.1)  # one token is clearly the best
    return CaptionDecoder(backbone, num_layers=args.layers, num_heads=args.heads).eval()


class PrefixDecoder:
    """The decoder without its cache."""

    def __init__(self, decoder: CaptionDecoder, all_logits: bool) -> None:
        self.decoder, self.all_logits = decoder, all_logits

    def begin(self, frames: Tensor, frame_mask: Tensor) -> Prefix:
        """Return the state before the first token."""
        start = self.decoder.begin(frames, frame_mask)
        return Prefix(start.frames, start.frame_mask, torch.empty(len(frames), 0, dtype=torch.int64))

    def step(self, tokens: Tensor, state: Prefix) -> Tuple[Tensor, Prefix]:
        """Run all tokens so far."""
        transformer, prefix = self.decoder.transformer, torch.cat([state.tokens, tokens[:, None]], dim=1)
        hidden = transformer(prefix, encoder_hidden_states=state.frames,
                             encoder_attention_mask=state.frame_mask, use_cache=False).last_hidden_state
        logits = F.linear(hidden if self.all_logits else hidden[:, -1:], transformer.wte.weight)
        return logits[:, -1], Prefix(state.frames, state.frame_mask, prefix)

    def reorder(self, state: Prefix, rows: Tensor) -> Prefix:
        """Pick rows of the state."""
        return Prefix(*(part[rows] for part in state))


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
        """Step, counting the time."""
        return self._timed('step', tokens, state)

    def reorder(self, state: Any, rows: Tensor) -> Any:
        """Reorder, counting the time."""
        return self._timed('reorder', state, rows)


def search(decoder: StepwiseDecoder, frames: Tensor, beam: int, tokens: int
           ) -> Tuple[Generated, Dict[str, float]]:
    """Write captions of exactly so many tokens; return them and the seconds of all, steps and reordering."""
    watch, start = Stopwatch(decoder), torch.zeros(len(frames), dtype=torch.int64)
    begin = time.perf_counter()
    state = decoder.begin(frames, torch.ones(frames.shape[:2]))
    found = generate(watch, state, start, 1, method='beam', beam_size=beam, max_new_tokens=tokens,
                     min_new_tokens=tokens)
    return found, dict(total=time.perf_counter() - begin, **watch.seconds)


def measure(decoders: Dict[str, StepwiseDecoder], frames: Tensor, args: argparse.Namespace
            ) -> Dict[str, List[Dict[str, float]]]:
    """Search with all in turns, after two tokens of each to warm up, and check that they find the same."""
    seconds = {name: [] for name in decoders}
    for decoder in decoders.values():
        search(decoder, frames, args.beam, 2)
    for _ in range(args.repeat):
        found = {}
        for name, decoder in decoders.items():
            found[name], taken = search(decoder, frames, args.beam, args.tokens)
            seconds[name].append(taken)
        for name, other in found.items():
            if not torch.equal(other.tokens, found['cached'].tokens):
                raise SystemExit(f'cached and {name} found different captions')
    return seconds


def parse_args() -> argparse.Namespace:
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
    for name, value in vars(args).items():
        if name not in ('seed', 'json') and value < 1:
            parser.error(f'--{name} must be at least 1, got {value}')
    return args


@torch.no_grad()
def main() -> None:
    args = parse_args()
    torch.manual_seed(args.seed)
    cached = make_decoder(args)
    decoders = {'cached': cached, 'prefix': PrefixDecoder(cached, all_logits=False),
                'prefix, all logits': PrefixDecoder(cached, all_logits=True)}
    seconds = measure(decoders, torch.randn(args.videos, args.frames, args.width), args)
    best = {name: min(runs, key=lambda taken: taken['total']) for name, runs in seconds.items()}
    for taken in best.values():
        taken['times_the_cached'] = taken['total'] / best['cached']['total']
    if args.json:
        print(json.dumps(best))
        return
    table = Table('', 'seconds', 'in steps', 'reordering', 'times the cached')
    for name, taken in best.items():
        table.add_row(name, *(f'{taken[key]:.2f}' for key in
                              ('total', 'step', 'reorder', 'times_the_cached')))
    Console().print(table)
    print(f'{args.videos} videos, beam {args.beam}, {args.tokens} tokens, {args.frames} frames, width '
          f'{args.width}, {args.layers} layers, vocabulary {args.vocabulary}, {torch.get_num_threads()} '
          'threads; all found the same captions')


if __name__ == '__main__':
    main()
