"""Compare the speed of the tight head with a plain loop, in one run.

The loop prepends each caption to the frames of every video, and runs the blocks of ``transformers`` on the
full sequences. The loop and the exact score are slow, so they are timed on the first captions, and their
times are scaled to all captions.
"""

import argparse
import resource
import time


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        '--captions', type=int, default=1000, help='number of captions (default: %(default)s)'
    )
    parser.add_argument('--videos', type=int, default=1000, help='number of videos (default: %(default)s)')
    parser.add_argument('--frames', type=int, default=12, help='frames per video (default: %(default)s)')
    parser.add_argument('--width', type=int, default=512, help='width of the features (default: %(default)s)')
    parser.add_argument('--layers', type=int, default=4, help='blocks of the adapter (default: %(default)s)')
    parser.add_argument(
        '--top', type=int, default=50, help='length of the shortlists of re-ranking (default: %(default)s)'
    )
    parser.add_argument(
        '--sample',
        type=int,
        default=10,
        help='captions for the loop and the exact score (default: %(default)s)',
    )
    parser.add_argument(
        '--repeat', type=int, default=3, help='repetitions; the fastest one counts (default: %(default)s)'
    )
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports, which take seconds

import torch
from rich.console import Console
from rich.table import Table

from mmclip4clip.evaluation.scoring.rerank import RerankedScores
from mmclip4clip.models import TightAdapter


def score_by_loop(adapter: TightAdapter, text: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
    """Score captions (N, D) for videos (V, T, D) with a plain loop, (N, V)."""
    rows = []
    for caption in text:
        hidden = torch.cat([caption.expand(len(frames), 1, -1), frames], dim=1)
        hidden = hidden + adapter.transformer.positions.weight[: hidden.shape[1]]
        for block in adapter.transformer.blocks:
            hidden = block(hidden, None)
        pooled = adapter.pool_proj(adapter.pool_norm(hidden)[:, 0])
        rows.append(adapter.score(pooled * torch.sigmoid(1.702 * pooled)).squeeze(-1))
    return torch.stack(rows)


def peak_memory() -> float:
    """Return the peak memory of this process in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


@torch.no_grad()
def main(args: argparse.Namespace) -> None:
    torch.manual_seed(0)
    adapter = TightAdapter(args.width, args.layers, max_frames=args.frames, start='random').eval()
    text = torch.randn(args.captions, args.width)
    frames = torch.randn(args.videos, args.frames, args.width)
    videos = adapter.encode(frames, torch.ones(args.videos, args.frames))
    adapter.similarity(text[:1], videos)  # warm-up
    before, seconds, memory = peak_memory(), {'loop': [], 'exact': []}, {}

    def timed(name, function):
        start = time.perf_counter()
        result = function()
        seconds.setdefault(name, []).append(time.perf_counter() - start)
        memory.setdefault(name, peak_memory() - before)
        return result

    part = text[: args.sample]
    exact = timed('exact', lambda: adapter.similarity(part, videos))
    every = torch.ones(args.captions, dtype=torch.bool)
    timed(
        're-ranked',
        lambda: RerankedScores(adapter, dict(text=text), videos, args.top, every).rows(slice(None)),
    )
    for _ in range(args.repeat):
        loop = timed('loop', lambda: score_by_loop(adapter, part, frames))
        exact = timed('exact', lambda: adapter.similarity(part, videos))
    scale = args.captions / len(part)
    plain = scale * min(seconds['loop'])
    table = Table('', 'seconds', 'speed-up', 'peak memory (GiB)')
    for name, value in (
        ('loop', plain),
        ('exact', scale * min(seconds['exact'])),
        (f're-ranked, top {args.top}', min(seconds['re-ranked'])),
    ):
        more = memory[name.split(',')[0]]
        table.add_row(name, f'{value:.0f}', f'{plain / value:.2f}', f'{more:.2f}')
    Console().print(table)
    print(
        f'{args.captions} x {args.videos} pairs, {args.frames} frames, width {args.width}, '
        f'{args.layers} layers, {torch.get_num_threads()} threads; loop and exact scaled up from '
        f'{len(part)} captions'
    )
    difference = (loop - exact).abs().max() / loop.abs().max()
    print(f'largest difference between loop and exact, relative to the largest score: {difference:.1e}')


if __name__ == '__main__':
    main(args)
