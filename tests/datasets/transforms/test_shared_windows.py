import random

import numpy as np
import pytest

from mmclip4clip.datasets import CacheFrames, DecodeVideo
from mmclip4clip.datasets.transforms.shared_windows import SharedWindows, share_windows
from mmclip4clip.datasets.video_readers import VideoReadError
from mmclip4clip.datasets.video_readers.pyav_reader import PyAVReader

from ...videos import damage, decode_in_order

RATE = dict(type='SampleAtRate', fps=4, max_frames=6)
WINDOWS = [
    (0, 1),
    (0.5, 1.5),
    (None, None),
    (7, 9),
    (1.2, 1.9),
    (1.9, None),
]  # of videos of 2 seconds or more
KINDS = [
    'mp4',
    'avi',
    'avi_b_frames',
    'open_groups',
    'uneven_mkv',
    'fragments',
    'over',
    'cut',
    'turned',
    'one',
]


def items_of(path, windows=WINDOWS) -> list[dict]:
    return [dict(filename=str(path), start=start, end=end) for start, end in windows]


def decode_all(decode, items) -> list:
    """Decode one after another; the message of an error in place of what cannot be read."""
    found = []
    for item in items:
        try:
            found.append(decode(dict(item)))
        except VideoReadError as error:
            found.append(f'{type(error).__name__} {error}')
    return found


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert type(one) is type(other), (one, other)
        if isinstance(one, str):
            assert one == other
            continue
        assert one.keys() == other.keys()
        assert len(one['imgs']) == len(other['imgs'])
        assert all(np.array_equal(one[key], other[key]) for key in one)


@pytest.fixture
def converted(monkeypatch) -> list:
    """Names of the files of all frames that PyAV converts in this process."""
    names, convert = [], PyAVReader._convert
    record = lambda self, frame: names.append(self._filename) or convert(self, frame)  # noqa: E731
    monkeypatch.setattr(PyAVReader, '_convert', record)
    return names


@pytest.mark.parametrize('name', KINDS)
def test_items_are_the_same_as_without_sharing(files, name):
    decode = DecodeVideo(RATE, ['pyav', 'opencv'], time_limit=None)
    items = items_of(files[name])
    expected = decode_all(decode, items)
    with share_windows(decode, items):
        assert_same(decode_all(decode, items), expected)
    assert decode.shared_windows is None


@pytest.mark.parametrize(
    'name, packets', [('mp4', [10]), ('mp4', [14, 15]), ('avi_mpeg4', [31]), ('avi', [5])]
)
def test_damage_is_reported_as_without_sharing(files, tmp_path, name, packets):
    path = damage(files[name], tmp_path / f'v{files[name].suffix}', packets)
    test_items_are_the_same_as_without_sharing({name: path}, name)


def test_a_reader_tells_damage(files, tmp_path):
    path = damage(files['mp4'], tmp_path / 'v.mp4', [14, 15])
    with PyAVReader(str(files['mp4'])) as intact, PyAVReader(str(path)) as damaged:
        assert len(intact.read_undamaged(range(60))) == 60
        assert damaged.read_undamaged(range(60)) == [] and len(damaged.read_undamaged(range(10))) == 10


@pytest.mark.parametrize('name', ['mp4', 'avi_b_frames'])
def test_each_frame_is_converted_once(files, converted, name):
    decode, frames = DecodeVideo(RATE, time_limit=None), decode_in_order(files[name])
    items = items_of(files[name], [(0, 1), (0.5, 1.5), (1, 2)])  # of 4, 5 and 4 frames
    with share_windows(decode, items):
        found = decode_all(decode, items)
    indices = [index for item in found for index in item['frame_inds'].tolist()]
    assert len(converted) == len(set(indices)) < len(indices)
    shown = [img for item in found for img in item['imgs']]
    assert all(np.array_equal(img, frames[index]) for img, index in zip(shown, indices))
    assert len(set(map(id, shown))) == len(shown)  # later transforms may work in place


def test_memory_is_bounded(files, converted):
    decode = DecodeVideo(dict(type='SampleEvenly', num_frames=4), time_limit=None)
    items = items_of(files['mp4'], [(0, 0.5), (0.5, 1), (1, 1.5), (1.5, 2)])
    expected = decode_all(decode, items)
    sizes = []
    decode.shared_windows = SharedWindows(decode, items, max_bytes=9 * 48 * 64 * 3)  # two windows of 4 frames
    for item, alone in zip(items, expected):
        assert_same([decode(dict(item))], [alone])
        sizes.append(len(decode.shared_windows._open.frames))
    assert sizes == [8, 8, 8, 8] and len(converted) == 32
    decode.shared_windows = SharedWindows(decode, items, max_bytes=7 * 48 * 64 * 3)
    assert_same(decode_all(decode, items), expected)
    assert decode.shared_windows._open is None


def test_random_samplers_draw_as_without_sharing(files, converted):
    class Draw:
        def __call__(self, results):
            draws = [random.randrange(60), np.random.randint(60), np.random.randint(60)]
            return dict(results, frame_inds=np.array(draws), clip_len=3)

    decode, items = (
        DecodeVideo(Draw(), time_limit=None),
        items_of(files['mp4'], [(None, None), (0, 2), (0, 1)]),
    )

    def seeded():
        random.seed(0)
        np.random.seed(0)
        return decode_all(decode, items)

    expected = seeded()
    with share_windows(decode, items):
        assert_same(seeded(), expected)


def test_a_fault_of_a_sampler_remains_an_error_of_the_run(files):
    def sample(results):
        raise KeyError('bug')

    decode, items = DecodeVideo(sample, time_limit=None), items_of(files['mp4'])
    with share_windows(decode, items), pytest.raises(RuntimeError, match='sampling the frames of .*bug'):
        decode(items[0])


def test_other_files_and_windows_are_decoded_as_usual(files, converted):
    decode = DecodeVideo(RATE, time_limit=None)
    with share_windows(decode, items_of(files['mp4'], [(0, 1), (0.5, 1)])):
        other = items_of(files['avi'], [(0, 1)]) + items_of(files['mp4'], [(0.25, 1)])
        found = decode_all(decode, other)
    assert_same(found, decode_all(decode, other))
    with share_windows(decode, items_of(files['mp4'], [(0, 1)]) + items_of(files['avi'], [(0, 1)])):
        assert decode.shared_windows is None


@pytest.mark.skipif('sys.platform != "linux"', reason='needs a reader process')
def test_windows_are_shared_within_the_limit_of_time(files, monkeypatch):
    decode, items = DecodeVideo(RATE, time_limit=30), items_of(files['mp4'])
    expected, opened, original = decode_all(decode, items), [], decode.open
    monkeypatch.setattr(decode, 'open', lambda *args: opened.append(args[0]) or original(*args))
    with share_windows(decode, items):
        assert_same(decode_all(decode, items), expected)
    assert opened.count('pyav') == 2  # again for the window after the end


def test_a_cache_stores_shared_frames(files, tmp_path, monkeypatch):
    steps = [dict(type='mmaction.DecodeVideo', sampling=RATE, time_limit=None)]
    cache = CacheFrames(steps, folder=str(tmp_path / 'cache'))
    (decode,), items = cache.transforms.transforms, items_of(files['mp4'], [(0, 1), (0.5, 1.5)])
    expected = decode_all(DecodeVideo(RATE, time_limit=None), items)
    with share_windows(decode, items):
        found = decode_all(cache, items)
    monkeypatch.setattr(decode, 'open', None)
    for turn in found, decode_all(cache, items):
        for one, alone in zip(turn, expected, strict=True):
            assert np.array_equal(one['imgs'], alone['imgs'])
