"""Windows are read from the tables of a file or from a kept index as from all of its packets."""

import os
import shutil
import subprocess

import numpy as np
import pytest

from mmclip4clip.datasets import DecodeVideo, SampleAtRate, SampleEvenly
from mmclip4clip.datasets.video_readers import VideoReadError, index_cache, open_reader
from mmclip4clip.datasets.video_readers.storage_errors import StoredFile

from ...videos import at_rate, decode_in_order, needs_tables, write_frames

NAMES = (
    'mp4',
    'ntsc',
    'uneven',
    'uneven_mkv',
    'no_count',
    'fragments',
    'open_groups',
    'turned',
    'over',
    'avi',
)


def assert_windows_are_equal(path, count: int, monkeypatch) -> None:
    """Compare random windows with those of an index of all packets that is made anew each time."""
    for seed in range(count):
        rng = np.random.default_rng(seed)
        sampling = SampleEvenly(3) if seed % 2 else SampleAtRate(fps=4, max_frames=5)
        decode = DecodeVideo(sampling, ['pyav'], time_limit=None)
        start = round(rng.uniform(0, 2), int(rng.integers(4)))
        item = dict(filename=str(path), start=start, end=start + rng.uniform(0.01, 1))
        with monkeypatch.context() as patch:
            patch.setattr(index_cache, 'read_sample_table', lambda *args: None)
            patch.setattr(index_cache, 'MAX_FRAMES', 0)
            index_cache.forget_index(str(path))
            expected = outcome(decode, item)
        for _ in range(2):  # of the tables or packets, and of the kept index
            found = outcome(decode, item)
            assert found.keys() == expected.keys()
            for key, value in expected.items():
                assert np.array_equal(found[key], value), (key, item)


def outcome(decode, item) -> dict:
    try:
        return decode(dict(item))
    except VideoReadError as error:
        return dict(error=str(error))


@pytest.mark.parametrize('name', NAMES)
def test_windows_are_the_same_as_with_all_packets(files, name, monkeypatch):
    assert_windows_are_equal(files[name], 6, monkeypatch)


@pytest.mark.long
def test_windows_of_real_clips_are_the_same_as_with_all_packets(clips, monkeypatch):
    for clip in clips:
        assert_windows_are_equal(clip, 6, monkeypatch)


@pytest.mark.parametrize('ending', [pytest.param('mp4', marks=needs_tables), 'mkv'])
def test_a_window_reads_a_small_part_of_the_file(tmp_path, monkeypatch, ending):
    path = write_frames(tmp_path / f'a.{ending}', at_rate(10, 600), b_frames=2)
    sizes, read = [], StoredFile.read

    def counting(self, size):
        content = read(self, size)
        sizes.append(len(content))
        return content

    monkeypatch.setattr(StoredFile, 'read', counting)
    decode = DecodeVideo(SampleAtRate(fps=1), ['pyav'], time_limit=None)
    shares = []
    for _ in range(2):
        sizes.clear()
        decode(dict(filename=str(path), start=40, end=42))
        shares.append(sum(sizes) / path.stat().st_size)
    assert shares[1] < 0.4 and (ending == 'mkv' or shares[0] < 0.4), shares


def test_an_index_is_kept_until_the_file_changes(files, tmp_path):
    path = tmp_path / 'a.mkv'
    shutil.copy(files['no_count'], path)
    with open_reader('pyav', str(path)) as reader:
        assert reader._list.packets and reader.num_frames == 60
    with open_reader('pyav', str(path)) as reader:
        assert not reader._list.packets and reader.num_frames == 60
        frames = reader.read([7, 44])
    expected = decode_in_order(path)
    assert np.array_equal(frames[0], expected[7]) and np.array_equal(frames[1], expected[44])
    write_frames(path, at_rate(30, 20))
    with open_reader('pyav', str(path)) as reader:
        assert reader.num_frames == 20


def test_another_content_of_the_same_size_and_time_is_noticed(tmp_path):
    """As after ``rsync --inplace --times``."""
    seconds = [*at_rate(10, 10), *(2 + at_rate(4, 10))]
    path = write_frames(tmp_path / 'a.mp4', seconds, b_frames=0, use_editlist='0')
    size = path.stat().st_size
    os.utime(path, (1, 1))
    with open_reader('pyav', str(path)) as reader:
        times = reader.times
    content = bytearray(path.read_bytes())
    place = content.index(b'mdhd') + 16
    content[place : place + 4] = (int.from_bytes(content[place : place + 4], 'big') // 2).to_bytes(4, 'big')
    with path.open('r+b') as file:  # half as fast
        file.write(content)
    os.utime(path, (1, 1))
    assert path.stat().st_size == size
    with open_reader('pyav', str(path)) as reader:
        assert np.allclose(reader.times, 2 * times)


def test_a_video_in_a_pipe_is_read_once(tmp_path, monkeypatch):
    path = write_frames(tmp_path / 'a.mp4', at_rate(10, 30), movflags='+faststart')
    expected = decode_in_order(path)
    pipe = tmp_path / 'pipe.mp4'
    os.mkfifo(pipe)
    # To open it again would wait for another writer for ever.
    monkeypatch.setattr(index_cache, 'read_sample_table', None)
    with subprocess.Popen(f'cat {path} > {pipe}', shell=True), open_reader('pyav', str(pipe)) as reader:
        assert np.array_equal(reader.read([13])[0], expected[13])
    assert () not in index_cache._INDICES


def test_only_a_few_indices_are_kept(files, tmp_path):
    for number in range(index_cache.MAX_FILES + 2):
        path = tmp_path / f'{number}.mp4'
        os.link(files['mp4'], path)
        open_reader('pyav', str(path)).close()
    assert len(index_cache._INDICES) == index_cache.MAX_FILES


@needs_tables
def test_a_table_that_lists_other_packets_is_an_error_of_the_video(files):
    with open_reader('pyav', str(files['mp4'])) as reader:
        reader._list.stamps = [stamp + 1 for stamp in reader._list.stamps]
        reader._list.order = reader._list.order + 1
        with pytest.raises(VideoReadError, match='its tables list 60 frames, at other times than the 60'):
            reader.read([33])
    with open_reader('pyav', str(files['mp4'])) as reader:  # read from the file, not kept
        assert np.array_equal(reader.read([33])[0], decode_in_order(files['mp4'])[33])
