from pathlib import Path

from mmclip4clip.preparation.converters import Captions, Report, Split, format_reports


def test_counts_stand_beside_the_expected_ones_and_everything_left_out_is_said():
    captions = Captions()
    for video in 'abcd':
        captions.add(video, 'x')
    captions.add('a', '')
    train = Report(
        Split('train', (), None, videos=1200),
        [],
        captions,
        entries=captions.entries[:2],
        missing=['c', 'd'],
        several=[['a.mp4', 'a.avi', 'a.mov']],
    )
    val = Report(Split('val', (), None, 1, 1), [Path('official/val.csv')])
    table, notes = format_reports([train, val]).split('┘\n')
    assert [cell.strip() for cell in table.splitlines()[3].strip('│').split('│')] == [
        'train',
        '4 / 4',
        '1,200 / ?',
        '2 / 2',
        '2',
    ]
    assert 'val' not in table
    assert notes.splitlines() == [
        'train: 1 skipped, no text: a',
        'train: the videos that were not found are listed in train_missing.txt',
        'train: 1 videos have several files; used a.mp4 instead of a.avi',
        'val: not converted, because official/val.csv does not exist',
        'WARNING: train: 1,200 videos are expected, but the official files have 4',
        'WARNING: train: 2 of 4 videos were not found, such as c; without them, results are not '
        'comparable with published ones',
    ]


def test_only_the_first_of_many_are_named():
    captions = Captions()
    for number in range(1234):
        captions.add(f'v{number}', None)
    notes = format_reports([Report(Split('train', (), None), [], captions)])
    assert 'train: 1,234 skipped, no text: v0, v1, v2, ...' in notes
