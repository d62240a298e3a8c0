"""Measure what the machine can do: the rate of fp32 matrix products, and the bandwidth of its memory.

The shapes of the products are those of ViT-B/32's blocks for 96 frames. The bandwidth counts the bytes that
are read and written when 1 GiB is copied.
"""

import argparse
import time

SHAPES = ((4800, 768, 3072), (4800, 3072, 768), (4800, 768, 768))  # rows, inputs, outputs


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--threads', type=int, help='threads of torch (default: one per core)')
    parser.add_argument('--seconds', type=float, default=3, help='for each figure (default: %(default)s)')
    return parser.parse_args()


def sgemm_rate(seconds: float = 1.0) -> float:
    """Return the median rate of fp32 matrix products in FLOP/s, with the current threads of torch."""
    import torch

    triples = [
        (torch.randn(rows, inner), torch.randn(inner, outer), torch.empty(rows, outer))
        for rows, inner, outer in SHAPES
    ]
    work = sum(2 * rows * inner * outer for rows, inner, outer in SHAPES)
    return work / _median_time(lambda: [torch.mm(a, b, out=c) for a, b, c in triples], seconds)


def memory_bandwidth(seconds: float = 1.0, size: int = 2**30) -> float:
    """Return the median bandwidth of copying ``size`` bytes, in bytes read and written per second."""
    import torch

    source = torch.zeros(size // 4)
    target = torch.empty_like(source)
    return 2 * size / _median_time(lambda: target.copy_(source), seconds)


def _median_time(work, seconds: float) -> float:
    work()  # warms up
    times, end = [], time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return sorted(times)[len(times) // 2]


def main(args: argparse.Namespace) -> None:
    import torch

    if args.threads:
        torch.set_num_threads(args.threads)
    print(f'matrix products {sgemm_rate(args.seconds) / 1e9:8.1f} GFLOP/s, {torch.get_num_threads()} threads')
    print(f'memory          {memory_bandwidth(args.seconds) / 1e9:8.1f} GB/s')


if __name__ == '__main__':
    main(parse_args())
