"""Compare a test with mmaction2's CLIPSimilarity, a plain reference, and the frame tower, in one run.

Each tests ViT-B/32 with random weights on the videos of a folder, with the same 12 frames of each, in a
process of its own, in turns. merging is our test with 4 patches merged in each block. The last row is the
time of the frame tower's forward pass alone, on frames in memory. Videos that mmaction2's decord does not
decode as PyAV does are left out. Needs decord and the package clip.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path

KINDS = dict(
    mmclip4clip='testing_contenders:OurTest',
    merging='testing_contenders:OurMergingTest',
    stock='testing_contenders:StockTest',
    reference='testing_contenders:ReferenceTest',
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('videos', type=Path, help='folder of videos')
    parser.add_argument(
        '--against',
        nargs='*',
        choices=['merging', 'stock', 'reference'],
        default=['merging', 'stock', 'reference'],
        help='what is compared (default: %(default)s)',
    )
    parser.add_argument('--captions', type=int, default=1, help='of each video (default: %(default)s)')
    parser.add_argument('--layers', type=int, default=12, help='blocks of each tower (default: %(default)s)')
    parser.add_argument('--workers', type=int, default=2, help='that decode (default: %(default)s)')
    parser.add_argument('--rounds', type=int, default=3, help='timed tests of each (default: %(default)s)')
    parser.add_argument(
        '--warm-ups', type=int, default=1, help='tests of each before them (default: %(default)s)'
    )
    parser.add_argument('--threads', type=int, default=2, help='threads of torch (default: %(default)s)')
    return parser.parse_args()


def write_annotations(args: argparse.Namespace, path: Path) -> int:
    """Write captions of all videos that can be compared, and return the number of videos."""
    import torch
    from benchmark_loader import readable
    from loading_contenders import FORMAT, RESIZE, Clips
    from mmengine.registry import init_default_scope
    from testing_contenders import SAMPLING

    from mmclip4clip.preparation.converters.video_folder import files_below, is_video

    init_default_scope('mmaction')
    stock = [dict(type='DecordInit'), SAMPLING, dict(type='DecordDecode'), *RESIZE, FORMAT]
    files = sorted(args.videos / name for name in files_below(args.videos) if is_video(name))
    files = readable(files, Clips(files, stock))
    ours = [dict(type='DecodeVideo', sampling=SAMPLING), *RESIZE, FORMAT]
    pairs = zip(files, Clips(files, stock), Clips(files, ours))
    files = [file for file, theirs, frames in pairs if torch.equal(theirs, frames)]
    if not files:
        raise SystemExit(f'there are no videos in {args.videos} of which decord gives the right frames')
    colors = ['red', 'green', 'blue', 'white', 'black']
    things = ['car', 'dog', 'house', 'person', 'ball', 'boat']
    captions = {
        str(file.relative_to(args.videos)): [
            f'a {colors[(i + n) % 5]} {things[(i + 2 * n) % 6]} moves in front of number {i} and {n}'
            for n in range(args.captions)
        ]
        for i, file in enumerate(files)
    }
    path.write_text(json.dumps(captions))
    return len(files)


def main(args: argparse.Namespace) -> None:
    from contenders import Contender, check_clip, write_tokenizer, write_weights
    from rich.console import Console
    from rich.table import Table

    check_clip(['stock'])  # its vocabulary is used in any case
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tower = dict(num_hidden_layers=args.layers)
        write_weights(folder, text_config=tower, vision_config=tower)
        write_tokenizer(folder / 'clip')
        videos = write_annotations(args, folder / 'test.json')
        names = ['mmclip4clip', *args.against]
        arguments = (folder, args.videos.resolve(), args.workers, args.threads)
        running = {name: Contender(KINDS[name], *arguments) for name in names}
        running['mmclip4clip'].call('read_frames')
        seconds: dict[str, list[tuple[float, float]]] = {}
        figures = {}
        for _ in range(args.warm_ups + args.rounds):
            for name, contender in running.items():
                figures[name], *times = contender.call('test')
                seconds.setdefault(name, []).append(tuple(times))
            _result, *times = running['mmclip4clip'].call('encode_frames')
            seconds.setdefault('frame tower alone', []).append(tuple(times))
        for contender in running.values():
            contender.close()
    medians = {
        name: [statistics.median(column) for column in zip(*pairs[args.warm_ups :])]
        for name, pairs in seconds.items()
    }
    table = Table('test', 's', 'CPU s', 'time of mmclip4clip', 'R@1', 'MnR')
    for name, (wall, cpu) in medians.items():
        shown = [f'{figures[name][key]:.2f}' if name in figures else '' for key in ('R1', 'MnR')]
        ratio = wall / medians['mmclip4clip'][0]
        table.add_row(name, f'{wall:.2f}', f'{cpu:.2f}', f'{ratio:.2f} x', *shown)
    Console().print(table)
    print(
        f'{videos} videos, {args.captions} captions each, {args.layers} layers, '
        f'median of {args.rounds} tests, {args.workers} workers, {args.threads} threads'
    )


if __name__ == '__main__':
    main(parse_args())
