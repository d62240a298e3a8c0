"""Compare a model of torch with its ONNX export, side by side in one run.

Times of whole commands are of new processes: wall-clock time, and CPU time, which others disturb less.
Backends take turns. Figures of a process are medians.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('checkpoint', help='checkpoint, or folder or name of a pretrained encoder')
    parser.add_argument('videos', type=Path, help='folder of videos to encode and index')
    parser.add_argument(
        '--annotations',
        type=Path,
        help='annotation file of these videos, for the recall (default: no recall)',
    )
    parser.add_argument('--query', default='a dog runs', help='text to search for (default: %(default)s)')
    parser.add_argument(
        '--queries', type=int, default=50, help='number of timed queries (default: %(default)s)'
    )
    parser.add_argument('--starts', type=int, default=3, help='number of cold starts (default: %(default)s)')
    parser.add_argument('--limit', type=int, default=40, help='most videos to encode (default: %(default)s)')
    parser.add_argument(
        '--threads', type=int, default=1, help='threads of both backends (default: %(default)s)'
    )
    parser.add_argument('--json', action='store_true', help='print JSON (default: lines of text)')
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports, which take seconds
    os.environ['OMP_NUM_THREADS'] = str(args.threads)

import numpy as np  # noqa: E402

import mmclip4clip  # noqa: E402

IMPORTS = dict(
    torch='import mmclip4clip.apis.model_loading, mmclip4clip.apis.search_model',
    onnx='import mmclip4clip.apis.onnx_search_model, onnxruntime',
)
Figures = dict[str, dict[str, float]]


def time_process(arguments: list[str]) -> tuple[float, float]:
    """Return the wall-clock and the CPU time of a process in seconds."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([sys.executable, '-W', 'ignore', *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, cpu


def time_starts(commands: dict[str, list[str]], repeat: int, name: str) -> Figures:
    """Run the commands of the backends in turns."""
    taken: dict[str, list] = {backend: [] for backend in commands}
    for _ in range(repeat):
        for backend, arguments in commands.items():
            taken[backend].append(time_process(arguments))
    figures: Figures = {backend: {} for backend in commands}
    for backend, times in taken.items():
        wall, cpu = np.median(times, axis=0)
        figures[backend] = {f'{name}_s': round(float(wall), 3), f'{name}_cpu_s': round(float(cpu), 3)}
    return figures


def time_queries(models: dict, query: str, repeat: int) -> Figures:
    """Encode one text after another with each model, in turns."""
    taken: dict[str, list[float]] = {backend: [] for backend in models}
    for number in range(repeat + 3):
        for backend, model in models.items():
            start = time.perf_counter()
            model.encode_text(f'{query} {number}')
            taken[backend].append(time.perf_counter() - start)
    return {
        backend: dict(query_p50_ms=round(1000 * float(np.median(times[3:])), 2))
        for backend, times in taken.items()
    }


def compare_videos(models: dict, files: list[str], captions: list[str]) -> tuple[Figures, dict]:
    """Encode videos with each model, and compare features and scores with those of torch.

    The cosines are those of whole features, of all their parts that are not masks.
    """
    figures, found, scores = {}, {}, {}
    for backend, model in models.items():
        model.encode_videos(files[:1])
        start = time.process_time()
        videos = model.encode_videos(files, show_progress=False)
        seconds = time.process_time() - start
        texts = model.encode_text(captions)
        found[backend] = dict(videos=flatten(videos), texts=flatten(texts))
        scores[backend] = model.similarity(texts, videos)
        figures[backend] = dict(video_cpu_ms=round(1000 * seconds / len(files), 1))
    for backend in models:
        for name, features in found[backend].items():
            expected = found['torch'][name]
            lengths = np.linalg.norm(features, axis=1) * np.linalg.norm(expected, axis=1)
            cosines = (features * expected).sum(axis=1) / lengths
            largest = np.abs(features - expected).max()
            figures[backend] |= {f'{name}_max_difference': float(f'{largest:.2g}')}
            figures[backend] |= {f'{name}_least_cosine': round(float(cosines.min()), 5)}
        largest = np.abs(scores[backend] - scores['torch']).max()
        figures[backend] |= dict(score_max_difference=float(f'{largest:.2g}'))
    return figures, scores


def flatten(features: np.ndarray | dict) -> np.ndarray:
    """Return the features of each video or text in one row, with 0 for padding."""
    if not isinstance(features, dict):
        return features
    masks = [part.astype(bool) for name, part in features.items() if name.endswith('_mask')]
    rows = []
    for name, part in features.items():
        if name.endswith('_mask'):
            continue
        for mask in masks:
            if part.shape[:2] == mask.shape:
                part = np.where(mask.reshape(*mask.shape, *[1] * (part.ndim - 2)), part, 0)
        rows.append(part.reshape(len(part), -1))
    return np.concatenate(rows, axis=1)


def measure_recall(models: dict, folder: Path, annotations: Path) -> Figures:
    """Return R@1 of texts, and of texts within the group of their video."""
    from mmclip4clip.evaluation.functional import group_ranks, ranks_of_videos

    entries = json.loads(annotations.read_text())
    files = [str(next(folder.rglob(Path(entry['video']).name))) for entry in entries]
    captions = [caption for entry in entries for caption in entry['captions']]
    owner = np.array([number for number, entry in enumerate(entries) for _ in entry['captions']])
    groups, figures = [entry.get('group') for entry in entries], {}
    for backend, model in models.items():
        similarity = model.similarity(captions, model.encode_videos(files, show_progress=False))
        first = ranks_of_videos(similarity, owner) == 1
        within = group_ranks(similarity, owner, groups)
        figures[backend] = dict(R1=round(100 * first.mean(), 2))
        if len(within):
            figures[backend] |= dict(group_R1=round(100 * (np.asarray(within) == 1).mean(), 2))
    return figures


def main(args: argparse.Namespace) -> None:
    from mmclip4clip.apis import export_onnx
    from mmclip4clip.apis.video_inputs import files_in

    files = files_in(args.videos)[: args.limit]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = mmclip4clip.load(args.checkpoint, device='cpu')
        export_onnx(model, folder / 'onnx')
        export_onnx(model, folder / 'int8', int8=True)
        models = dict(
            torch=model, onnx=mmclip4clip.load(folder / 'onnx'), int8=mmclip4clip.load(folder / 'int8')
        )
        for kind in ('onnx', 'int8'):
            index = mmclip4clip.create_index(folder / f'index-{kind}', folder / kind)
            (folder / 'some').mkdir(exist_ok=True)
            for file in files[:5]:
                if not (folder / 'some' / Path(file).name).exists():
                    (folder / 'some' / Path(file).name).symlink_to(Path(file).resolve())
            index.update([folder / 'some'])
            index.close()
        search = ['-m', 'mmclip4clip', 'search', args.query, '--index']
        commands = dict(
            torch=[*search, str(folder / 'index-onnx'), '--model', args.checkpoint],
            onnx=[*search, str(folder / 'index-onnx')],
            int8=[*search, str(folder / 'index-int8')],
        )
        parts = [
            time_starts({backend: ['-c', code] for backend, code in IMPORTS.items()}, args.starts, 'import'),
            time_starts(commands, args.starts, 'search'),
            time_queries(models, args.query, args.queries),
            compare_videos(models, files, [args.query, 'a', 'a video of something else entirely'])[0],
        ]
        if args.annotations is not None:
            parts.append(measure_recall(models, args.videos, args.annotations))
        sizes = {
            kind: round(sum(models[kind].settings.sizes.values()) / 2**20, 1) for kind in ('onnx', 'int8')
        }
    figures = {backend: {} for backend in models}
    for part in parts:
        for backend, found in part.items():
            figures[backend].update(found)
    for kind, size in sizes.items():
        figures[kind]['size_mib'] = size
    figures['load'] = dict(zip(('1_min', '5_min'), os.getloadavg()))
    print_figures(figures, args.json)


def print_figures(figures: dict[str, dict], as_json: bool) -> None:
    if as_json:
        print(json.dumps(figures))
        return
    for backend, found in figures.items():
        print(backend)
        for key, value in found.items():
            print(f'  {key:24}{value}')


if __name__ == '__main__':
    main(args)
