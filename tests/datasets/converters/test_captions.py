import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmclip4clip.datasets.converters.captions import Captions, count


def test_captions_are_gathered_by_video_and_window_in_order_of_appearance():
    captions = Captions()
    for row in (('b', 'one'), ('a', 'two', 0, 5), ('b', 'three'), ('a', 'four', 5, 9), ('a', 'five', 0, 5)):
        captions.add(*row)
    assert captions.entries == [
        dict(video='b', captions=['one', 'three']),
        dict(video='a', captions=['two', 'five'], start=0, end=5),
        dict(video='a', captions=['four'], start=5, end=9)]
    assert count(captions.entries) == (2, 5)  # a and b


def test_white_space_is_evened_out_and_equal_captions_are_kept():
    captions = Captions()
    captions.add('a', '  a  dog\nruns ')
    captions.add('a', 'a dog runs')
    assert captions.entries == [dict(video='a', captions=['a dog runs', 'a dog runs'])]


@pytest.mark.parametrize('row, reason', [
    (('v', ' \t'), 'no text'),
    (('v', None), 'no text'),
    (('v', math.nan), 'no text'),
    (('v', 'x', -1, 2), 'times that are not seconds from 0 on'),
    (('v', 'x', math.nan, 2), 'times that are not seconds from 0 on'),
    (('v', 'x', 0, math.inf), 'times that are not seconds from 0 on'),
    (('v', 'x', 2, 2), 'a start that is not before the end'),
])
def test_what_cannot_be_used_is_left_out_and_noted(row, reason):
    captions = Captions()
    captions.add(*row)
    assert captions.entries == [] and list(captions.skipped) == [reason]
    assert captions.skipped[reason][0].split()[0] == 'v'


def test_a_video_in_two_groups_is_refused():
    captions = Captions()
    captions.add('a', 'x', group='g')
    with pytest.raises(ValueError, match="a is put into the group 'h' and into 'g'"):
        captions.add('a', 'y', group='h')


@given(st.lists(st.tuples(
    st.sampled_from('abc'), st.text(max_size=3), st.integers(-1, 3), st.integers(-1, 3))))
def test_every_caption_is_either_kept_or_noted(rows):
    captions = Captions()
    for row in rows:
        captions.add(*row)
    kept = sum(len(e['captions']) for e in captions.entries)
    assert kept + sum(map(len, captions.skipped.values())) == len(rows)
    assert all(0 <= e['start'] < e['end'] for e in captions.entries)
