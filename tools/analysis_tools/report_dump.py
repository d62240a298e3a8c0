"""Write a page about a file of tools/test.py --dump: heat map, ranks, recalls, nearest wrong answers."""

import argparse


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('dump', help='file written by tools/test.py --dump')
    parser.add_argument('folder', help='where to write report.html, similarity.png, ranks.png and recall.png')
    parser.add_argument(
        '--count', type=int, default=20, help='number of wrong answers to show (default: %(default)s)'
    )
    parser.add_argument(
        '--frames',
        action='store_true',
        help='show frames of the wrong answers, from the files that the dump names (default: names alone)',
    )
    parser.add_argument(
        '--v2t-protocol',
        choices=['caption_groups', 'best_caption'],
        default='caption_groups',
        help='as for score_dump.py (default: %(default)s)',
    )
    parser.add_argument(
        '--lower-median', action='store_true', help='as for score_dump.py (default: the mean of both)'
    )
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports, which take seconds

from mmclip4clip.evaluation import read_dump
from mmclip4clip.evaluation.dump_page import write_dump_page
from mmclip4clip.evaluation.records import as_record


def main(args: argparse.Namespace) -> None:
    records = [as_record(entry) for entry in read_dump(args.dump)]
    print(
        write_dump_page(
            args.folder,
            records,
            args.dump,
            args.count,
            args.v2t_protocol,
            args.lower_median,
            args.frames,
        )
    )


if __name__ == '__main__':
    main(args)
