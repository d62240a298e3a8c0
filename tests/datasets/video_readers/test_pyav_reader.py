import numpy as np

from mmclip4clip.datasets.video_readers import PyAVReader, packet_index
from mmclip4clip.datasets.video_readers.index_cache import forget_index
from mmclip4clip.datasets.video_readers.packet_spans import plan_spans

from ...videos import damage, decode_in_order


def test_a_run_begins_at_the_last_key_frame_that_is_shown_no_later():
    #        K        K           K
    stamps = [0, 1, 2, 3, 4, 5, 6, 7, 8]
    keys = [0, 3, 7]
    assert plan_spans(stamps, keys, [5]) == [[3, 5]]
    assert plan_spans(stamps, keys, [3]) == [[3, 3]]
    assert plan_spans(stamps, keys, [1, 8]) == [[0, 1], [7, 8]]
    assert plan_spans(stamps, keys, [4, 6, 7]) == [[3, 7]]  # adjoining runs are one


def test_what_is_shown_before_a_key_frame_is_not_decoded_from_it():
    stamps = [0, 1, 4, 2, 3, 5]  # 2 and 3 come after the key frame 4 in the file
    assert plan_spans(stamps, [0, 2], [3]) == [[0, 4]]
    assert plan_spans(stamps, [0, 2], [4]) == [[2, 2]]
    assert plan_spans([None, 0, 1], [0], [1]) == [[0, 2]]  # the key frame itself is never shown


def count_decoded(path, indices, monkeypatch) -> tuple:
    """Read frames and return them and how many frames the decoder put out for it."""
    reader, count = PyAVReader(str(path)), [0]
    for name in ('_frames_of_spans', '_frames_in_order'):

        def counting(*args, original=name):
            for frame in getattr(PyAVReader, original)(reader, *args):
                count[0] += 1
                yield frame

        monkeypatch.setattr(reader, name, counting)
    return reader.read(indices), count[0]


def test_only_what_is_needed_is_decoded(files, monkeypatch):
    expected = decode_in_order(files['mp4'])
    frames, count = count_decoded(files['mp4'], [0, 50], monkeypatch)
    assert count == 2  # two key frames of 60 frames
    frames, count = count_decoded(files['mp4'], [7, 27], monkeypatch)
    assert np.array_equal(frames[0], expected[7]) and np.array_equal(frames[1], expected[27])
    assert count < 16  # of each group no more than 8, and fewer where B-frames are left out
    assert count_decoded(files['avi_b_frames'], [7, 27], monkeypatch)[1] == 28  # in order


def test_packets_beyond_the_memory_are_read_again(files, monkeypatch):
    monkeypatch.setattr(packet_index, 'MAX_PACKET_BYTES', 2000)
    for name in ('mp4', 'no_count', 'fragments', 'avi'):
        expected = decode_in_order(files[name])
        forget_index(str(files[name]))
        reader = PyAVReader(str(files[name]))
        for indices in ([3, 44], [59]):
            assert all(map(np.array_equal, reader.read(indices), [expected[i] for i in indices]))


def test_a_file_that_is_not_as_it_seems_is_decoded_in_order(files):
    expected = decode_in_order(files['no_count'])
    forget_index(str(files['no_count']))
    reader = PyAVReader(str(files['no_count']))
    reader._list.stamps = [s + 1 for s in reader._list.stamps]  # none of them turns up
    reader._list.order = reader._list.order + 1
    assert np.array_equal(reader.read([33])[0], expected[33])


def test_a_damaged_video_can_be_read_again(files, tmp_path):
    path = damage(files['mp4'], tmp_path / 'a.mp4', range(36, 39))
    expected = decode_in_order(path)
    reader = PyAVReader(str(path))
    for _ in range(2):
        assert all(map(np.array_equal, reader.read(range(57)), expected)) and len(expected) == 57
