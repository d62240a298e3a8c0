"""Compare memory and time of training steps: plain, with recomputed activations, in micro-batches, with LoRA.

Each way trains ViT-B/32 with random weights in a process of its own, one after the other, on random batches
with AdamW. The memory is the peak resident memory of the process, with its libraries. Beside the time, the
table has the time of the processor, which other work on the machine changes less.
"""

import mmclip4clip  # noqa: F401  # isort: skip  (first: mmaction2 itself refuses newer mmcv)

import argparse
import multiprocessing
import statistics
import time

WAYS = {  # arguments of the backbone
    'plain': {},
    'checkpointed': dict(gradient_checkpointing=True),
    'LoRA': dict(lora={}),
    'LoRA, checkpointed': dict(lora={}, gradient_checkpointing=True),
    'micro-batches': {},
}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--ways', nargs='+', choices=WAYS, default=list(WAYS), help='ways to train (default: %(default)s)'
    )
    parser.add_argument('--batch-size', type=int, default=8, help='videos per batch (default: %(default)s)')
    parser.add_argument(
        '--micro-batch-size', type=int, default=2, help='of the way micro-batches (default: %(default)s)'
    )
    parser.add_argument('--frames', type=int, default=12, help='frames per video (default: %(default)s)')
    parser.add_argument('--words', type=int, default=32, help='tokens per caption (default: %(default)s)')
    parser.add_argument('--layers', type=int, default=12, help='blocks of each tower (default: %(default)s)')
    parser.add_argument('--steps', type=int, default=3, help='timed steps of each way (default: %(default)s)')
    parser.add_argument(
        '--rounds', type=int, default=1, help='processes of each way, in turns (default: %(default)s)'
    )
    parser.add_argument('--threads', type=int, default=2, help='threads of torch (default: %(default)s)')
    return parser.parse_args()


def measure(args: argparse.Namespace, way: str, pipe) -> None:
    """Train for some steps, and send parameters, bytes, and seconds and CPU seconds of each step."""
    import torch
    from mmaction.registry import MODELS
    from mmengine.registry import init_default_scope

    from mmclip4clip.engine.hooks.training_size_hook import peak_memory
    from mmclip4clip.engine.kept_memory import keep_freed_memory

    init_default_scope('mmaction')
    keep_freed_memory()  # as tools/train.py does
    torch.set_num_threads(args.threads)
    tower = dict(num_hidden_layers=args.layers)
    backbone = dict(type='CLIPBackbone', config=dict(text_config=tower, vision_config=tower), **WAYS[way])
    model = dict(type='CLIP4ClipRetriever', backbone=backbone, adapter=dict(type='MeanAdapter'))
    if way == 'micro-batches':
        model['micro_batch_size'] = args.micro_batch_size
    model = MODELS.build(model)
    trained = [parameter for parameter in model.train().parameters() if parameter.requires_grad]
    optimizer, times = torch.optim.AdamW(trained, lr=1e-6), []
    for _ in range(args.steps + 1):
        batch = dict(
            frames=torch.randn(args.batch_size, args.frames, 3, 224, 224),
            frame_mask=torch.ones(args.batch_size, args.frames),
            tokens=torch.randint(49000, (args.batch_size, args.words)),
            text_mask=torch.ones(args.batch_size, args.words, dtype=torch.long),
            video_index=torch.arange(args.batch_size),
            video_key=torch.arange(args.batch_size),
        )
        start = time.perf_counter(), time.process_time()
        losses = model(batch, mode='loss')
        (losses['loss_t2v'] + losses['loss_v2t']).backward()
        optimizer.step()
        optimizer.zero_grad()
        times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    # The first step warms up.
    pipe.send((sum(parameter.numel() for parameter in trained), peak_memory(), times[1:]))


def summarize(found: list[tuple]) -> tuple[float, ...]:
    """Return peak GiB, medians of seconds and CPU seconds of the steps, and seconds of the fastest."""
    seconds, cpu_seconds = zip(*(step for _, _, times in found for step in times))
    memory = max(memory for _, memory, _ in found) / 2**30
    return memory, statistics.median(seconds), statistics.median(cpu_seconds), min(seconds)


def main(args: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Table

    measured = {way: [] for way in args.ways}
    for way in args.ways * args.rounds:
        receive, send = multiprocessing.Pipe(duplex=False)
        # Spawned, so that no memory is shared with this process or with another way.
        process = multiprocessing.get_context('spawn').Process(target=measure, args=(args, way, send))
        process.start()
        send.close()
        trained, memory, times = receive.recv()  # an EOFError if the process failed
        process.join()
        measured[way].append((trained, memory, times))
        print(way, trained, memory, *(f'{seconds:.2f}/{cpu:.2f}' for seconds, cpu in times), flush=True)
    table = Table('training', 'trained', 'GiB', 's', 'CPU s', 'fastest s')
    rows = {way: summarize(found) for way, found in measured.items()}
    for way, row in rows.items():
        ratios = (f'{a / b:.2f}' for a, b in zip(row, rows[args.ways[0]]))
        cells = (f'{row[0]:.2f}', *(f'{value:.1f}' for value in row[1:]))
        pairs = (f'{cell} ({ratio})' for cell, ratio in zip(cells, ratios))
        table.add_row(way, f'{measured[way][0][0] / 1e6:.1f} M', *pairs)
    Console().print(table)
    print(
        'trained parameters, peak memory, median time and CPU time of a step, time of the fastest, and in '
        'parentheses the ratios to the first row; '
        f'ViT-B/32, batches of {args.batch_size} x {args.frames} frames, '
        f'{args.rounds} x {args.steps} steps, {args.threads} threads'
    )


if __name__ == '__main__':
    main(parse_args())
