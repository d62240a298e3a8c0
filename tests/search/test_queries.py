"""What a query means, as words of a shell and as a typed line."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mmclip4clip.search.queries import QueryError, Term, parse_query, parse_texts

WORD = st.from_regex(r'[a-zäß]+([+-][a-z]+)?[+]{0,2}', fullmatch=True)  # c++ and well-lit are words
TEXT = st.lists(WORD, min_size=1, max_size=4).map(' '.join)
WEIGHT = st.sampled_from([None, '0.5', '2', '-1', '.25', '1e-2'])


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('person.jpg', 'my dog.PNG', 'clip.mp4', 'odd@10-20.mp4', 'a*b.mkv', 'notes.txt', 'dog'):
        (tmp_path / name).touch()
    (tmp_path / 'folder.mp4').mkdir()
    return tmp_path


def text(value: str, weight: float = 1.0) -> Term:
    return Term(weight, 'text', value)


@pytest.mark.parametrize(
    'words, terms',
    [
        (['a dog on a skateboard'], [text('a dog on a skateboard')]),
        (['a', 'dog', 'on', 'a', 'skateboard'], [text('a dog on a skateboard')]),
        (['a well-lit c++ bar'], [text('a well-lit c++ bar')]),
        (['rock - paper'], [text('rock - paper')]),
        (['he said "hi" - loudly'], [text('he said "hi" - loudly')]),
        (['mail me@home'], [text('mail me@home')]),
        (['dog'], [text('dog')]),  # also if a file has this name
        (['a 3*3 grid'], [text('a 3*3 grid')]),
        (['1*M*A*S*H'], [text('M*A*S*H')]),
        (['person.jpg'], [Term(1, 'image', 'person.jpg')]),
        (['my', 'dog.PNG'], [Term(1, 'image', 'my dog.PNG')]),
        (['a*b.mkv'], [Term(1, 'video', 'a*b.mkv')]),
        (['odd@10-20.mp4'], [Term(1, 'video', 'odd@10-20.mp4')]),
        (['clip.mp4@10-20'], [Term(1, 'video', 'clip.mp4', 10, 20)]),
        (['clip.mp4@1:02-1:12.5'], [Term(1, 'video', 'clip.mp4', 62, 72.5)]),
        (['clip.mp4@1:00:01-'], [Term(1, 'video', 'clip.mp4', 3601, None)]),
        (['clip.mp4@-7'], [Term(1, 'video', 'clip.mp4', None, 7)]),
        (['odd@10-20.mp4@0-1'], [Term(1, 'video', 'odd@10-20.mp4', 0, 1)]),
        (
            ['a beach', '+', 'at', 'night', '-', 'person.jpg'],
            [text('a beach'), text('at night'), Term(-1, 'image', 'person.jpg')],
        ),
        (['0.5*a beach', '-', '2*clip.mp4@1-2'], [text('a beach', 0.5), Term(-2, 'video', 'clip.mp4', 1, 2)]),
        (['0.5*a', 'beach'], [text('a beach', 0.5)]),
        (['-', 'a beach'], [text('a beach', -1)]),
        (['"a beach" + "c++" - person.jpg'], [text('a beach'), text('c++'), Term(-1, 'image', 'person.jpg')]),
        (['0.5*"a beach" + at night'], [text('a beach', 0.5), text('at night')]),
        (['clip.mp4 - person.jpg'], [Term(1, 'video', 'clip.mp4'), Term(-1, 'image', 'person.jpg')]),
    ],
)  # fmt: skip
def test_words_of_a_shell(words, terms):
    assert parse_query(words) == terms


@pytest.mark.parametrize(
    'line, terms',
    [
        ('a beach + at night', [text('a beach'), text('at night')]),
        ('"rock - paper" - the dog\'s ball', [text('rock - paper'), text("the dog's ball", -1)]),
        ('0.5 * "a beach"', [text('a beach', 0.5)]),
        ('my\\ dog.PNG', [Term(1, 'image', 'my dog.PNG')]),
        ('  a   dog # 1 ', [text('a dog # 1')]),
    ],
)
def test_a_typed_line(line, terms):
    assert parse_query(line) == terms


@pytest.mark.parametrize(
    'query, message',
    [
        ([], 'the query is empty'),
        ('   ', 'the query is empty'),
        (['', ' '], 'the query is empty'),
        (['+', 'dog'], 'nothing before +'),
        (['dog', '+'], 'nothing after +'),
        (['dog', '-', '+', 'cat'], 'nothing after -'),
        (['-'], 'nothing after -'),
        (['0*dog'], 'must be a number that is not 0'),
        (['-0.0*dog'], 'must be a number that is not 0'),
        (['nan*dog'], 'must be a number that is not 0'),
        (['1e999*dog'], 'must be a number that is not 0'),
        (['x*dog'], 'must be a number that is not 0'),
        (['*dog'], 'must be a number that is not 0'),
        (['2*', '+', 'dog'], 'has no term'),
        (['nobody.jpg'], 'unknown query image: .*nobody.jpg.* does not exist'),
        (['2*nothing.mp4'], 'unknown query video'),
        (['nothing.mp4@1-2'], 'unknown query video'),
        (['~nobody-of-this-name/x.jpg'], 'unknown query image'),
        (['x' * 5000 + '.jpg'], 'unknown query image'),
        (['folder.mp4'], 'is a folder'),
        (['notes.txt'], 'neither an image nor a video'),
        (['person.jpg@1-2'], 'an image has none'),
        (['clip.mp4@'], 'must be START-END'),
        (['clip.mp4@-'], 'must be START-END'),
        (['clip.mp4@5'], 'must be START-END'),
        (['clip.mp4@1:75-'], 'must be START-END'),
        (['clip.mp4@1e3-2e3'], 'must be START-END'),
        (['clip.mp4@20-10'], 'must end after its start'),
        (['clip.mp4@-0'], 'must end after its start'),
        ('"a dog', 'a double quote is not closed'),
        ('a dog\\', 'nothing follows the last backslash'),
        (['a\0dog'], 'NUL'),
        (['\u200b'], 'shows nothing'),
    ],
)
def test_faulty_queries_are_named(query, message):
    with pytest.raises(QueryError, match=re.escape(message) if '.*' not in message else message):
        parse_query(query)


@given(st.lists(st.tuples(st.sampled_from('+-'), WEIGHT, TEXT), min_size=1, max_size=4))
@example([('-', None, 'a')])
def test_a_sum_is_read_alike_in_words_in_one_word_and_in_a_line(sum_of):
    expected, words = [], []
    for position, (sign, weight, value) in enumerate(sum_of):
        words += [sign] if position or sign == '-' else []
        words.append(value if weight is None else f'{weight}*{value}')
        expected.append(text(value, (1 if sign == '+' else -1) * float(weight or 1)))
    star = re.compile(r'^([-\d.e]+\*)?(.*)$')
    line = ' '.join(word if word in '+-' else star.sub(r'\1"\2"', word) for word in words)
    assert parse_query(words) == expected
    assert parse_query(line) == expected
    assert len(words) == 1 or parse_query([line]) == expected


@given(st.text(max_size=40))
@example('"')
@example('a@.mp4')
@example('2*\\')
def test_any_typing_is_a_query_or_a_clear_error(line):
    for query in (line, [line], line.split(' ')):
        try:
            terms = parse_query(query)
        except QueryError as error:
            assert str(error)
        else:
            assert terms and all(term.weight and term.value for term in terms)


def test_a_query_of_texts_looks_at_no_file(tmp_path, monkeypatch):
    (tmp_path / 'dog.jpg').touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('mmclip4clip.search.queries.is_file', lambda name: 1 / 0)
    terms = parse_texts('dog.jpg + "a - b" - 0.5*clip.mp4@1-2')
    assert [(term.weight, term.kind, term.value) for term in terms] == [
        (1.0, 'text', 'dog.jpg'),
        (1.0, 'text', 'a - b'),
        (-0.5, 'text', 'clip.mp4@1-2'),
    ]
    for query in ('', ' ', '+', 'a +', '0*a', 'x*a', '2*', '"a', '\u200b'):
        with pytest.raises(QueryError):
            parse_texts(query)
