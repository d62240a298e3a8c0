import contextlib
import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmclip4clip.datasets.annotations import load_annotations
from mmclip4clip.preparation.converters.split import Captions, count_entries


def test_captions_are_gathered_by_video_and_window_in_order_of_appearance():
    captions = Captions()
    for row in (('b', 'one'), ('a', 'two', 0, 5), ('b', 'three'), ('a', 'four', 5, 9), ('a', 'five', 0, 5)):
        captions.add(*row)
    assert captions.entries == [
        dict(video='b', captions=['one', 'three']),
        dict(video='a', captions=['two', 'five'], start=0, end=5),
        dict(video='a', captions=['four'], start=5, end=9),
    ]
    assert count_entries(captions.entries) == (2, 5)  # a and b


def test_white_space_is_evened_out_and_equal_captions_are_kept():
    captions = Captions()
    captions.add('a', '  a  dog\nruns ')
    captions.add('a', 'a dog runs')
    assert captions.entries == [dict(video='a', captions=['a dog runs', 'a dog runs'])]


@pytest.mark.parametrize(
    'row, reason',
    [
        (('v', ' \t'), 'no text'),
        (('v', None), 'no text'),
        (('v', math.nan), 'no text'),
        (('v', 'x', -1, 2), 'times that are not seconds >= 0'),
        (('v', 'x', math.nan, 2), 'times that are not seconds >= 0'),
        (('v', 'x', 0, math.inf), 'times that are not seconds >= 0'),
        (('v', 'x', 2, 2), 'a start that is not before the end'),
        (('v', 'x', None, 0), 'a start that is not before the end'),
        (('v', 'x', 0, 10**400), 'times that are not seconds >= 0'),
        (('v', '\xa0\u3000'), 'no text'),
    ],
)
def test_what_cannot_be_used_is_left_out_and_noted(row, reason):
    captions = Captions()
    captions.add(*row)
    assert captions.entries == [] and list(captions.skipped) == [reason]
    assert captions.skipped[reason][0].split()[0] == 'v'


def test_a_video_in_two_groups_is_refused():
    captions = Captions()
    captions.add('a', 'x', group='g')
    with pytest.raises(ValueError, match="a is in the group 'h' and in 'g'"):
        captions.add('a', 'y', group='h')


@given(
    st.lists(st.tuples(st.sampled_from('abc'), st.text(max_size=3), st.integers(-1, 3), st.integers(-1, 3)))
)
def test_every_caption_is_either_kept_or_noted(rows):
    captions = Captions()
    for row in rows:
        captions.add(*row)
    kept = sum(len(e['captions']) for e in captions.entries)
    assert kept + sum(map(len, captions.skipped.values())) == len(rows)
    assert all(0 <= e['start'] < e['end'] for e in captions.entries)


@pytest.mark.parametrize(
    'row, reason, what',
    [
        (('v', 'w' * 100_001), 'an invalid caption', 'v: it has 100,001 characters'),
        (('v', 'a\0'), 'an invalid caption', 'v: it has a NUL character'),
        (('v', '\u200b'), 'an invalid caption', 'v: it is empty or shows nothing'),
        (('v', 'x', None, None, 'g\0'), 'an invalid group name', 'v: it has a NUL'),
        (('../v', 'x'), 'invalid file names', "has .., but .*'../v'"),
        (('/v', 'x'), 'invalid file names', "is absolute.*'/v'"),
        (('v\0', 'x'), 'invalid file names', 'has a NUL'),
        (('', 'x'), 'invalid file names', 'is empty'),
        (('v' * 10_000, 'x'), 'invalid file names', '10,000 characters'),
    ],
)
def test_what_annotations_may_not_have_is_left_out_and_noted_in_few_words(row, reason, what):
    captions = Captions()
    captions.add(*row)
    assert captions.entries == [] and list(captions.skipped) == [reason]
    assert re.search(what, captions.skipped[reason][0]) and len(captions.skipped[reason][0]) < 310


@pytest.mark.parametrize(
    'row', [(5, 'x'), (None, 'x'), ('v', 'x', '0', 5), ('v', 'x', 0, True), ('v', 'x', [0], 5)]
)
def test_another_type_is_an_error(row):
    with pytest.raises(TypeError, match='expected (str|int or float), got'):
        Captions().add(*row)


@given(
    st.lists(
        st.tuples(
            st.text(max_size=4),
            st.text(max_size=4),
            st.none() | st.floats(),
            st.none() | st.floats() | st.integers(),
            st.none() | st.text(max_size=2),
        ),
        min_size=1,
    )
)
def test_what_is_kept_is_read_back_whatever_came(tmp_path_factory, rows):
    captions, path = Captions(), tmp_path_factory.mktemp('rows') / 'a.json'
    for row in rows:
        with contextlib.suppress(ValueError):  # a video in two groups
            captions.add(*row)
    if captions.entries:
        path.write_text(json.dumps(captions.entries, ensure_ascii=False), encoding='utf-8')
        assert load_annotations(path) == captions.entries
