import os

import pytest

from mmclip4clip.preparation.converters import convert
from mmclip4clip.preparation.converters.custom import folder_splits, read_captions, read_texts, table_splits


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_rows_of_a_video_are_gathered_with_windows_and_groups(tmp_path):
    table = write(
        tmp_path / 'mine.csv',
        'caption,video,start,end,group\n"a dog, running",a.mp4,,,g\n'
        'it sits,a.mp4,,,g\nfar away,long,12.5,20 ,\nall,long, ,,\n',
    )
    assert read_captions(table).entries == [
        dict(video='a.mp4', captions=['a dog, running', 'it sits'], group='g'),
        dict(video='long', captions=['far away'], start=12.5, end=20),
        dict(video='long', captions=['all']),
    ]


def test_what_a_table_holds_in_vain_is_noted(tmp_path):
    table = write(tmp_path / 'mine.csv', 'video,caption,rating\na,x,5\n ,y,4\nb,,3\nc\n')
    assert read_captions(table).skipped == {
        'no name of a video': ['line 3'],
        'no text': ['b', 'c'],
        'an unknown column': ['rating'],
    }


@pytest.mark.parametrize(
    'content, message',
    [
        ('file,caption\na,x\n', r"has no column \['video'\]; its columns are \['file', 'caption'\]"),
        ('video,caption,start,end\na,x,soon,2\n', "line 2: start must be seconds, such as 12.5, got 'soon'"),
        (
            'video,caption,start,end\na,x,,\na,y,0,0:20\n',
            "line 3: end must be seconds, such as 12.5, got '0:20'",
        ),
        ('video,caption,group\na,x,g\na,y,h\n', "a is in the group 'h' and in 'g'"),
        ('video,caption\na,a dog, running\n', "line 2: more cells than columns, from ' running' on"),
    ],
)
def test_a_bad_table_is_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=f'mine.csv.*{message}'):
        read_captions(write(tmp_path / 'mine.csv', content))


def test_the_json_is_named_after_the_table(tmp_path):
    write(tmp_path / 'videos/a.mkv', '')
    table = write(tmp_path / 'train.tsv', 'video\tcaption\na\tx, y\n')
    convert(table_splits(table), tmp_path, tmp_path / 'videos')
    assert (tmp_path / 'train.json').read_text() == '{\n"a.mkv": ["x, y"]\n}\n'


def test_endings_in_upper_case_are_those_in_lower_case(tmp_path):
    assert read_captions(write(tmp_path / 'MINE.TSV', 'video\tcaption\na\tx, y\n')).entries == [
        dict(video='a', captions=['x, y'])
    ]
    write(tmp_path / 'folder/B.MP4', '')
    captions = read_texts(write(tmp_path / 'folder/B.TXT', 'one').parent)
    assert captions.entries == [dict(video='B', captions=['one'])] and not captions.skipped


def test_texts_beside_videos_give_a_caption_a_line(tmp_path):
    for name in ('b.mp4', 'deep/a.1.avi', 'silent.mov', 'empty.mp4', 'whole.webm'):
        write(tmp_path / name, '')
    write(tmp_path / 'b.txt', 'one\n\n two \n')
    write(tmp_path / 'deep/a.1.txt', 'three')
    write(tmp_path / 'empty.txt', '\n')
    write(tmp_path / 'whole.webm.txt', 'four')
    write(tmp_path / 'deep/b.txt', 'lost')
    captions = read_texts(tmp_path)
    assert captions.entries == [
        dict(video='b', captions=['one', 'two']),
        dict(video='deep/a.1', captions=['three']),
        dict(video='deep/b', captions=['lost']),
        dict(video='whole.webm', captions=['four']),
    ]
    assert captions.skipped == {
        'an empty text file': ['empty.txt'],
        'a video without a text file': ['silent.mov'],
    }
    (report,) = convert(folder_splits(tmp_path, 'mine'), tmp_path / 'out', tmp_path)
    assert [e['video'] for e in report.entries] == ['b.mp4', 'deep/a.1.avi', 'whole.webm']
    assert report.missing == ['deep/b']  # not the other b
    assert (tmp_path / 'out/mine.json').exists()


def test_a_file_whose_name_is_no_text_is_named_and_not_written(tmp_path):
    write(tmp_path / 'ok.mp4', '')
    write(tmp_path / 'ok.txt', 'one')
    (tmp_path / os.fsdecode(b'caf\xe9.mp4')).touch()
    captions = read_texts(tmp_path)
    assert captions.skipped == {'a video without a text file': ['caf\\udce9.mp4']}
    write(tmp_path / os.fsdecode(b'caf\xe9.txt'), 'two')
    captions = read_texts(tmp_path)
    assert [e['video'] for e in captions.entries] == ['ok']
    (reason,) = captions.skipped['invalid file names']
    assert 'half of a surrogate pair' in reason and reason.isascii()


def test_a_video_in_a_file_whose_name_no_annotation_may_have_is_refused(tmp_path):
    write(tmp_path / 'bad\nfolder/a.mp4', '')
    table = write(tmp_path / 'train.csv', 'video,caption\na,x\n')
    with pytest.raises(ValueError, match='train: the file found for a has a control character.*rename it'):
        convert(table_splits(table), tmp_path / 'out', tmp_path)
