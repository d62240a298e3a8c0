"""Compare the time of training steps of several configs on random batches, in one run."""

import mmclip4clip  # noqa: F401  # isort: skip  (first: mmaction2 itself refuses newer mmcv)

import argparse
import time


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('configs', nargs='+', help='configs; the others are compared with the first one')
    parser.add_argument('--batch-size', type=int, default=64, help='videos per batch (default: %(default)s)')
    parser.add_argument('--frames', type=int, default=4, help='frames per video (default: %(default)s)')
    parser.add_argument('--words', type=int, default=16, help='tokens per caption (default: %(default)s)')
    parser.add_argument('--steps', type=int, default=10, help='timed steps per config (default: %(default)s)')
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports, which take seconds

import torch
from mmaction.registry import MODELS
from mmengine.registry import init_default_scope
from rich.console import Console
from rich.table import Table

from mmclip4clip.apis import read_config


def make_batch(model: torch.nn.Module, size: int, frames: int, words: int) -> dict:
    """Create a random batch with one caption per video and no padding."""
    config = model.backbone.clip.config
    pixels = config.vision_config.image_size
    return dict(
        frames=torch.randn(size, frames, 3, pixels, pixels),
        frame_mask=torch.ones(size, frames),
        tokens=torch.randint(config.text_config.vocab_size, (size, words)),
        text_mask=torch.ones(size, words, dtype=torch.long),
        video_index=torch.arange(size),
        video_key=torch.arange(size),
    )


def main(args: argparse.Namespace) -> None:
    init_default_scope('mmaction')
    models = [MODELS.build(read_config(path).model).train() for path in args.configs]
    seconds = [[] for _ in models]
    for step in range(args.steps + 1):
        for model, times in zip(models, seconds):
            batch = make_batch(model, args.batch_size, args.frames, args.words)
            start = time.perf_counter()
            losses = model(batch, mode='loss')
            (losses['loss_t2v'] + losses['loss_v2t']).backward()
            model.zero_grad()
            if step:  # the first one warms up
                times.append(time.perf_counter() - start)
    medians = [sorted(times)[len(times) // 2] for times in seconds]
    table = Table('adapter', 'ms per step', 'relative to the first')
    for model, median in zip(models, medians):
        table.add_row(type(model.adapter).__name__, f'{1000 * median:.0f}', f'{median / medians[0]:.2f}')
    Console().print(table)
    print(
        f'forward and backward, batches of {args.batch_size} x {args.frames} frames, median of '
        f'{args.steps} steps, {torch.get_num_threads()} threads'
    )


if __name__ == '__main__':
    main(args)
