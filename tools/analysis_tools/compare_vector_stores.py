"""Measure embedded vector stores beside the package's on the same vectors: what docs/search.md chooses by.

``compare_vector_stores.py write VECTORS.npz`` makes vectors, queries, and their true answers, with
``benchmark_stores.py``. ``compare_vector_stores.py measure VECTORS.npz FOLDER LIBRARY`` builds a store in one
process, searches it in another, and kills writers at random moments. Each library can have an environment of
its own: ``measure`` imports only numpy and the library.
"""

import argparse
import json
import os
import random
import resource
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

BATCH = 10_000
KILL_BATCH = 500
LIBRARIES = ('lancedb', 'qdrant', 'milvus', 'usearch', 'mmclip4clip')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('step', choices=('write', 'measure', 'build', 'search', 'fill'), help='what to do')
    parser.add_argument('vectors', type=Path, help='file of vectors, .npz')
    parser.add_argument('folder', type=Path, nargs='?', help='new folder for the store')
    parser.add_argument('library', nargs='?', choices=LIBRARIES, help='library to measure')
    parser.add_argument('--segments', type=int, default=1_000_000, help='vectors (default: %(default)s)')
    parser.add_argument('--width', type=int, default=512, help='of the vectors (default: %(default)s)')
    parser.add_argument('--queries', type=int, default=500, help='number (default: %(default)s)')
    parser.add_argument('--kills', type=int, default=5, help='writers to kill (default: %(default)s)')
    args = parser.parse_args()
    if args.step != 'write' and args.library is None:
        parser.error(f'{args.step} needs a folder and a library')
    return args


def beside(name: str) -> dict[str, Any]:
    """Return what another tool of this folder defines."""
    return runpy.run_path(str(Path(__file__).with_name(name)))


def open_store(library: str, folder: Path, width: int) -> Any:
    return beside('vector_store_candidates.py')['LIBRARIES'][library](folder, width)


def write(args: argparse.Namespace) -> None:
    """Write vectors of videos (V, D), of queries (Q, D) and the places of their ten best (Q, 10)."""
    made = beside('benchmark_stores.py')['Vectors'](args.width)
    videos = np.vstack([made.videos(min(BATCH, args.segments - n)) for n in range(0, args.segments, BATCH)])
    chosen = made.rng.choice(args.segments, args.queries, replace=False)
    queries = made.queries(videos[chosen])
    best = np.array([np.argpartition(-(videos @ query), 10)[:10] for query in queries])
    np.savez(args.vectors, videos=videos, queries=queries, best=best)


def measure(args: argparse.Namespace) -> None:
    """Build, search and kill, each in processes of their own, and print lines of JSON."""
    for step in ('build', 'search'):
        subprocess.run([sys.executable, __file__, step, args.vectors, args.folder, args.library], check=True)
    if args.kills and args.library != 'usearch':  # whose file is written only as a whole
        print(json.dumps(dict(library=args.library, step='kill', **kill_writers(args))))


def build(args: argparse.Namespace) -> None:
    vectors = np.load(args.vectors)['videos']
    begin, cpu, before = time.perf_counter(), time.process_time(), peak_memory()
    store = open_store(args.library, args.folder, vectors.shape[1])
    for start in range(0, len(vectors), BATCH):
        store.add(start, vectors[start : start + BATCH])
    added = time.perf_counter()
    store.optimize()
    end = time.perf_counter()
    size = sum(path.stat().st_size for path in args.folder.rglob('*') if path.is_file())
    print_step(
        args,
        number=len(store),
        add_s=added - begin,
        optimize_s=end - added,
        cpu_s=time.process_time() - cpu,
        disk_gib=size / 2**30,
        memory_gib=peak_memory() - before,
    )


def search(args: argparse.Namespace) -> None:
    with np.load(args.vectors) as loaded:
        queries, best = loaded['queries'], loaded['best']
    before, begin, cpu = peak_memory(), time.perf_counter(), time.process_time()
    store = open_store(args.library, args.folder, queries.shape[1])
    store.search(queries[0], 10, store.settings[-1])
    cold = dict(cold_s=time.perf_counter() - begin, cold_cpu_s=time.process_time() - cpu)
    for setting in store.settings:
        for query in queries[:50]:
            store.search(query, 10, setting)
        times, recalls, cpu = [], [], time.process_time()
        for query, expected in zip(queries, best):
            begin = time.perf_counter()
            found = store.search(query, 10, setting)
            times.append(1000 * (time.perf_counter() - begin))
            recalls.append(len(set(found) & set(expected.tolist())) / 10)
        cpu_ms = 1000 * (time.process_time() - cpu) / len(queries)
        p50, p99 = np.percentile(times, [50, 99]).tolist()
        figures = dict(recall=float(np.mean(recalls)), p50_ms=p50, p99_ms=p99, cpu_ms=cpu_ms)
        print_step(args, setting=setting, **figures, memory_gib=peak_memory() - before, **cold)


def fill(args: argparse.Namespace) -> None:
    """Add batches without an end, and print the number of vectors that were confirmed."""
    vectors = np.load(args.vectors, mmap_mode='r')['queries'][:KILL_BATCH]
    store = open_store(args.library, args.folder, vectors.shape[1])
    number = len(store)
    while True:
        store.add(number, vectors)
        number += len(vectors)
        print(number, flush=True)


def kill_writers(args: argparse.Namespace) -> dict[str, object]:
    """Kill writers at random moments; whatever was confirmed must be there for the next."""
    folder = args.folder.with_name(args.folder.name + '-killed')
    chance, confirmed = random.Random(0), 0
    for _ in range(args.kills):
        command = [sys.executable, __file__, 'fill', args.vectors, folder, args.library]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for number in batches(process, chance.randint(2, 12)):
            if number <= confirmed:
                return dict(lost=confirmed - number + KILL_BATCH, confirmed=confirmed)
            last = number
        time.sleep(chance.random() / 10)  # within the next batch
        os.kill(process.pid, signal.SIGKILL)
        confirmed = max([last, *map(int, process.stdout.read().split())])
        process.wait()
    return dict(lost=0, confirmed=confirmed)


def batches(process: subprocess.Popen, number: int) -> Iterator[int]:
    for _ in range(number):
        line = process.stdout.readline() if process.stdout else ''
        if not line:
            raise SystemExit('the store cannot be opened after its writer was killed')
        yield int(line)


def peak_memory() -> float:
    """Return the peak memory of the process in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def print_step(args: argparse.Namespace, **figures: object) -> None:
    rounded = {key: round(value, 4) if isinstance(value, float) else value for key, value in figures.items()}
    record = dict(library=args.library, step=args.step, **rounded, load=os.getloadavg()[0])
    print(json.dumps(record), flush=True)


if __name__ == '__main__':
    arguments = parse_args()
    dict(write=write, measure=measure, build=build, search=search, fill=fill)[arguments.step](arguments)
