"""Compute the metrics of a file of tools/test.py --dump offline, and print them."""

import argparse
import json
import sys


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('dump', help='file written by tools/test.py --dump')
    parser.add_argument(
        '--recall-at',
        type=int,
        nargs='+',
        default=[1, 5, 10],
        metavar='K',
        help='ranks of the recalls (default: %(default)s)',
    )
    parser.add_argument(
        '--v2t-protocol',
        choices=['caption_groups', 'best_caption'],
        default='caption_groups',
        help='from video to text, the captions of a video are one answer with the score of the best, or each '
        'caption is ranked separately (default: %(default)s)',
    )
    parser.add_argument(
        '--lower-median',
        action='store_true',
        help='use the lower of the two middle ranks as text-to-video median, like the reference for '
        'videos with several captions (default: off)',
    )
    parser.add_argument(
        '--post-processing',
        nargs='+',
        choices=['dual_softmax', 'qb_norm'],
        default=[],
        help='additional metrics after this post-processing; qb_norm needs a dump of a test '
        'with a query_bank in the loop (default: none)',
    )
    parser.add_argument(
        '--temperature', type=float, default=100.0, help='temperature of dual_softmax (default: %(default)s)'
    )
    parser.add_argument(
        '--qb-beta', type=float, default=20.0, help='inverse temperature of qb_norm (default: %(default)s)'
    )
    parser.add_argument(
        '--qb-k',
        type=int,
        default=1,
        help='videos per bank caption that qb_norm normalizes (default: %(default)s)',
    )
    parser.add_argument(
        '--no-java',
        action='store_true',
        help='score generated captions without Java, with a plain tokenizer and without METEOR '
        '(default: off)',
    )
    parser.add_argument('--json', action='store_true', help='print all digits, as JSON (default: a table)')
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports, which take seconds

from mmclip4clip.evaluation import post_processed_figures, read_dump, retrieval_figures, score_captions
from mmclip4clip.evaluation.metric_table import format_caption_table, format_table
from mmclip4clip.evaluation.records import as_record, stack_scores
from mmclip4clip.evaluation.unreadable import count_unreadable


def main(args: argparse.Namespace) -> None:
    records = [as_record(entry) for entry in read_dump(args.dump)]
    scores = stack_scores(records)
    figures = retrieval_figures(scores, args.recall_at, args.v2t_protocol, args.lower_median)
    figures.update(
        post_processed_figures(
            scores,
            args.post_processing,
            args.recall_at,
            args.v2t_protocol,
            temperature=args.temperature,
            qb_beta=args.qb_beta,
            qb_k=args.qb_k,
        )
    )
    figures['unreadable_videos'] = count_unreadable(records)
    captions, failure = {}, None
    if any(record.generated is not None for record in records):
        try:
            captions = score_captions(records, not args.no_java).figures
        except (ImportError, RuntimeError) as error:
            failure = f'the generated captions are not scored: {error}'
    if args.json:
        print(json.dumps(figures | {f'caption/{key}': value for key, value in captions.items()}))
    else:
        print(format_table(figures), *([format_caption_table(captions)] if captions else []), sep='\n')
    if failure:
        sys.exit(failure)


if __name__ == '__main__':
    main(args)
