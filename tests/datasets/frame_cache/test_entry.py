import json
import os

import numpy as np
import pytest

from mmclip4clip.datasets.frame_cache.entry import (
    HEADER,
    DamagedEntryError,
    from_json,
    pack_entry,
    read_entry,
    to_json,
)

KEY = '0123456789abcdef' * 4
FRAMES = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
INFO = dict(
    fps=29.97, img_shape=(3, 4), frame_inds=np.array([0, 5], np.int32), backend='pyav', lazy=dict(a=[1])
)


@pytest.fixture
def entry(tmp_path):
    path = tmp_path / 'entry'
    path.write_bytes(b''.join(pack_entry(KEY, INFO, FRAMES)))
    return path


def test_what_is_packed_comes_back(entry):
    info, frames = read_entry(entry, KEY)
    np.testing.assert_array_equal(frames, FRAMES)
    np.testing.assert_array_equal(info.pop('frame_inds'), INFO['frame_inds'])
    assert info == {key: value for key, value in INFO.items() if key != 'frame_inds'}
    frames[:] = 0
    assert read_entry(entry, KEY)[1].any()


def test_a_bit_of_every_byte_counts(entry):
    whole = entry.read_bytes()
    for place in range(len(whole)):
        entry.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        with pytest.raises(DamagedEntryError):
            read_entry(entry, KEY)


def test_every_shorter_file_is_damaged(entry):
    whole = entry.read_bytes()
    for length in range(len(whole)):
        entry.write_bytes(whole[:length])
        with pytest.raises(DamagedEntryError, match='ends too early|bytes, its header says'):
            read_entry(entry, KEY)


def test_the_entry_of_another_key_is_refused(entry):
    with pytest.raises(DamagedEntryError, match='written for another video'):
        read_entry(entry, 'f' * 64)


def test_a_header_that_promises_much_asks_for_no_memory(entry):
    content = bytearray(entry.read_bytes())
    content[HEADER - 8 : HEADER] = (2**62).to_bytes(8, 'little')
    entry.write_bytes(content)
    with pytest.raises(DamagedEntryError, match='its header says 4611686018427'):
        read_entry(entry, KEY)


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    with pytest.raises(DamagedEntryError, match='not a file'):
        read_entry(tmp_path / 'pipe', KEY)
    with pytest.raises(IsADirectoryError):
        read_entry(tmp_path, KEY)


@pytest.mark.parametrize(
    'said',
    [
        dict(shape=[3]),
        dict(shape=[2, 3, 4, 3], info=[]),
        dict(shape=[-2, -36], info=dict(dict=[])),
        dict(shape='ab', info=dict(dict=[])),
        dict(shape=[72], info=dict(array=[1, 2])),
        [],
        dict(shape=[72], info=dict(dict=[['a', dict(array=['<i4', [1], [10**400]])]])),
    ],
)
def test_a_checksum_does_not_excuse_what_makes_no_sense(entry, monkeypatch, said):
    said = json.dumps(said)
    with monkeypatch.context() as patch:
        patch.setattr(json, 'dumps', lambda value: said)
        entry.write_bytes(b''.join(pack_entry(KEY, INFO, FRAMES)))
    with pytest.raises(DamagedEntryError, match='its metadata cannot be used'):
        read_entry(entry, KEY)


@pytest.mark.parametrize(
    'value', [None, True, 1, 0.1, float('inf'), 'ä', (), (1, (2, [3])), {'a': (1,)}, [{'b': None}]]
)
def test_plain_values_keep_their_types(value):
    assert from_json(to_json(value)) == value and type(from_json(to_json(value))) is type(value)


@pytest.mark.parametrize('value', [object(), np.array(['a']), [np.array([None])], {'a': b'x'}])
def test_other_values_are_refused(value):
    with pytest.raises(TypeError, match='cannot keep a'):
        to_json(value)
