import json
import time

import pytest

from mmclip4clip.datasets.annotations import load_annotations, paragraph


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


@pytest.mark.parametrize(
    'content, message',
    [
        ('{not json', 'cannot be read'),
        ('"text"', 'expected either .* got str'),
        ([], 'got nothing in it'),
        ({}, 'got nothing in it'),
        ([['a.mp4', 'x']], 'entry 0: expected'),
        ([dict(video=3, captions=['x'])], 'entry 0: expected'),
        ({'a.mp4': 'one'}, r'entry 0 \(a.mp4\): captions must be a list of strings, got one'),
        ({'a.mp4': ['x'], 'b.mp4': []}, r'entry 1 \(b.mp4\): captions must contain at least one'),
        ({'a.mp4': ['x', '  ']}, 'no empty one'),
        ({'a.mp4': [1]}, 'list of strings'),
        ([dict(video='a.mp4')], 'list of strings, got None'),
        ([dict(video='a.mp4', captions=['x'], caption='x')], r"unknown keys \['caption'\]"),
        ([dict(video='a.mp4', captions=['x'], group=3)], 'group must be a name, got 3'),
        ([dict(video='a.mp4', captions=['x'], start='1')], "start must be seconds from 0 on, got '1'"),
        ([dict(video='a.mp4', captions=['x'], start=True)], 'got True'),
        ([dict(video='a.mp4', captions=['x'], end=-1)], 'end must be seconds'),
        ([dict(video='a.mp4', captions=['x'], start=2, end=2)], 'start=2 must lie before end=2'),
        ('{"a.mp4": ["x"], "a.mp4": ["y"]}', "the key 'a.mp4' is repeated"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_entry(tmp_path, content, message):
    with pytest.raises(ValueError, match=message) as error:
        load_annotations(write(tmp_path / 'bad.json', content))
    assert 'bad.json' in str(error.value)


def entry(**changes) -> list:
    return [dict(dict(video='a.mp4', captions=['x']), **changes)]


@pytest.mark.parametrize(
    'text, message',
    [
        ('[{"video": "a.mp4", "captions": ["x"], "start": 1e999}]', r'\(a.mp4\): start must be .*got inf'),
        (f'[{{"video": "a.mp4", "captions": ["x"], "end": {"7" * 400}}}]', 'end must be seconds .*got inf'),
        (
            f'[{{"video": "a.mp4", "captions": ["x"], "end": {"7" * 100_000}}}]',
            'end must be seconds .*got inf',
        ),
        (f'[{{"video": "a.mp4", "captions": ["x"], "end": -{"7" * 400}}}]', 'end must be seconds .*got -inf'),
        ('[{"video": "a.mp4", "captions": ["x"], "start": NaN}]', 'start must be seconds .*got nan'),
        ('[{"video": "a.mp4", "captions": ["x"], "end": Infinity}]', 'end must be seconds .*got inf'),
        ('[{"video": "a.mp4", "captions": ["x"], "start": -Infinity}]', 'start must be seconds .*got -inf'),
        ('[{"video": "a.mp4", "captions": [1e999]}]', r'\(a.mp4\): captions must be a list of strings'),
        ('[' * 100_000, 'it is nested too deeply; expected either'),
        ('{"a.mp4":' * 100_000, 'nested too deeply'),
        ('[' * 900 + ']' * 900, 'entry 0: expected'),
        (
            json.dumps({'a.mp4': ['x'], 'b.mp4': json.loads('[' * 90 + ']' * 90)}),
            r'entry 1 \(b.mp4\): captions',
        ),
        (
            '[{"video": "a.mp4", "video": "b.mp4", "captions": ["x"]}]',
            "the key 'video' is repeated in .*'b.mp4'",
        ),
        ('{"a.mp4": ["x"], "a.mp4": ["x"]}', "the key 'a.mp4' is repeated"),
        ('["a\0"]', 'Invalid control character'),
    ],
    ids=lambda text: text[:50],
)
def test_odd_json_is_an_error_with_file_and_entry(tmp_path, text, message):
    with pytest.raises(ValueError, match=f'(?s)ann_file .*bad.json.*{message}') as error:
        load_annotations(write(tmp_path / 'bad.json', text))
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize(
    'content, message',
    [
        (entry(end=0), 'start=0 must lie before end=0'),
        (entry(end=0.0), 'start=0 must lie before end=0.0'),
        (entry(start=-0.0, end=0), 'must lie before end=0'),
        (entry(start=3, end=2.5), 'start=3 must lie before end=2.5'),
        (entry(start=[1]), r'start must be seconds from 0 on, got \[1\]'),
        (entry(end={}), 'end must be seconds'),
        (entry(captions={'x': 1}), 'captions must be a list of strings, got {'),
        (entry(captions=['x', None]), 'captions must be a list of strings, got None as caption 1'),
        (entry(captions=['x', ['y']]), 'as caption 1'),
        (entry(captions=['x', 'w ' * 50_001]), 'caption 1 has 100,002 characters, more than 100,000'),
        (entry(captions=['a\0b']), 'caption 0 has a NUL character'),
        (entry(captions=['\ud83d alone']), 'caption 0 has half of a surrogate pair'),
        *(
            (entry(captions=['x', blank]), 'caption 1 is empty or shows nothing')
            for blank in (
                '',
                '\t\n',
                '\xa0',
                '\u3000',
                '\u200b\u200d',
                '\ufeff',
                '\u2060',
                '\xad',
                '\u2800',
                '\u3164',
                '\u034f',
                '&nbsp;',
                '&amp;nbsp; &#8203;',
                '\x01',
                ' ' * 100_000,
            )
        ),
        (entry(group=''), 'group is empty'),
        (entry(group='a\0'), 'group has a NUL'),
        (entry(group='g' * 5000), 'group has 5,000 characters, more than 4,096'),
        (entry(group=['g']), r"group must be a name, got \['g'\]"),
        *(
            (entry(video=name), message)
            for name, message in (
                ('', 'video is empty'),
                (' ', 'video is empty'),
                ('\u200b', 'video is empty'),
                ('a\0.mp4', 'video has a NUL'),
                ('a\n.mp4', 'video has a control character'),
                ('\x1b[31m.mp4', 'control character'),
                ('\udcff.mp4', 'half of a surrogate pair'),
                ('/etc/a.mp4', "video is absolute, but must lie in the folder of the videos: '/etc/a.mp4'"),
                ('../a.mp4', 'video has ..,'),
                ('b/../../a.mp4', 'video has ..,'),
                ('..', 'video has ..,'),
                ('b/', 'names a folder'),
                ('.', 'names a folder'),
                ('a' * 5000, '5,000 characters, more than'),
            )
        ),
        ([dict(video=None, captions=['x'])], 'entry 0: expected'),
        ([dict(video=['a'], captions=['x'])], 'entry 0: expected'),
        ([None], 'entry 0: expected'),
        ([7], 'entry 0: expected'),
        (7, 'got int'),
        (None, 'got NoneType'),
        ({'../a.mp4': ['x']}, 'entry 0: video has ..'),
    ],
)
def test_what_no_run_could_use_is_an_error_with_file_and_entry(tmp_path, content, message):
    with pytest.raises(ValueError, match=f'(?s)ann_file .*bad.json.*{message}') as error:
        load_annotations(write(tmp_path / 'bad.json', content))
    assert len(str(error.value)) < 1000
    str(error.value).encode()  # so that a log can hold it


@pytest.mark.parametrize(
    'content, message',
    [
        ('{"a": ["x"]}'.encode('utf-16'), 'it is not UTF-8 text, byte 0 is 0xff'),
        ('{"a": ["caf\xe9"]}'.encode('latin-1'), 'it is not UTF-8 text, byte 11 is 0xe9'),
        (b'\0' * 1000, 'Expecting value'),
        (b'', 'Expecting value'),
        (b'\x80\x04N.', 'byte 0 is 0x80'),
    ],
)
def test_another_encoding_is_told_with_the_place(tmp_path, content, message):
    (tmp_path / 'bad.json').write_bytes(content)
    with pytest.raises(ValueError, match=f'ann_file .*bad.json cannot be read as JSON: .*{message}'):
        load_annotations(tmp_path / 'bad.json')


def test_a_byte_order_mark_and_every_script_are_read(tmp_path):
    captions = ['caf\xe9 \u4e2d\u6587 \U0001f408', '?', '\u0627', 'w ' * 50_000]
    (tmp_path / 'a.json').write_text(json.dumps({'caf\xe9 1.mp4': captions}, ensure_ascii=False), 'utf-8-sig')
    assert load_annotations(tmp_path / 'a.json') == [dict(video='caf\xe9 1.mp4', captions=captions)]


def test_an_absolute_name_is_read_where_no_folder_is_given(tmp_path):
    path = write(tmp_path / 'a.json', {'/far/a.mp4': ['x']})
    assert load_annotations(path, absolute=True) == [dict(video='/far/a.mp4', captions=['x'])]
    with pytest.raises(ValueError, match=r'video has \.\.'):
        load_annotations(write(path, {'/far/../a.mp4': ['x']}), absolute=True)


@pytest.mark.parametrize(
    'text',
    [
        json.dumps([dict(video='a.mp4', captions=['x'], **{f'k{i}': 0 for i in range(200_000)})]),
        '{' + ', '.join(f'"{i}.mp4": ["x"]' for i in range(200_000)) + ', "199999.mp4": ["x"]}',
        '[' + '0, ' * 1_000_000 + '0]',
        '{"a.mp4": ["' + 'x' * 20_000_000 + '"]}',
        '[' + '7' * 5_000_000 + ']',
    ],
    ids=['keys', 'a key twice', 'entries', 'a caption', 'a number'],
)
def test_a_large_fault_is_found_in_linear_time_and_told_in_few_words(tmp_path, text):
    path, begin = write(tmp_path / 'bad.json', text), time.process_time()
    with pytest.raises(ValueError, match='bad.json') as error:
        load_annotations(path)
    assert len(str(error.value)) < 1000 and time.process_time() - begin < 8


def test_many_captions_are_read_in_linear_time(tmp_path):
    path = write(tmp_path / 'a.json', '{"a.mp4": [' + '"a man runs", ' * 299_999 + '"the last"]}')
    begin = time.process_time()
    (loaded,) = load_annotations(path)
    assert len(loaded['captions']) == 300_000 and time.process_time() - begin < 8


def test_a_paragraph_is_bounded_as_a_caption_is():
    assert paragraph(['a', 'b c'], 'x') == 'a b c'
    with pytest.raises(ValueError, match='x.json.a.: its 2 captions, joined .* have 100,001 characters'):
        paragraph(['w' * 50_000] * 2, 'x.json(a)')


def test_nulls_are_as_if_absent(tmp_path):
    entry = dict(video='a.mp4', captions=['x'], start=None, end=None, group=None)
    assert load_annotations(write(tmp_path / 'a.json', [entry])) == [dict(video='a.mp4', captions=['x'])]
