"""Measure how time and memory grow with frames, batch, videos, captions and processes, and plot it.

Each size runs in a process of its own. Frames: the forward pass of the frame tower for two videos. Batch:
a training step, plain, with recomputed activations, and in micro-batches of two videos. Videos and captions:
ranks and dual softmax of a test from features of width 512. Processes: a training step of the same 24 videos,
divided among processes with one thread each. The tower is ViT-B/32 with random weights; --layers shortens it.
"""

import mmclip4clip  # noqa: F401  # isort: skip  (first: mmaction2 itself refuses newer mmcv)

import argparse
import json
import multiprocessing
import statistics
import time
from pathlib import Path
from typing import Any

SIZES = dict(
    frames=(4, 8, 16, 32),
    batch=(4, 8, 16),
    videos=(1_000, 3_000, 10_000),
    captions=(1, 5, 20),
    processes=(1, 2, 3),
)
WAYS = dict(
    frames=('forward',),
    batch=('plain', 'checkpointed', 'micro-batches'),
    videos=('ranks', 'dual softmax'),
    captions=('ranks', 'dual softmax'),
    processes=('step',),
)
UNITS = dict(
    frames='frames of a video',
    batch='videos of a batch of 12 frames',
    videos='videos, one caption each',
    captions='captions of each of 1,000 videos',
    processes='processes',
)
WIDTH, VIDEOS, TOTAL = 512, 1_000, 24


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--of', nargs='+', choices=SIZES, help='what grows (default: everything)')
    parser.add_argument('--sizes', type=int, nargs='+', help='of the one thing that grows (default: SIZES)')
    parser.add_argument('--layers', type=int, default=12, help='blocks of each tower (default: %(default)s)')
    parser.add_argument(
        '--rounds', type=int, default=2, help='timed runs of each size (default: %(default)s)'
    )
    parser.add_argument(
        '--out', type=Path, help='write the figures to OUT.json and a plot to OUT.png (default: none)'
    )
    return parser.parse_args()


def build_model(layers: int, way: str) -> Any:
    """Return a retriever with ViT-B/32 and random weights."""
    from mmaction.registry import MODELS
    from mmengine.registry import init_default_scope

    import mmclip4clip.models  # noqa: F401  registers the modules

    init_default_scope('mmaction')
    tower = dict(num_hidden_layers=layers)
    backbone = dict(type='CLIPBackbone', config=dict(text_config=tower, vision_config=tower))
    backbone['gradient_checkpointing'] = way == 'checkpointed'
    size = 2 if way == 'micro-batches' else None
    return MODELS.build(
        dict(
            type='CLIP4ClipRetriever',
            backbone=backbone,
            adapter=dict(type='MeanAdapter'),
            micro_batch_size=size,
        )
    )


def make_step(model: Any, videos: int, frames: int) -> Any:
    """Return a function that does forward and backward of a batch, without an update."""
    import torch

    batch = dict(
        frames=torch.randn(videos, frames, 3, 224, 224),
        frame_mask=torch.ones(videos, frames),
        tokens=torch.randint(49000, (videos, 12)),
        text_mask=torch.ones(videos, 12, dtype=torch.long),
        video_index=torch.arange(videos),
        video_key=torch.arange(videos),
    )

    def step() -> None:
        losses = model(batch, mode='loss')
        (losses['loss_t2v'] + losses['loss_v2t']).backward()
        model.zero_grad()

    return step


def prepare(kind: str, way: str, size: int, layers: int) -> Any:
    """Return the work to measure, as a function."""
    import numpy as np
    import torch

    if kind == 'frames':
        model = build_model(layers, way).eval()
        frames, mask = torch.randn(2, size, 3, 224, 224), torch.ones(2, size)
        return torch.no_grad()(lambda: model.encode_frames(frames, mask))
    if kind == 'batch':
        return make_step(build_model(layers, way).train(), size, 12)
    from mmclip4clip.evaluation import retrieval_figures
    from mmclip4clip.evaluation.metrics.retrieval import post_processed_figures
    from mmclip4clip.evaluation.records import Scores

    rng = np.random.default_rng(0)
    videos, each = (size, 1) if kind == 'videos' else (VIDEOS, size)
    index = np.repeat(np.arange(videos), each)
    features = rng.standard_normal((videos, WIDTH), np.float32)
    text = features[index] + 6 * rng.standard_normal((len(index), WIDTH), np.float32)

    def work() -> None:
        scores = Scores(text @ features.T, index, None, None)
        if way == 'ranks':
            retrieval_figures(scores)
        else:
            post_processed_figures(scores, ['dual_softmax'])

    return work


def join_processes(rank: int, world: int, port: int, layers: int) -> None:
    """Join the other processes, which take steps together."""
    import torch
    from torch import distributed

    torch.set_num_threads(1)
    distributed.init_process_group('gloo', f'tcp://127.0.0.1:{port}', rank=rank, world_size=world)
    model = torch.nn.parallel.DistributedDataParallel(build_model(layers, 'plain').train())
    return make_step(model, TOTAL // world, 1)


def measure(
    pipe: Any, kind: str, way: str, size: int, layers: int, rounds: int, rank: int, port: int
) -> None:
    """Send the peak memory of this process in bytes, and the median time in seconds."""
    from mmclip4clip.engine.hooks.training_size_hook import peak_memory
    from mmclip4clip.engine.kept_memory import keep_freed_memory

    keep_freed_memory()  # as tools/train.py and tools/test.py do
    work = (
        join_processes(rank, size, port, layers) if kind == 'processes' else prepare(kind, way, size, layers)
    )
    times = []
    for _ in range(rounds + 1):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    pipe.send((peak_memory(), statistics.median(times[1:])))  # the first one warms up


def run(kind: str, way: str, size: int, args: argparse.Namespace) -> tuple[float, float]:
    """Measure one size in new processes; return GiB of the first process, and seconds."""
    import socket

    context = multiprocessing.get_context('spawn')
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    processes, pipes = [], []
    for rank in range(size if kind == 'processes' else 1):
        receive, send = context.Pipe(duplex=False)
        given = (send, kind, way, size, args.layers, args.rounds, rank, port)
        processes.append(context.Process(target=measure, args=given))
        processes[-1].start()
        send.close()
        pipes.append(receive)
    memory, seconds = zip(*(pipe.recv() for pipe in pipes))
    for process in processes:
        process.join()
    return memory[0] / 2**30, max(seconds)


def plot(figures: dict[str, dict[str, dict[int, tuple[float, float]]]], path: Path) -> None:
    """Draw time above memory, a column for each thing that grows."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, len(figures), figsize=(3.2 * len(figures), 5.6), squeeze=False)
    for column, (kind, ways) in zip(axes.T, figures.items()):
        for row, label in enumerate(('GiB', 'seconds')):
            for way, values in ways.items():
                column[1 - row].plot(list(values), [pair[row] for pair in values.values()], 'o-', label=way)
            column[1 - row].set(ylabel=label, ylim=(0, None), xticks=list(values))
        column[0].legend(fontsize=8)
        column[1].set_xlabel(UNITS[kind])
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main(args: argparse.Namespace) -> None:
    if args.sizes and len(args.of or SIZES) != 1:
        raise SystemExit('--sizes needs one thing that grows, such as --of frames')
    figures: dict[str, dict[str, dict[int, tuple[float, float]]]] = {}
    for kind in args.of or SIZES:
        for way in WAYS[kind]:
            row = figures.setdefault(kind, {}).setdefault(way, {})
            for size in args.sizes or SIZES[kind]:
                row[size] = run(kind, way, size, args)
                memory, seconds = row[size]
                print(f'{size:8,} {UNITS[kind]:34}{way:15}{seconds:8.2f} s {memory:8.2f} GiB', flush=True)
    if args.out:
        args.out.with_suffix('.json').write_text(json.dumps(figures, indent=1))
        plot(figures, args.out.with_suffix('.png'))


if __name__ == '__main__':
    main(parse_args())
