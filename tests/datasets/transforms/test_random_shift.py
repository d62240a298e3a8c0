import cv2
import numpy as np
import pytest

from mmclip4clip.datasets import RandomShift


@pytest.fixture
def clip():
    return list(np.random.default_rng(0).integers(0, 256, (3, 9, 11, 3), np.uint8))


def test_every_shift_comes_and_all_frames_move_alike(clip):
    np.random.seed(0)
    # OpenCV's picture of each shift: pixels from outside are mirrored, the outermost not repeated.
    framed = np.stack([cv2.copyMakeBorder(img, 2, 2, 2, 2, cv2.BORDER_REFLECT_101) for img in clip])
    expected = {framed[:, y : y + 9, x : x + 11].tobytes() for y in range(5) for x in range(5)}
    moved = [np.stack(RandomShift(2)(dict(imgs=clip))['imgs']) for _ in range(300)]
    assert {frames.tobytes() for frames in moved} == expected and len(expected) == 25
    assert moved[0].shape == (3, 9, 11, 3) and moved[0].dtype == np.uint8


def test_no_pixels_leave_the_clip_as_it_is_and_an_array_is_as_good_as_a_list(clip):
    assert np.array_equal(RandomShift(0)(dict(imgs=np.stack(clip)))['imgs'], clip)


def test_the_seed_decides_and_the_input_stays(clip):
    before, moved = np.copy(clip), []
    for _ in range(2):
        np.random.seed(7)
        moved.append([RandomShift(4)(dict(imgs=clip, filename='v'))['imgs'] for _ in range(5)])
    assert np.array_equal(*moved) and np.array_equal(before, clip)


@pytest.mark.parametrize('shape', [(2, 3, 9, 9), (9, 9, 3), (2, 4, 9, 3), (0, 9, 9, 3)])
def test_frames_of_another_form_or_too_small_are_refused(shape):
    with pytest.raises(ValueError, match=r'v.mp4: expected imgs of \(T, H, W, 3\), .*pixels=4.*FormatShape'):
        RandomShift(4)(dict(imgs=np.zeros(shape, np.uint8), filename='v.mp4'))


def test_frames_of_different_sizes_are_refused():
    frames = [np.zeros((9, width, 3), np.uint8) for width in (9, 8)]
    with pytest.raises(ValueError, match=r'v.mp4: .* one size.* got frames of \[\(9, 8, 3\), \(9, 9, 3\)\]'):
        RandomShift(4)(dict(imgs=frames, filename='v.mp4'))


@pytest.mark.parametrize('pixels', [-1, 1.5, True, None])
def test_pixels_must_be_a_natural_number(pixels):
    with pytest.raises(ValueError, match='pixels must be an integer from 0 up, got'):
        RandomShift(pixels)


def test_it_says_what_it_is():
    assert repr(RandomShift(6)) == 'RandomShift(pixels=6)'
