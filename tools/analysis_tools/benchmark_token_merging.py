"""Compare time and memory of a vision tower that merges patches with one that does not.

For each number of patches that a block merges, ViT-B/32 with random weights runs in a process of its own. The
processes take turns: each encodes a random batch, then trains a step on it with plain gradient descent. The
memory is the peak of the process, or that of tensors on a GPU. The time of the processor, which stands beside
the time of the clock, changes less with other work on the machine.
"""

import mmclip4clip  # noqa: F401  # isort: skip  (first: mmaction2 itself refuses newer mmcv)

import argparse
import multiprocessing
import statistics
import time


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--r', nargs='+', type=int, default=[0, 2, 3, 4], help='patches per block (default: %(default)s)'
    )
    parser.add_argument('--batch-size', type=int, default=4, help='videos per batch (default: %(default)s)')
    parser.add_argument('--frames', type=int, default=12, help='frames per video (default: %(default)s)')
    parser.add_argument('--words', type=int, default=32, help='tokens per caption (default: %(default)s)')
    parser.add_argument('--layers', type=int, default=12, help='blocks of each tower (default: %(default)s)')
    parser.add_argument('--rounds', type=int, default=3, help='timed turns of each (default: %(default)s)')
    parser.add_argument('--threads', type=int, default=2, help='threads of torch (default: %(default)s)')
    parser.add_argument('--device', default='cpu', help='device of torch (default: %(default)s)')
    return parser.parse_args()


def serve(args: argparse.Namespace, r: int, pipe) -> None:
    """For each message, send the times (clock and processor) of encoding and of a step, and the memory."""
    import torch
    from mmaction.registry import MODELS
    from mmengine.registry import init_default_scope

    from mmclip4clip.engine.hooks.training_size_hook import peak_memory
    from mmclip4clip.engine.kept_memory import keep_freed_memory

    init_default_scope('mmaction')
    keep_freed_memory()  # as tools/train.py does
    torch.set_num_threads(args.threads)
    tower, on_gpu = dict(num_hidden_layers=args.layers), args.device != 'cpu'
    config = dict(text_config=tower, vision_config=tower)
    backbone = dict(type='CLIPBackbone', config=config, token_merging=dict(r=r))
    model = dict(type='CLIP4ClipRetriever', backbone=backbone, adapter=dict(type='MeanAdapter'))
    model = MODELS.build(model).to(args.device).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    batch = dict(
        frames=torch.randn(args.batch_size, args.frames, 3, 224, 224),
        frame_mask=torch.ones(args.batch_size, args.frames),
        tokens=torch.randint(49000, (args.batch_size, args.words)),
        text_mask=torch.ones(args.batch_size, args.words, dtype=torch.long),
        video_index=torch.arange(args.batch_size),
        video_key=torch.arange(args.batch_size),
    )
    batch = {name: value.to(args.device) for name, value in batch.items()}

    @torch.no_grad()
    def encode() -> None:
        model.encode_videos(batch['frames'], batch['frame_mask'])

    def step() -> None:
        losses = model(batch, mode='loss')
        (losses['loss_t2v'] + losses['loss_v2t']).backward()
        optimizer.step()
        optimizer.zero_grad()

    while pipe.recv():
        times = []
        for work in (encode, step):
            start = time.perf_counter(), time.process_time()
            work()
            if on_gpu:
                torch.cuda.synchronize()
            times += [time.perf_counter() - start[0], time.process_time() - start[1]]
        pipe.send((*times, torch.cuda.max_memory_allocated() if on_gpu else peak_memory()))


def take_turns(args: argparse.Namespace) -> dict[int, list[float]]:
    """Return for each r the medians of the four times, and the memory in GiB."""
    context = multiprocessing.get_context('spawn')  # so that no memory is shared
    workers = {}
    for r in args.r:
        pipe, other = multiprocessing.Pipe()
        process = context.Process(target=serve, args=(args, r, other))
        process.start()
        other.close()
        workers[r] = process, pipe
    rows: dict[int, list[tuple]] = {r: [] for r in workers}
    for _ in range(args.rounds + 1):  # the first one warms up
        for r, (_, pipe) in workers.items():
            pipe.send(True)
            rows[r].append(pipe.recv())  # an EOFError if the process failed
            print(r, *rows[r][-1], flush=True)
    for process, pipe in workers.values():
        pipe.send(False)
        process.join()
    medians = {r: [statistics.median(column) for column in zip(*turns[1:])] for r, turns in rows.items()}
    return {r: [*columns[:4], rows[r][-1][4] / 2**30] for r, columns in medians.items()}


def main(args: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Table

    measured = take_turns(args)
    names = ('forward s', 'CPU s', 'step s', 'CPU s', 'GiB')
    table = Table('r', *(cell for name in names for cell in (name, 'ratio')))
    first = measured[args.r[0]]
    for r, columns in measured.items():
        pairs = zip((f'{a:.3g}' for a in columns), (f'{a / b:.2f}' for a, b in zip(columns, first)))
        table.add_row(str(r), *(cell for pair in pairs for cell in pair))
    Console().print(table)
    print(
        'time and CPU time to encode videos, and of a training step; peak memory; and their ratios to the '
        f'first row; ViT-B/32, {args.batch_size} videos of {args.frames} frames, median of {args.rounds} '
        f'turns, {args.threads} threads'
    )


if __name__ == '__main__':
    main(parse_args())
