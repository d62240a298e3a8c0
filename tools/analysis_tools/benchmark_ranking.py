"""Measure time and additional memory of ranks and post-processing for a large test.

The default size is that of all captions of the MSR-VTT test. ``read`` is the time to read all scores once.
"""

import argparse
import resource
import time

import numpy as np


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--captions', type=int, default=59_800, help='number (default: %(default)s)')
    parser.add_argument('--videos', type=int, default=2_990, help='number (default: %(default)s)')
    parser.add_argument(
        '--bank', type=int, default=5_000, help='captions of the query bank (default: %(default)s)'
    )
    return parser.parse_args()


def peak_memory() -> float:
    """Return the peak memory of this process in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main(args: argparse.Namespace) -> None:
    from mmclip4clip.evaluation import retrieval_figures
    from mmclip4clip.evaluation.metrics.retrieval import post_processed_figures
    from mmclip4clip.evaluation.records import Scores

    rng = np.random.default_rng(0)
    index = np.sort(
        np.concatenate([np.arange(args.videos), rng.integers(0, args.videos, args.captions - args.videos)])
    )
    similarity = rng.standard_normal((args.captions, args.videos), np.float32) / 10
    similarity[np.arange(args.captions), index] += 0.3
    scores = Scores(similarity, index, None, rng.standard_normal((args.bank, args.videos), np.float32) / 10)
    parts = dict(
        read=lambda: similarity.max(),
        ranks=lambda: retrieval_figures(scores),
        dual_softmax=lambda: post_processed_figures(scores, ['dual_softmax']),
        qb_norm=lambda: post_processed_figures(scores, ['qb_norm']),
    )
    print(f'{args.captions} captions, {args.videos} videos: {similarity.nbytes / 2**30:.2f} GiB of scores')
    for name, part in parts.items():
        before, begin, cpu = peak_memory(), time.perf_counter(), time.process_time()
        part()
        seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
        print(f'{name:14}{seconds:8.2f} s {cpu:8.2f} CPU s  +{peak_memory() - before:.2f} GiB', flush=True)


if __name__ == '__main__':
    main(parse_args())
