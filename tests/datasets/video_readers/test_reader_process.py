import faulthandler
import gc
import os
import pickle
import signal
import sys
import time

import numpy as np
import pytest

from mmclip4clip.datasets.video_readers import (
    ReaderProcess,
    VideoReadError,
    VideoUnavailableError,
    open_reader,
    reader_process,
    reader_server,
)
from mmclip4clip.datasets.video_readers.backends import BACKENDS
from mmclip4clip.datasets.video_readers.forking import fork_without_garbage
from mmclip4clip.datasets.video_readers.reader import VideoReader


class Scripted(VideoReader):
    """Does what the name of its file says."""

    num_frames, reported_frames, fps = 5, 5, 1.0

    def __init__(self, filename):
        if filename == 'hangs on opening':
            signal.pause()
        self.filename = filename

    def _decode(self, indices):
        if self.filename == 'hangs':
            while True:  # as a C library would: deaf to everything but a kill
                signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        if self.filename == 'slow':
            for _ in range(20):
                time.sleep(0.05)
        if self.filename == 'greedy':
            return {i: np.zeros((2**30, 2, 3), np.uint8) for i in indices}
        if self.filename in ('crashes', 'is killed'):
            faulthandler.disable()
            os.kill(os.getpid(), signal.SIGKILL if self.filename == 'is killed' else signal.SIGSEGV)
        if self.filename == 'exits':
            os._exit(7)
        return {i: np.full((2, 3, 3), i, np.uint8) for i in indices}


@pytest.fixture
def process(monkeypatch):
    monkeypatch.setitem(BACKENDS, 'scripted', Scripted)
    process = ReaderProcess()
    yield process
    process.close()


def test_the_child_gives_what_the_reader_gives(process, files):
    for name in ('mp4', 'uneven', 'over'):
        here = open_reader('pyav', str(files[name]))
        there = process.open('pyav', str(files[name]), 30)
        assert (here.num_frames, here.fps) == (there.num_frames, there.fps)
        assert np.array_equal(here.times, there.times) if name == 'uneven' else there.times is None
        for indices in ([3, 9, 44], [59, 60, 61]):
            assert all(map(np.array_equal, here.read(indices), there.read(indices)))
        assert here.num_frames == there.num_frames


@pytest.mark.parametrize('name', ['hangs', 'hangs on opening'])
def test_a_decoder_that_hangs_is_killed_in_time_and_the_next_video_is_read(process, name):
    process.open('scripted', 'fine', 30).read([0])
    pid, begin = process._pid, time.monotonic()
    with pytest.raises(VideoReadError, match='it took more than 0.3 s and was given up'):
        process.open('scripted', name, 0.3).read([0])
    assert time.monotonic() - begin < 60  # a loaded machine may take long for 0.3 s of work
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert process.open('scripted', 'fine', 30).read([4])[0].max() == 4


@pytest.mark.parametrize('name, how', [('crashes', 'signal 11, SIGSEGV'), ('exits', 'exit code 7')])
def test_a_decoder_that_crashes_costs_its_video_only(process, name, how):
    with pytest.raises(VideoReadError, match=f'the decoder crashed .{how}'):
        process.open('scripted', name, 30).read([0])
    assert process.open('scripted', 'fine', 30).read([4])[0].max() == 4


def test_a_child_that_the_system_kills_says_nothing_of_the_video(process):
    with pytest.raises(VideoUnavailableError, match='the decoder was killed .signal 9, SIGKILL'):
        process.open('scripted', 'is killed', 30).read([0])
    assert process.open('scripted', 'fine', 30).read([4])[0].max() == 4


def test_a_fault_of_a_reader_is_no_fault_of_the_video(process, monkeypatch):
    monkeypatch.setattr(reader_server, '_write', lambda frames, memory: frames[len(frames)])
    with pytest.raises(RuntimeError, match='the reader failed: IndexError') as error:
        process.open('scripted', 'fine', 30).read([0])
    assert not isinstance(error.value, VideoReadError)


def test_no_space_for_frames_is_no_fault_of_the_video(process, monkeypatch):
    def full(*args):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(reader_server.os, 'pwrite', full)
    with pytest.raises(VideoUnavailableError, match='its frames cannot be passed on: .*No space left'):
        process.open('scripted', 'fine', 30).read([0])


def test_a_child_that_died_between_two_videos_is_replaced(process):
    process.open('scripted', 'fine', 30)
    os.kill(process._pid, signal.SIGKILL)
    os.waitid(os.P_PID, process._pid, os.WEXITED | os.WNOWAIT)
    assert process.open('scripted', 'fine', 30).read([1])[0].max() == 1


def test_errors_of_a_video_keep_their_kind_and_the_child(process, tmp_path):
    process.open('scripted', 'fine', 30)
    pid = process._pid
    with pytest.raises(VideoReadError, match='Error'):
        process.open('pyav', str(tmp_path / 'none.mp4'), 30)
    assert process._pid == pid


def test_a_decoder_that_takes_all_memory_is_refused_it(monkeypatch):
    monkeypatch.setitem(BACKENDS, 'scripted', Scripted)
    process = ReaderProcess(max_bytes=2**20)
    with pytest.raises(VideoReadError, match='MemoryError'):
        process.open('scripted', 'greedy', 30).read([0])
    assert process.open('scripted', 'fine', 30).read([4])[0].max() == 4
    process.close()


def test_the_child_is_renewed_now_and_then(process, monkeypatch):
    monkeypatch.setattr(reader_process, 'RENEW_AFTER', 2)
    pids = []
    for _ in range(5):
        process.open('scripted', 'fine', 30).read([0])
        pids.append(process._pid)
    assert [pid == before for pid, before in zip(pids[1:], pids)] == [True, False, True, False]


def test_a_forked_or_unpickled_process_gets_a_child_of_its_own(process):
    process.open('scripted', 'fine', 30)
    copy = pickle.loads(pickle.dumps(process))
    assert copy.open('scripted', 'fine', 30).read([2])[0].max() == 2
    assert copy._pid != process._pid
    copy.close()
    pid = fork_without_garbage()
    if pid == 0:
        same_process = False
        try:
            same_process = (
                process.open('scripted', 'fine', 30).read([3])[0].max() == 3
                and process._parent_pid == os.getpid()
            )
            process.close()
        finally:  # an error must not let the fork go on with the tests
            os._exit(0 if same_process else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert process.open('scripted', 'fine', 30).read([1])[0].max() == 1


def test_the_child_ends_with_its_parent(files):
    read, write = os.pipe()
    pid = fork_without_garbage()
    if pid == 0:
        try:
            process = ReaderProcess()
            process.open('pyav', str(files['mp4']), 30)
            os.write(write, str(process._pid).encode())
            os.kill(os.getpid(), signal.SIGKILL)
        except BaseException as error:  # an error must not let the fork go on with the tests
            os.write(write, repr(error).encode())
        finally:
            os._exit(1)
    os.close(write)
    os.waitpid(pid, 0)
    written = os.read(read, 1000).decode()
    assert written.isdigit(), written
    grandchild = int(written)
    for _ in range(100):
        if not os.path.exists(f'/proc/{grandchild}') or 'Z' in open_stat(grandchild):
            break
        time.sleep(0.02)
    else:
        pytest.fail('the child outlived its parent')
    os.close(read)


def open_stat(pid) -> str:
    with open(f'/proc/{pid}/stat') as file:
        return file.read().split(')')[1]


def test_nothing_is_closed_twice_where_rubbish_is_found_in_any_order(process, monkeypatch):
    process.open('scripted', 'fine', 30)
    younger = ReaderProcess.__new__(ReaderProcess)  # so that the collector meets its connection before it
    younger.__dict__.update(process.__dict__)
    younger.cycle, process._pid = younger, None
    failed = []
    monkeypatch.setattr(sys, 'unraisablehook', failed.append)
    del younger
    process._connection = None
    gc.collect()
    assert not failed
    assert process.open('scripted', 'fine', 30).read([3])[0].max() == 3
