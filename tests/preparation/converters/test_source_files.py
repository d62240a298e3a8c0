import os
import pickle

import pytest

from mmclip4clip.preparation.converters.source_files import (
    FormatError,
    check_type,
    expecting_format,
    read_json,
    read_lines,
    read_pickle,
    read_table,
)


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    'wrong',
    [
        lambda: {}['key'],
        lambda: [][0],
        lambda: 3 + 'x',
        lambda: None.items(),
        lambda: float('x'),
        lambda: 1 / 0,
    ],
)
def test_an_odd_value_becomes_an_error_about_the_file(wrong):
    with (
        pytest.raises(FormatError, match='a.json is not of the form a list: '),
        expecting_format('a.json', 'a list'),
    ):
        wrong()


def test_the_entry_is_named_and_a_long_cause_is_cut():
    with (
        pytest.raises(FormatError, match="^a.json is not of the form a list: at 'v_a' KeyError") as error,
        expecting_format('a.json', 'a list') as place,
    ):
        place.entry = 'v_a'
        {}['k' * 100_000]
    assert len(str(error.value)) < 600


@pytest.mark.parametrize(
    'value, types', [(True, (int, float)), ('ab', (list,)), (None, (str,)), (1.0, (int,))]
)
def test_a_value_of_another_type_is_not_taken(value, types):
    with pytest.raises(TypeError, match=f'expected {types[0].__name__}.*, got {value!r}'):
        check_type(value, *types)
    assert check_type(5, *types[:0], int) == 5


def test_an_error_about_a_file_stays_as_it_is():
    with pytest.raises(FormatError, match='^b.json$'), expecting_format('a.json', 'a list'):
        raise FormatError('b.json')


def test_lines_come_without_ends_and_empty_ones(tmp_path):
    assert read_lines(write(tmp_path / 'a', '\ufeffone \r\n\n  \ntwo\tthree')) == ['one ', 'two\tthree']


def test_a_table_gives_line_numbers_and_cells(tmp_path):
    table = write(tmp_path / 'a.csv', '\ufeffa,b\n1,"x, ""y"""\n2\n')
    assert read_table(table, ['a']) == [(2, dict(a='1', b='x, "y"')), (3, dict(a='2', b=None))]
    table = write(tmp_path / 'a.tsv', 'a\tb\n1\tx, y\n')
    assert read_table(table, ['a', 'b']) == [(2, dict(a='1', b='x, y'))]


@pytest.mark.parametrize(
    'read, content, message',
    [
        (read_json, '{', 'bad cannot be read as JSON'),
        (read_json, '{"a": 1, "a": 2}', "bad cannot be read as JSON: the key 'a' is repeated"),
        (read_json, b'"\xff"', 'bad cannot be read as JSON'),
        (read_lines, b'\xff', 'bad is not UTF-8 text'),
        (
            lambda p: read_table(p, ['a', 'c']),
            'a,b\n',
            r"bad has no column \['c'\]; its columns are \['a', 'b'\]",
        ),
        (lambda p: read_table(p, ['a']), '', r"bad has no column \['a'\]; its columns are None"),
        (
            lambda p: read_table(p, ['a']),
            'a,b\n1,2\n1,a cat, a dog\n',
            "bad, line 3: more cells than columns, from ' a dog' on; put text with commas in double quotes",
        ),
        (lambda p: read_table(p, ['a']), 'a\n"x', 'bad unexpected end of data'),
        (lambda p: read_table(p, ['a']), b'a\n\xff', 'bad .* codec'),
        (read_json, '[' * 100_000, 'bad cannot be read as JSON: it is nested too deeply'),
        (read_json, '{"a": '.encode('utf-16'), 'bad cannot be read as JSON: it is not UTF-8 text, byte 0'),
        (
            lambda p: read_table(p, ['a']),
            'a,b,a\n1,2,3\n',
            r"bad has two columns with the same name; .*\['a', 'b', 'a'\]",
        ),
        (lambda p: read_table(p, ['a']), 'a\n1\n' + 'x' * 200_000, 'bad field larger than .*, near line 2'),
        (read_pickle, b'\x80\x04Nr\xff\xff\xff\x3f.', 'bad was refused .* has object number 1,073,741,823'),
        (read_pickle, b'(' * 1000 + b'l' * 1000, 'bad was refused'),
        (read_pickle, 'no pickle', 'bad was refused and not run: expected a pickle of plain values'),
    ],
)
def test_a_bad_file_is_named(tmp_path, read, content, message):
    with pytest.raises(FormatError, match=message):
        read(write(tmp_path / 'bad', content))


class Harmful:
    def __reduce__(self):
        return os.mkdir, ('harmed',)


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_malicious_pickle_is_refused_and_nothing_in_it_runs(tmp_path, monkeypatch, protocol):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / 'a.pkl', pickle.dumps({'v': [[Harmful()]]}, protocol))
    with pytest.raises(FormatError, match='a.pkl was refused .* asks for (posix|nt).mkdir'):
        read_pickle(path)
    assert not (tmp_path / 'harmed').exists()


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_are_read(tmp_path, protocol):
    value = {'v': [['a', 'dog'], []], 'w': (1, 2.5, None, True)}
    assert read_pickle(write(tmp_path / 'a.pkl', pickle.dumps(value, protocol))) == value
