"""Queries as people type them: texts, images, videos and time ranges, added and subtracted."""

import math
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..datasets.annotations import caption_fault
from ..datasets.video_names import is_video
from ..safe_json import shorten
from .media_files import is_file, is_folder, is_image, is_media

SIGNS = {'+': 1.0, '-': -1.0}
# A first word with a star is a weight; the star may stand alone, as in: 0.5 * "a beach".
WEIGHTED = re.compile(r'(?P<weight>[^\s*]*)\s*\*\s*(?P<rest>.*)', re.DOTALL)
NUMBER = re.compile(r'[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?', re.IGNORECASE | re.ASCII)
TIME = r'(?:(?:\d+:)?\d+:[0-5]?\d(?:\.\d*)?|\d+(?:\.\d*)?)'  # 62.5, 1:02.5 or 1:01:02.5
OPERATOR = re.compile(r'\s[+-]\s(?=(?:[^"]*"[^"]*")*[^"]*$)')  # outside double quotes
QUOTED = re.compile(r'([^\s"*]*\s*\*\s*)?"[^"]*"')  # as a whole, after a weight
RANGE = re.compile(rf'(?P<start>{TIME})?-(?P<end>{TIME})?', re.ASCII)


class QueryError(ValueError):
    """Error for a query that cannot be understood, or that names a file that is not there.

    Examples:
        >>> parse_query(['a beach', '+'])
        Traceback (most recent call last):
        mmclip4clip.search.queries.QueryError: the query has nothing after +: expected a text or a file there
    """


class Term(NamedTuple):
    """A part of a query: a text, an image, a video or a time range of a video.

    Args:
        weight (float): Factor of its vector, not 0. A negative one moves the query away from it.
        kind (str): ``'text'``, ``'image'`` or ``'video'``.
        value (str): The text, or the path of the file.
        start (float | None): Start of the range in seconds; None is the start of the video.
        end (float | None): End of the range in seconds; None is the end of the video.

    Examples:
        >>> Term(0.5, 'text', 'a beach').start is None
        True
    """

    weight: float
    kind: str
    value: str
    start: float | None = None
    end: float | None = None


Query = Sequence[Term]


def parse_query(query: Sequence[str] | str) -> list[Term]:
    """Parse the words of a query.

    ``+`` and ``-`` as words of their own add and subtract terms; a leading ``-`` is allowed. A term is a
    text, an image or a video by the ending of an existing file, or a range of a video as in
    ``clip.mp4@1:02-1:12.5``, ``clip.mp4@62-`` or ``clip.mp4@-10``. ``0.5*`` before a term is its weight.
    Other words belong to one text, so that quotes are not needed for a single one.

    Args:
        query (Sequence[str] | str): Words as a shell separates them. Or a line as typed, whose terms may be
            in double quotes; operators in quotes are text. A single word counts as a line if it has operators
            outside quotes and a term that is in quotes as a whole or is a file.

    Returns:
        list[Term]: The terms, at least one.

    Raises:
        QueryError: If the query is empty, an operator has no term, a weight is 0 or no number, a time range
            is invalid, or a name with the ending of an image or a video is not a file.

    Examples:
        >>> parse_query(['a', 'dog', 'runs'])
        [Term(weight=1.0, kind='text', value='a dog runs', start=None, end=None)]
        >>> [(term.weight, term.value) for term in parse_query('0.5*"a beach" + at night - "a well-lit bar"')]
        [(0.5, 'a beach'), (1.0, 'at night'), (-1.0, 'a well-lit bar')]
    """
    if isinstance(query, str):
        words = split_line(query)
    else:
        words = _split_single(query[0]) if len(query) == 1 else list(query)
    if not any(word.strip() for word in words):
        raise QueryError('the query is empty: expected a text, an image, a video, or a sum of them')
    return [_parse_term(sign, text) for sign, text in _split_terms(words)]


def parse_texts(line: str) -> list[Term]:
    """Parse a line of texts only: the name of a file is a text as well, and no file is looked at.

    Args:
        line (str): See :func:`parse_query`.

    Raises:
        QueryError: See :func:`parse_query`.

    Examples:
        >>> [(term.weight, term.kind, term.value) for term in parse_texts('a beach - 0.5*person.jpg')]
        [(1.0, 'text', 'a beach'), (-0.5, 'text', 'person.jpg')]
    """
    words = split_line(line)
    if not any(word.strip() for word in words):
        raise QueryError('the query is empty: expected a text, or a sum of them')
    terms = []
    for sign, text in _split_terms(words):
        weighted = WEIGHTED.fullmatch(text)
        terms.append(_to_text(sign, text) if weighted is None else _to_text(*_weigh(sign, weighted, text)))
    return terms


def split_line(line: str) -> list[str]:
    r"""Split a typed line at spaces outside double quotes; a backslash protects the character after it.

    Raises:
        QueryError: If a quote is not closed.

    Examples:
        >>> split_line('0.5*"a beach" - the dog\'s "red ball"')
        ['0.5*a beach', '-', 'the', "dog's", 'red ball']
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.quotes, lexer.commenters = True, '"', ''  # an apostrophe is a letter
    try:
        return list(lexer)
    except ValueError as error:
        fault = 'a double quote is not closed' if '"' in line else 'nothing follows the last backslash'
        raise QueryError(f'{fault} in the query {shorten(line)}') from error


def _split_single(word: str) -> list[str]:
    """Split a word that is a whole line, as in ``'"a beach" - person.jpg'``; else return it alone."""
    terms = OPERATOR.split(re.sub(r'^\s*-\s', '', f'{word} '))
    has_operators = len(terms) > 1 or word.lstrip().startswith('- ')
    if has_operators and any(QUOTED.fullmatch(term.strip()) or is_media(term.strip()) for term in terms):
        return [word] if is_file(word) else split_line(word)
    return [word]


def _split_terms(words: Sequence[str]) -> list[tuple[float, str]]:
    """Return the sign and the joined words of each term."""
    terms: list[tuple[str, list[str]]] = [('', [])]  # the operator before each term, and its words
    for word in words:
        if word in SIGNS:
            terms.append((word, []))
        else:
            terms[-1][1].append(word)
    if not terms[0][1] and terms[1][0] == '-':
        del terms[0]  # a leading - is the sign of the first term
    for position, (operator, part) in enumerate(terms):
        if not ' '.join(part).strip():
            place = f'after {operator}' if operator else f'before {terms[position + 1][0]}'
            raise QueryError(f'the query has nothing {place}: expected a text or a file there')
    return [(SIGNS.get(operator, 1.0), ' '.join(part).strip()) for operator, part in terms]


def _parse_term(sign: float, text: str) -> Term:
    """Read the weight, the kind and the range of a term."""
    weighted = WEIGHTED.fullmatch(text)
    if weighted is None or is_file(text):
        return _find_kind(sign, text)
    return _find_kind(*_weigh(sign, weighted, text))


def _weigh(sign: float, weighted: re.Match, text: str) -> tuple[float, str]:
    """Return the weight of a term, and the rest of its text."""
    weight = _parse_weight(weighted['weight'], text)
    if not weighted['rest'].strip():
        raise QueryError(f'the weight {shorten(text)} has no term: expected a text or a file after the star')
    return sign * weight, weighted['rest']


def _parse_weight(text: str, term: str) -> float:
    weight = float(text) if NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(weight) or weight == 0:
        raise QueryError(
            f'the weight of {shorten(term)} must be a number that is not 0, got {shorten(text)}; write '
            '1*TEXT for a text whose first word has a star'
        )
    return weight


def _find_kind(weight: float, value: str) -> Term:
    name, _, range_ = value.rpartition('@')
    window: str | None = range_
    if is_file(value) or not (is_image(name) or is_video(name)):
        name, window = value, None
    if is_image(name):
        if window is not None:
            raise QueryError(f'{shorten(value)} has a time range, and an image has none')
        return Term(weight, 'image', _existing(name, 'image'))
    if is_video(name):
        start, end = (None, None) if window is None else _parse_range(window, value)
        return Term(weight, 'video', _existing(name, 'video'), start, end)
    if is_file(value) and Path(value).suffix:  # names without a dot are words
        raise QueryError(f'{shorten(value)} is a file, but neither an image nor a video by its ending')
    return _to_text(weight, value)


def _to_text(weight: float, value: str) -> Term:
    fault = caption_fault(value)
    if fault:
        raise QueryError(f'the text {shorten(value)} {fault}')
    return Term(weight, 'text', value)


def _existing(name: str, kind: str) -> str:
    """Return the path of a file that must exist."""
    if is_file(name):
        return str(Path(name).expanduser())
    reason = 'is a folder' if is_folder(name) else 'does not exist'
    raise QueryError(f'unknown query {kind}: {shorten(name)} {reason}')


def _parse_range(window: str, value: str) -> tuple[float | None, float | None]:
    found = RANGE.fullmatch(window)
    if found is None or window == '-':
        raise QueryError(
            f'the time range of {shorten(value)} must be START-END in seconds or minutes:seconds, such as '
            f'62-72.5, 1:02-1:12 or 62-, got {shorten(window)}'
        )
    start, end = (_seconds(found[key]) if found[key] else None for key in ('start', 'end'))
    if end is not None and (start or 0) >= end:
        raise QueryError(f'the time range of {shorten(value)} must end after its start')
    return start, end


def _seconds(time: str) -> float:
    """Return the seconds of a time such as 62.5 or 1:02.5."""
    seconds = 0.0
    for part in time.split(':'):
        seconds = 60 * seconds + float(part)
    return seconds
