"""Measure a store of segments on synthetic vectors: building, searching, changing and a cold start.

The vectors imitate those of CLIP: 2,000 clusters of different sizes, a spectrum that decays, and a constant
direction per modality, which queries do not share. Recall is compared with all pairs. ``all_pairs_ms`` is the
time of numpy's product of a query and all vectors, the machine's limit for a search without an index.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('folder', type=Path, help='new or empty folder for the store')
    parser.add_argument('--store', help='address of a server (default: a SQLite file in the folder)')
    parser.add_argument(
        '--segments', type=int, default=100_000, help='number of vectors (default: %(default)s)'
    )
    parser.add_argument('--width', type=int, default=512, help='width of the vectors (default: %(default)s)')
    parser.add_argument('--queries', type=int, default=1000, help='number of queries (default: %(default)s)')
    parser.add_argument('--top', type=int, default=10, help='answers per query (default: %(default)s)')
    parser.add_argument(
        '--compared', type=int, nargs='+', help='numbers of vectors per search (default: that of the package)'
    )
    parser.add_argument('--json', action='store_true', help='print JSON (default: lines of text)')
    parser.add_argument('--cold', action='store_true', help=argparse.SUPPRESS)  # one query, in a new process
    args = parser.parse_args()
    if not args.cold and args.folder.exists() and any(args.folder.iterdir()):
        parser.error(f'{args.folder} is not empty')
    return args


if __name__ == '__main__':
    args = parse_args()  # before the imports, which take seconds

import numpy as np  # noqa: E402

from mmclip4clip.search.stores import SegmentRow, candidate_index, open_store  # noqa: E402

CLUSTERS, NOISE, QUERY_NOISE = 2000, 0.8, 0.5
BATCH = 20_000
DEFAULT = candidate_index.COMPARED
CHANGED = 1000  # segments to add and delete at the end


class Vectors:
    """Vectors of videos and queries."""

    def __init__(self, width: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.spectrum = ((1 + np.arange(width)) ** -0.5).astype(np.float32)
        self.spectrum /= np.linalg.norm(self.spectrum)
        self.rotation = np.linalg.qr(rng.normal(size=(width, width)))[0].astype(np.float32)
        self.centers = self.noise(rng, CLUSTERS)
        self.shares = rng.dirichlet(np.ones(CLUSTERS))
        self.video, self.text = unit(rng.normal(size=(2, width)).astype(np.float32))
        self.rng = rng

    def noise(self, rng: np.random.Generator, number: int) -> np.ndarray:
        """Draw vectors with a decaying spectrum, (number, D)."""
        values = rng.standard_normal((number, len(self.spectrum)), np.float32)
        return (values * self.spectrum) @ self.rotation

    def videos(self, number: int) -> np.ndarray:
        """Draw vectors of videos, (number, D)."""
        clusters = self.rng.choice(CLUSTERS, number, p=self.shares)
        return unit(self.video + self.centers[clusters] + NOISE * self.noise(self.rng, number))

    def queries(self, videos: np.ndarray) -> np.ndarray:
        """Draw queries for the content of videos (Q, D), in the other modality."""
        content = videos * np.float32(np.sqrt(2 + NOISE**2)) - self.video
        return unit(self.text + content + QUERY_NOISE * self.noise(self.rng, len(videos)))


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def rows_of(vectors: np.ndarray, first: int) -> list[SegmentRow]:
    """Ten segments of 10 seconds per file."""
    return [
        SegmentRow(
            f'/videos/{n // 10000}/{n // 10}.mp4',
            n % 10,
            5.0 * (n % 10),
            5.0 * (n % 10) + 10,
            55.0,
            False,
            True,
            vector,
        )
        for n, vector in enumerate(vectors, first)
    ]


def timed(function, *arguments) -> tuple[float, object]:
    begin = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - begin, result


def main(args: argparse.Namespace) -> None:
    if args.cold:
        begin, cpu = time.perf_counter(), time.process_time()
        query = np.load(args.folder / 'query.npy')
        open_store(args.store, args.folder, args.width).search(query, args.top, False)
        print(json.dumps([time.perf_counter() - begin, time.process_time() - cpu]))
        return
    args.folder.mkdir(parents=True, exist_ok=True)
    made, store = Vectors(args.width), open_store(args.store, args.folder, args.width)
    videos = np.empty((args.segments, args.width), np.float32)
    found = dict(segments=args.segments, width=args.width, add_s=0.0)
    for start in range(0, args.segments, BATCH):
        videos[start : start + BATCH] = made.videos(min(BATCH, args.segments - start))
        found['add_s'] += timed(store.add, rows_of(videos[start : start + BATCH], start))[0]
    begin = time.process_time()
    found['optimize_s'] = timed(store.optimize)[0]
    found['optimize_cpu_s'] = time.process_time() - begin
    found['disk_mib'] = sum(path.stat().st_size for path in args.folder.iterdir()) / 2**20
    chosen = made.rng.choice(args.segments, min(args.queries, args.segments), replace=False)
    queries = made.queries(videos[chosen])
    truth = true_answers(videos, queries, args.top)
    found['all_pairs_ms'] = 1000 * float(np.median([timed(videos.__matmul__, q)[0] for q in queries[:10]]))
    found['searches'] = [
        measure(store, queries, truth, args.top, number) for number in [*(args.compared or []), DEFAULT]
    ]
    del videos
    np.save(args.folder / 'query.npy', queries[0])
    more = rows_of(made.videos(CHANGED), args.segments)
    found['add_1000_s'] = timed(store.add, more)[0]
    found['search_after_ms'] = 1000 * float(
        np.median([timed(store.search, q, args.top, False)[0] for q in queries[:50]])
    )
    found['delete_1000_s'] = timed(store.delete, sorted({row.filename for row in more}))[0]
    store.close()
    found['peak_memory_mib'] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    command = [sys.executable, __file__, str(args.folder), '--cold', '--width', str(args.width)]
    done = subprocess.run(
        [*command, *(['--store', args.store] if args.store else [])], stdout=subprocess.PIPE, check=True
    )
    found['cold_open_and_search_s'], found['cold_cpu_s'] = json.loads(done.stdout)
    found['load'] = os.getloadavg()[0]
    print(json.dumps(found) if args.json else as_text(found))


def true_answers(videos: np.ndarray, queries: np.ndarray, top: int) -> list[set[tuple[str, int]]]:
    """Compare all pairs; return file and number of the best segments of each query."""
    best, scores = np.zeros((len(queries), 0), np.int64), np.zeros((len(queries), 0), np.float32)
    for start in range(0, len(videos), BATCH):
        found = queries @ videos[start : start + BATCH].T
        places = np.argpartition(-found, min(top, found.shape[1]) - 1)[:, :top]
        best = np.hstack([best, places + start])
        scores = np.hstack([scores, np.take_along_axis(found, places, 1)])
        kept = np.argsort(-scores)[:, :top]
        best, scores = np.take_along_axis(best, kept, 1), np.take_along_axis(scores, kept, 1)
    return [{(f'/videos/{n // 10000}/{n // 10}.mp4', n % 10) for n in row} for row in best.tolist()]


def measure(store, queries: np.ndarray, truth: list[set[tuple[str, int]]], top: int, compared: int) -> dict:
    """Search for one query after another."""
    candidate_index.COMPARED = compared
    for query in queries[:20]:
        store.search(query, top, False)
    begin, times, recall = time.process_time(), [], []
    for query, expected in zip(queries, truth):
        seconds, answers = timed(store.search, query, top, False)
        times.append(1000 * seconds)
        recall.append(len({(hit.row.filename, hit.row.number) for hit in answers} & expected) / len(expected))
    cpu = 1000 * (time.process_time() - begin) / len(queries)
    p50, p99 = np.percentile(times, [50, 99]).tolist()
    return dict(compared=compared, recall=float(np.mean(recall)), p50_ms=p50, p99_ms=p99, cpu_ms=cpu)


def as_text(found: dict) -> str:
    lines = [f'{key:24}{value:.4g}' for key, value in found.items() if key != 'searches']
    for search in found['searches']:
        lines.append('search: ' + ', '.join(f'{key} {value:.4g}' for key, value in search.items()))
    return '\n'.join(lines)


if __name__ == '__main__':
    main(args)
