"""Say where the time of a training step or of a test goes: the share of each kind of operation.

The step is that of the part training, and the test that of the part testing, each with ViT-B/32 and random
weights. torch's profiler counts the time of each operation without that of the operations within it. What no
operation of torch took, such as Python and mmengine, is the rest. --returned-memory takes a step with freed
memory returned to the system, as programs do that do not keep it.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

KINDS = {  # parts of the names of operations, looked for in this order
    'matrix products': ('aten::mm', 'addmm', 'bmm', 'convolution'),
    'attention': ('scaled_dot_product', 'softmax'),
    'activation': ('QuickGELU', 'sigmoid', 'silu'),
    'norms': ('layer_norm',),
    'update of the weights': ('Optimizer.step', 'clip_grad', 'Optimizer.zero_grad'),
    'waiting for videos': ('enumerate(DataLoader)',),
}
WITHIN = ('QuickGELU', 'Optimizer.step', 'enumerate(DataLoader)')  # whose operations count as theirs
OTHER, REST = 'other operations', 'no operation of torch'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--test', type=Path, metavar='VIDEOS', help='profile a test of this folder (default: a training step)'
    )
    parser.add_argument('--batch-size', type=int, default=8, help='videos per step (default: %(default)s)')
    parser.add_argument('--frames', type=int, default=12, help='frames per video (default: %(default)s)')
    parser.add_argument('--layers', type=int, default=12, help='blocks of each tower (default: %(default)s)')
    parser.add_argument(
        '--workers', type=int, default=2, help='that decode, in a test (default: %(default)s)'
    )
    parser.add_argument('--threads', type=int, default=2, help='threads of torch (default: %(default)s)')
    parser.add_argument(
        '--returned-memory', action='store_true', help='return freed memory to the system (default: keep it)'
    )
    return parser.parse_args()


def kind_of(event: Any) -> str:
    """Return the kind of an operation: its own, or that of an operation around it that counts as a whole."""
    around, names = event, [event.name]
    while (around := around.cpu_parent) is not None:
        if any(part in around.name for part in WITHIN):
            names.insert(0, around.name)
    for name in names:
        for kind, parts in KINDS.items():
            if any(part in name for part in parts):
                return kind
    return OTHER


def profile(work: Any) -> tuple[dict[str, float], float]:
    """Return the seconds of each kind of operation of this thread, and of the whole."""
    import torch

    work()  # warms up
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        begin = time.perf_counter()
        work()
        total = time.perf_counter() - begin
    seconds: dict[str, float] = defaultdict(float)
    for event in profiler.events():
        seconds[kind_of(event)] += event.self_cpu_time_total / 1e6
    seconds[REST] = total - sum(seconds.values())
    return seconds, total


def build(args: argparse.Namespace, folder: Path) -> Any:
    """Return the step or the test."""
    from benchmark_testing import write_annotations
    from benchmark_training import make_batch
    from contenders import write_tokenizer, write_weights
    from testing_contenders import OurTest
    from training_contenders import OurTraining

    tower = dict(num_hidden_layers=args.layers)
    write_weights(folder, text_config=tower, vision_config=tower)
    if args.test is None:
        args.annotations = None
        return OurTraining(folder, make_batch(args), args.threads).step
    write_tokenizer(folder / 'clip')
    write_annotations(argparse.Namespace(videos=args.test, captions=1), folder / 'test.json')
    return OurTest(folder, args.test.resolve(), args.workers, args.threads).test


def main(args: argparse.Namespace) -> None:
    import os

    from rich.console import Console
    from rich.table import Table

    if args.returned_memory:
        os.environ['MALLOC_TRIM_THRESHOLD_'] = '131072'  # read by keep_freed_memory, which then does nothing
    with tempfile.TemporaryDirectory() as name:
        seconds, total = profile(build(args, Path(name)))
    table = Table('kind', 's', 'share')
    for kind, spent in sorted(seconds.items(), key=lambda pair: -pair[1]):
        table.add_row(kind, f'{spent:.2f}', f'{100 * spent / total:.1f} %')
    table.add_row('all', f'{total:.2f}', '100 %')
    Console().print(table)


if __name__ == '__main__':
    main(parse_args())
