import json

import pytest

from mmclip4clip.datasets.annotations import load_annotations


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_both_forms_are_read(tmp_path):
    entries = load_annotations(write(tmp_path / 'a.json', {'a.mp4': ['one', 'two'], 'b.avi': ['three']}))
    assert entries == [dict(video='a.mp4', captions=['one', 'two']), dict(video='b.avi', captions=['three'])]
    listed = [dict(video='a.mp4', captions=['x'], start=1.5, end=3, group='g')]
    assert load_annotations(write(tmp_path / 'b.json', listed)) == listed


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='ann_file .*none.json does not exist'):
        load_annotations(tmp_path / 'none.json')


@pytest.mark.parametrize('content, message', [
    ('{not json', 'cannot be read'),
    ('"text"', 'expected either .* got str'),
    ([], 'got nothing in it'),
    ({}, 'got nothing in it'),
    ([['a.mp4', 'x']], 'entry 0: expected'),
    ([dict(video=3, captions=['x'])], 'entry 0: expected'),
    ({'a.mp4': 'one'}, r'entry 0 \(a.mp4\): captions must be a list of strings, got one'),
    ({'a.mp4': ['x'], 'b.mp4': []}, r'entry 1 \(b.mp4\): captions must hold at least one'),
    ({'a.mp4': ['x', '  ']}, 'no empty one'),
    ({'a.mp4': [1]}, 'list of strings'),
    ([dict(video='a.mp4')], 'list of strings, got None'),
    ([dict(video='a.mp4', captions=['x'], caption='x')], r"unknown keys \['caption'\]"),
    ([dict(video='a.mp4', captions=['x'], group=3)], 'group must be a name, got 3'),
    ([dict(video='a.mp4', captions=['x'], start='1')], "start must be seconds from 0 on, got '1'"),
    ([dict(video='a.mp4', captions=['x'], start=True)], 'got True'),
    ([dict(video='a.mp4', captions=['x'], end=-1)], 'end must be seconds'),
    ([dict(video='a.mp4', captions=['x'], start=2, end=2)], 'start=2 must lie before end=2'),
    ('{"a.mp4": ["x"], "a.mp4": ["y"]}', "the key 'a.mp4' comes twice"),
])
def test_what_is_wrong_is_said_with_file_and_entry(tmp_path, content, message):
    with pytest.raises(ValueError, match=message) as error:
        load_annotations(write(tmp_path / 'bad.json', content))
    assert 'bad.json' in str(error.value)


def test_nulls_are_as_if_absent(tmp_path):
    entry = dict(video='a.mp4', captions=['x'], start=None, end=None, group=None)
    assert load_annotations(write(tmp_path / 'a.json', [entry])) == [dict(video='a.mp4', captions=['x'])]
