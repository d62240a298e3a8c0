"""Show why a caption of a test finds its video, or others: a bar for each frame, and words for WTI."""

import argparse


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('dump', help='file written by tools/test.py --dump')
    parser.add_argument('checkpoint', help='the checkpoint that was tested')
    parser.add_argument('sheet', help='picture (.png) or web page (.html) to write')
    parser.add_argument('--video', metavar='ID', help='the right video (default: the one of the worst rank)')
    parser.add_argument(
        '--caption',
        metavar='TEXT',
        help='its caption, or the number from 0 (default: the one of the worst rank)',
    )
    parser.add_argument(
        '--against',
        nargs='+',
        metavar='ID',
        help='other videos to compare with (default: the best ones of the caption)',
    )
    parser.add_argument(
        '--top', type=int, default=3, metavar='N', help='number of other videos (default: %(default)s)'
    )
    parser.add_argument(
        '--videos', metavar='FOLDER', help='where the videos are (default: where the test read them)'
    )
    parser.add_argument('--device', help='device of the model (default: a GPU if there is one)')
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports, which take seconds

import mmclip4clip
from mmclip4clip.apis.command_line.printing import escape_controls
from mmclip4clip.apis.dump_reasons import explain_caption
from mmclip4clip.evaluation import read_dump
from mmclip4clip.evaluation.records import as_record, name_videos
from mmclip4clip.evaluation.wrong_answers import find_wrong_answers
from mmclip4clip.visualization import write_contact_sheet
from mmclip4clip.visualization.score_bars import describe_reasons, score_range


def main(args: argparse.Namespace) -> None:
    records = [as_record(entry) for entry in read_dump(args.dump)]
    if not any(record.captions for record in records):
        raise SystemExit(f'error: {args.dump} has no captions')
    video, caption = args.video, args.caption
    if video is None:
        wrong = find_wrong_answers(records, 1)
        video = name_videos(records)[wrong[0].video if wrong else 0]
        caption = wrong[0].caption if wrong and caption is None else caption
    if isinstance(caption, str) and caption.isdecimal():
        caption = int(caption)
    model = mmclip4clip.load(args.checkpoint, device=args.device)
    found = explain_caption(model, records, video, caption, args.against, args.top, args.videos)
    if not any(found.reasons):
        raise SystemExit(
            f'error: none of the videos can be read, {found.answers[0].filename} neither: give --videos with '
            'the folder where they are now'
        )
    write_contact_sheet(args.sheet, found.answers, found.caption, found.reasons, found.notes)
    limits = score_range(found.reasons)
    print(escape_controls(found.caption))
    for answer, reasons, note in zip(found.answers, found.reasons, found.notes):
        bars = 'cannot be read' if reasons is None else describe_reasons(reasons, limits)
        cells = (f'{answer.score:.4f}', answer.filename, bars, note)
        print('\t'.join(map(escape_controls, cells)))


if __name__ == '__main__':
    main(args)
