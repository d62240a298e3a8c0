"""Measure time and additional memory of ranks and post-processing for a large test.

The default size is that of all captions of the MSR-VTT test. ``read`` is the time to read all scores once.

With --width, the scores are cosines of features of that width and are never kept. Beside the time is the
share of the rate of matrix products that this run measured.

With --head, a tiny head with random weights scores all pairs of random features, and a large evaluation
writes the scores to a temporary file; with --kept it keeps them in memory.
"""

import mmclip4clip  # noqa: F401  # isort: skip  (first: mmaction2 itself refuses newer mmcv)

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
    parser.add_argument('--width', type=int, help='rank features of this width (default: rank a matrix)')
    heads = ('tight', 'wti', 'xpool')
    parser.add_argument('--head', choices=heads, help='score features by this head (default: none)')
    parser.add_argument('--rerank-top', type=int, help='re-rank shortlists by the head (default: all pairs)')
    parser.add_argument(
        '--kept', action='store_true', help='keep scores in memory (default: write those of a head to a file)'
    )
    return parser.parse_args()


def peak_memory() -> float:
    """Return the peak memory of this process in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def rank_features(args: argparse.Namespace) -> None:
    """Rank both ways from features, and print time, memory and the share of the machine's rate."""
    import torch
    from benchmark_machine import sgemm_rate

    from mmclip4clip.evaluation import retrieval_figures
    from mmclip4clip.evaluation.cosine_scores import CosineScores, VideoVectors
    from mmclip4clip.evaluation.records import Scores

    torch.manual_seed(0)
    normalize = torch.nn.functional.normalize
    videos = normalize(torch.randn(args.videos, args.width), dim=-1)
    index = torch.arange(args.captions).sort().values % args.videos
    captions = normalize(videos[index] + 6 * torch.randn(args.captions, args.width) / args.width**0.5, dim=-1)
    readable = VideoVectors(videos, torch.zeros(args.videos, dtype=torch.bool))
    scores = Scores(CosineScores(captions, readable), index.numpy(), None)
    rates, before = [sgemm_rate()], peak_memory()
    begin, cpu = time.perf_counter(), time.process_time()
    figures = retrieval_figures(scores)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    rates.append(sgemm_rate())
    rate, rates = 2 * args.captions * args.videos * args.width / seconds, sum(rates) / 2
    print(
        f'{args.captions} captions, {args.videos} videos, width {args.width}: ranks in {seconds:.1f} s '
        f'({cpu:.1f} CPU s), +{peak_memory() - before:.2f} GiB, peak {peak_memory():.2f} GiB; '
        f'{rate / 1e9:.0f} of {rates / 1e9:.0f} GFLOP/s, {100 * rate / rates:.0f} %; R@1 {figures["R1"]:.1f}'
    )


def score_with_head(args: argparse.Namespace) -> None:
    """Score features by a tiny head, rank and post-process the scores, and print time and memory."""
    import torch
    from mmaction.structures import ActionDataSample

    from mmclip4clip.evaluation import VideoTextRetrievalMetric, score_rows, score_videos
    from mmclip4clip.models import TightAdapter, WTIAdapter, XPoolAdapter

    torch.manual_seed(0)
    width, count = args.width or 8, args.captions // args.videos
    heads = dict(
        tight=lambda: TightAdapter(width, 1, 1, max_frames=2, start='random', pairs_at_once=2**14),
        wti=lambda: WTIAdapter(width, 0),
        xpool=lambda: XPoolAdapter(width),
    )
    model, samples = torch.nn.Linear(1, 1), []
    model.adapter = heads[args.head]().eval()
    model.similarity = model.adapter.similarity
    for number in range(args.videos):
        sample = ActionDataSample(
            metainfo=dict(video_id=str(number), filename='v.mp4', captions=['c'] * count)
        )
        with torch.no_grad():
            video = model.adapter.encode(torch.randn(1, 2, width), torch.ones(1, 2))
        words = dict(tokens=torch.randn(count, 2, width), text_mask=torch.ones(count, 2))
        sample.set_field({key: value[0] for key, value in video.items()}, 'video_features')
        sample.set_field(words if args.head == 'wti' else dict(text=words['tokens'][:, 0]), 'text_features')
        samples.append(sample)
    if not args.kept:
        score_rows.KEPT = 0  # also with few captions and videos
    metric = VideoTextRetrievalMetric(post_processing=['dual_softmax'])
    before, begin = peak_memory(), time.perf_counter()
    score_videos(model, samples, rerank_top=args.rerank_top, in_blocks=not args.kept)
    scored, middle = time.perf_counter() - begin, peak_memory()
    metric.process(None, samples)
    figures = metric.evaluate(args.videos)
    ranked = time.perf_counter() - begin - scored
    size, place = 4 * args.videos**2 * count / 2**20, 'in memory' if args.kept else 'in a file'
    print(
        f'{args.videos * count} captions, {args.videos} videos, {args.head} of width {width}: '
        f'{size:.0f} MiB of scores {place}; scored in {scored:.1f} s, +{1024 * (middle - before):.0f} MiB; '
        f'ranks and dual softmax in {ranked:.1f} s, +{1024 * (peak_memory() - middle):.0f} MiB; '
        f'MnR {figures["retrieval/MnR"]:.4f}, dual softmax {figures["retrieval/dsl_MnR"]:.4f}'
    )


def rank_matrix(args: argparse.Namespace) -> None:
    """Rank and post-process a matrix of random scores, and print time and memory."""
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
    args = parse_args()
    (score_with_head if args.head else rank_features if args.width else rank_matrix)(args)
