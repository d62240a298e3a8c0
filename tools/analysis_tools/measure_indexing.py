"""Measure how many videos a second the workers of a Ray cluster on this machine index.

Prints a JSON object a line for each number of workers. ``videos_per_second`` counts from the first result to
the last. ``start_s`` are the seconds to the first one, in which Ray starts and each worker loads the model.
``bytes_per_video`` is the size of catalog and store.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('folder', type=Path, help='folder of videos')
    parser.add_argument('--model', required=True, help='checkpoint, or folder of a pretrained encoder')
    parser.add_argument(
        '--workers', type=int, nargs='+', default=[1, 2], help='numbers of workers (default: %(default)s)'
    )
    parser.add_argument('--device', help='device of the queries (default: a GPU if there is one)')
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports, which take seconds

import os  # noqa: E402

import mmclip4clip  # noqa: E402
from mmclip4clip.apis.ray_encoding import RayModel  # noqa: E402


def measure(args: argparse.Namespace, workers: int) -> dict:
    """Index the folder with a number of workers, and return the figures."""
    times: list[float] = []

    def track(files, count):
        for file in files:
            times.append(time.monotonic())
            yield file

    with tempfile.TemporaryDirectory() as folder:
        index = mmclip4clip.create_index(folder, args.model, device=args.device)
        index.use(RayModel(index.model, 'local', workers))
        begin, load = time.monotonic(), os.getloadavg()[0]
        report = index.update([args.folder], track=track)
        segments = len(index.store)
        index.close()
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
    return dict(
        workers=workers,
        videos=len(report.added),
        segments=segments,
        videos_per_second=round((len(times) - 1) / max(times[-1] - times[0], 1e-9), 2),
        start_s=round(times[0] - begin, 1),
        total_s=round(time.monotonic() - begin, 1),
        bytes_per_video=size // max(1, len(times)),
        load_average=round(load, 1),
    )


def main(args: argparse.Namespace) -> None:
    for workers in args.workers:
        print(json.dumps(measure(args, workers)), flush=True)


if __name__ == '__main__':
    main(args)
