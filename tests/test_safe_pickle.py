import copy
import io
import pickle
import resource

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as npst

from mmclip4clip.safe_pickle import PlainArray, PlainDtype, PlainUnpickler, scalar


def reread(value):
    return PlainUnpickler(io.BytesIO(pickle.dumps(value, protocol=4))).load()


KINDS = (
    npst.floating_dtypes(sizes=(16, 32, 64), endianness='<')
    | npst.boolean_dtypes()
    | npst.integer_dtypes(endianness='<')
    | npst.unicode_string_dtypes(endianness='<')
)


@given(npst.arrays(KINDS, npst.array_shapes(min_dims=0, min_side=0)))
def test_plain_arrays_come_back(array):
    again = reread(array)
    assert again.dtype == array.dtype and again.shape == array.shape
    assert again.tobytes() == array.tobytes()


def test_fortran_order_and_scalars_come_back():
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    assert np.array_equal(reread(array), array)
    assert reread(np.float64(2.5)) == 2.5 and reread(np.int32(-3)) == -3


def test_an_array_read_this_way_is_saved_as_an_ordinary_one():
    again = reread(np.arange(3.0))
    assert type(pickle.loads(pickle.dumps(again))) is np.ndarray
    assert np.array_equal(copy.deepcopy(again), [0, 1, 2])


@pytest.mark.parametrize(
    'value',
    [
        np.array([None]),
        np.zeros(1, [('a', 'f8')]),
        np.array([b'x']),
        np.zeros(1, 'c16'),
        np.zeros(1, 'M8[s]'),
        np.zeros(1, '>f8'),
    ],
)
def test_anything_else_is_refused(value):
    with pytest.raises(pickle.UnpicklingError):
        reread(value)


@pytest.mark.parametrize(
    'state',
    [
        (3, '<', None, ('a',), {'a': (PlainDtype('f8'), 0)}, -1, -1, 0),  # fields over plain bytes
        (3, '>', None, None, None, -1, -1, 0),
        (3, '<', (PlainDtype('f8'), (2,)), None, None, -1, -1, 0),
        (),
        5,
    ],
)
def test_a_dtype_cannot_be_forged_into_another(state):
    with pytest.raises(pickle.UnpicklingError):
        PlainDtype('f8').__setstate__(state)


@pytest.mark.parametrize(
    'state',
    [
        (1, (2,), PlainDtype('f8'), False, b'1234567'),
        (1, (-1,), PlainDtype('f8'), False, b''),
        (1, (1,), np.dtype('O'), False, b'12345678'),
        (1, (1,), PlainDtype('f8'), False, [None]),
        (1, [1], PlainDtype('f8'), False, b'12345678'),
    ],
)
def test_bytes_that_do_not_fit_are_refused(state):
    with pytest.raises(pickle.UnpicklingError):
        PlainArray().__setstate__(state)


def test_arrays_cannot_be_made_over_foreign_memory():
    with pytest.raises(TypeError):
        PlainArray.__new__(PlainArray, (1,), 'O', b'12345678')
    with pytest.raises(pickle.UnpicklingError):
        scalar(PlainDtype('f8'), b'1')
    with pytest.raises(pickle.UnpicklingError):
        scalar(np.dtype('O'), b'12345678')


@pytest.mark.parametrize('value', [print, io.BytesIO, pickle.PickleError()])
def test_every_name_but_those_of_plain_arrays_is_refused(value):
    with pytest.raises(pickle.UnpicklingError, match='the file asks for '):
        reread([value])


@pytest.mark.parametrize(
    'pickled',
    [
        b'\x80\x04Nr\xff\xff\xff\x3f.',  # one object, remembered as number 2**30 - 1: 16 GiB of room
        b'Np99999999999\n.',
        b'\x80\x04\x8e\x00\x00\x00\x00\x40\x00\x00\x00abc.',  # 3 bytes that claim to be 256 GiB
        b'\x80\x05\x96\x00\x00\x00\x00\x40\x00\x00\x00abc.',
        b'\x80\x04\x95\x00\x00\x00\x00\x40\x00\x00\x00N.',
    ],
)
def test_a_pickle_gets_no_more_memory_than_it_has_bytes(pickled):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises((pickle.UnpicklingError, ValueError)):
        PlainUnpickler(io.BytesIO(pickled)).load()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**16  # KiB, that is 64 MiB
