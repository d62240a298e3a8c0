"""Measure time and memory of a contrastive loss and its gradients in blocks, and of the whole matrix.

Each is measured in a process of its own. ``matmul`` is the share of the machine's rate of matrix products
that the loss reaches: in blocks it needs four products of all pairs, one of them to compute the block again.
"""

import argparse
import json
import resource
import subprocess
import sys
import time


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--batch', type=int, default=8192, help='captions and videos (default: %(default)s)')
    parser.add_argument('--width', type=int, default=512, help='of the features (default: %(default)s)')
    parser.add_argument(
        '--block-sizes',
        type=int,
        nargs='+',
        default=[0, 512],
        help='captions per block, 0 for the whole matrix (default: %(default)s)',
    )
    parser.add_argument(
        '--loss',
        default='SymmetricContrastiveLoss',
        help='class of mmclip4clip.models (default: %(default)s)',
    )
    parser.add_argument('--one', action='store_true', help=argparse.SUPPRESS)  # in a process of its own
    return parser.parse_args()


def peak_memory() -> float:
    """Return the peak memory of this process in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(args: argparse.Namespace) -> dict[str, float]:
    import torch
    import torch.nn.functional as F

    from mmclip4clip import models

    size = args.block_sizes[0] or None
    loss = getattr(models, args.loss)(block_size=size)
    torch.manual_seed(0)
    index = torch.arange(args.batch)
    text, videos = (
        F.normalize(torch.randn(args.batch, args.width), dim=1).requires_grad_() for _ in range(2)
    )
    scale = torch.tensor(50.0, requires_grad=True)
    rate = matmul_rate(torch)
    before, begin = peak_memory(), time.perf_counter()
    if size is None:
        losses = loss(scale * text @ videos.T, index, index)
    else:
        losses = loss.forward_in_blocks(text, videos, scale, index, index)
    total = sum(losses.values())
    total.backward()
    seconds = time.perf_counter() - begin
    products = 3 if size is None else 4
    flops = products * 2 * args.batch**2 * args.width
    return dict(
        loss=total.item(), seconds=seconds, memory_gib=peak_memory() - before, matmul=flops / seconds / rate
    )


def matmul_rate(torch) -> float:
    """Return the best rate of single-precision matrix products of 1024 x 1024, in operations per second."""
    a, times = torch.rand(1024, 1024), []
    for _ in range(10):
        begin = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - begin)
    return 2 * 1024**3 / min(times)


def main(args: argparse.Namespace) -> None:
    if args.one:
        print(json.dumps(measure(args)))
        return
    print(f'{args.loss}, batch {args.batch}, width {args.width}')
    print(f'{"block":>8} {"seconds":>9} {"GiB":>7} {"matmul":>7} {"loss":>12}')
    for size in args.block_sizes:
        command = [sys.executable, __file__, '--one', '--batch', args.batch, '--width', args.width]
        command += ['--loss', args.loss, '--block-sizes', size]
        done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
        if done.returncode:
            print(f'{size or "whole":>8} failed with code {done.returncode}, as without memory')
            continue
        found = json.loads(done.stdout)
        row = f'{size or "whole":>8} {found["seconds"]:9.2f} {found["memory_gib"]:7.2f}'
        print(row, f'{found["matmul"]:7.2f} {found["loss"]:12.7f}', flush=True)


if __name__ == '__main__':
    main(parse_args())
