import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmclip4clip.preparation.converters import convert
from mmclip4clip.preparation.converters.didemo import majority_window, read_moments, read_paragraphs, splits

ITEMS = [
    dict(video='1@N00_2_f.mov', description='a dog.', times=[[0, 0], [0, 0], [1, 1], [0, 0]]),
    dict(video='3@N00_4_e.', description='a cat', times=[[5, 5]] * 4),
    dict(video='1@N00_2_f.mp4', description='it runs', times=[[0, 0]] * 4),
    dict(video='1@N00_2_f.mov', description='it sits', times=[[1, 4]] * 4),
]


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_two_names_of_one_video_make_one_paragraph_of_its_first_31_seconds(tmp_path):
    assert read_paragraphs(write(tmp_path / 'a.json', ITEMS)).entries == [
        dict(video='1@N00_2_f.mov', captions=['a dog.', 'it runs', 'it sits'], start=0, end=31),
        dict(video='3@N00_4_e.', captions=['a cat'], start=0, end=31),
    ]


def test_moments_are_windows_of_whole_chunks(tmp_path):
    assert read_moments(write(tmp_path / 'a.json', ITEMS)).entries == [
        dict(video='1@N00_2_f.mov', captions=['a dog.', 'it runs'], start=0, end=5),
        dict(video='3@N00_4_e.', captions=['a cat'], start=25, end=30),
        dict(video='1@N00_2_f.mov', captions=['it sits'], start=5, end=25),
    ]


@pytest.mark.parametrize(
    'times, window',
    [
        ([[3, 3]], (15, 20)),  # the publisher's own example
        ([[1, 4]], (5, 25)),
        ([[4, 4], [0, 0], [0, 0], [4, 4], [4, 4]], (20, 25)),
        ([[1, 2], [0, 0]], (5, 15)),
    ],
)  # the first of a tie
def test_a_table_of_times_gives_the_window_most_annotators_chose(times, window):
    assert majority_window(times) == window


@given(st.lists(st.integers(0, 5).flatmap(lambda a: st.tuples(st.just(a), st.integers(a, 5))), min_size=1))
def test_the_window_is_always_one_that_somebody_chose(times):
    start, end = majority_window(times)
    assert (start // 5, end // 5 - 1) in times and start % 5 == end % 5 == 0


@pytest.mark.parametrize('read', [read_paragraphs, read_moments])
def test_names_that_are_not_listed_are_left_out_and_noted(tmp_path, read):
    names = write(tmp_path / 'names.txt', '1@N00_2_f.mp4\n3@N00_4_e.\n')
    captions = read(write(tmp_path / 'a.json', ITEMS), names)
    assert {e['video'] for e in captions.entries} == {'1@N00_2_f.mp4', '3@N00_4_e.'}
    assert captions.skipped == {'name not in names.txt': ['1@N00_2_f.mov'] * 2}


@pytest.mark.parametrize(
    'content',
    [
        {'a': 1},
        [1],
        [dict(video='a', times=[[0, 0]])],
        [dict(video='a', description='x', times=[])],
        [dict(video='a', description='x', times=[['0', '0']])],
        [dict(video='a', description='x', times=[[0.5, 1]])],
        [dict(video='a', description='x', times=[[0, True]])],
        [dict(video='a', description='x', times='0')],
        [dict(video='a', description='x', times=[[0, 10**400]])],
        [dict(video=5, description='x', times=[[0, 0]])],
        {'video': 'a'},
    ],
)
def test_another_file_is_refused(tmp_path, content):
    path = write(tmp_path / 'a.json', content)
    with pytest.raises(ValueError, match=r'a.json is not of the form \[\{"video": name'):
        read_moments(path)


def test_videos_are_found_under_every_name_they_are_kept_by(tmp_path):
    items = [dict(ITEMS[0], video=name) for name in ('a.mov', 'b.', 'c.3gp', 'd.null', 'e.avi')]
    write(tmp_path / 'val_data.json', items)
    files = ['a.mov.mp4', 'b..mp4', 'c.3gp', 'd.null.mp4', 'e.mkv']  # .mp4 is added by the publisher's script
    for name in files:
        (tmp_path / name).touch()
    val = convert(splits(tmp_path), tmp_path / 'out', tmp_path)[1]
    assert [e['video'] for e in val.entries] == files


def test_the_lists_are_needed_only_if_asked_for(tmp_path):
    assert [len(s.sources) for s in splits(tmp_path)] == [1] * 6
    listed = splits(tmp_path, listed=True)
    assert [s.sources[1].name for s in listed][:3] == ['train_list.txt', 'val_list.txt', 'test_list.txt']
    assert [s.videos for s in listed] == [8392, 1065, 1004] * 2


def test_the_official_files_have_the_published_counts(data, tmp_path):
    reports = convert(splits(data / 'annotations/didemo'), tmp_path, tmp_path, ending='.mp4', strict=True)
    counts = {
        r.split.name: (len({e['video'] for e in r.entries}), sum(len(e['captions']) for e in r.entries))
        for r in reports
        if not r.absent
    }
    assert counts['val'] == counts['moments_val'] == (1065, 4180)
    assert counts['test'] == counts['moments_test'] == (1004, 4021) and len(counts) == 4
    assert len(reports[1].entries) == 1065  # a paragraph a video
