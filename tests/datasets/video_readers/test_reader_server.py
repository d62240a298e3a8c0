"""The reader process, without the :class:`ReaderProcess` that starts it and kills it."""

import os
import resource
import signal
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pytest

from mmclip4clip.datasets.video_readers import VideoReadError, open_reader, reader_server
from mmclip4clip.datasets.video_readers.backends import BACKENDS
from mmclip4clip.datasets.video_readers.forking import fork_without_garbage
from mmclip4clip.datasets.video_readers.reader import VideoReader
from mmclip4clip.datasets.video_readers.reader_server import limit_memory, serve


class Scripted(VideoReader):
    """Does what its file name says; a closed one leaves a mark."""

    num_frames, reported_frames, fps = 5, 5, 1.0

    def __init__(self, filename):
        self.filename = filename

    def read(self, indices):
        if 'bug' in self.filename:
            raise KeyError('a programming error')
        if 'large' in self.filename:
            raise MemoryError
        return super().read(indices)

    def _decode(self, indices):
        if 'bad' in self.filename:
            raise ValueError('no frame decodes')
        return {i: np.full((2, 3, 3), i, np.uint8) for i in indices}

    def close(self):
        Path(f'{self.filename}.closed').touch()


class Server:
    """A fork that answers requests."""

    def __init__(self, parent):
        self.connection, other_end = Pipe()
        self.memory = os.memfd_create('frames')
        self.pid = fork_without_garbage()
        if self.pid == 0:
            status = 1
            try:
                self.connection.close()
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # of the errors that a test expects
                serve(other_end, self.memory, parent)
                status = 0
            except EOFError:
                status = 3
            finally:
                os._exit(status)
        other_end.close()

    def ask(self, *request):
        self.connection.send(request)
        assert self.connection.poll(60)
        return self.connection.recv()

    def end(self) -> int:
        """Hang up and return the exit code, or minus the signal that ended the fork."""
        self.connection.close()
        os.close(self.memory)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setitem(BACKENDS, 'scripted', Scripted)
    return Server(os.getpid())


def in_fork(work) -> bool:
    """Tell whether the work returns true in a fork, whose limits end with it."""
    pid = fork_without_garbage()
    if pid == 0:
        done = False
        try:
            done = work()
        finally:
            os._exit(not done)
    return os.waitpid(pid, 0)[1] == 0


def test_frames_come_through_the_shared_memory(server, files):
    expected = open_reader('pyav', str(files['uneven']))
    num_frames, fps, times, reported, size = server.ask('open', 'pyav', str(files['uneven']), None)
    assert (num_frames, fps, reported) == (expected.num_frames, expected.fps, expected.reported_frames)
    assert size == 3 * 64 * 48
    assert np.array_equal(times, expected.times)
    indices = [7, 0, 7, 59]
    num_frames, places = server.ask('read', indices)
    frames = expected.read(indices)
    for (shape, offset), frame in zip(places, frames):
        assert os.pread(server.memory, frame.nbytes, offset) == frame.tobytes() and shape == frame.shape
    assert num_frames == 60 and places[0] == places[2]
    assert os.fstat(server.memory).st_size == 3 * frames[0].nbytes  # the repeated frame is there once
    assert server.end() == 3


def test_the_size_limit_of_a_video_is_passed_on(server, files):
    server.ask('open', 'pyav', str(files['mp4']), 10)
    answer = server.ask('read', [0])
    assert isinstance(answer, VideoReadError) and 'max_bytes=10' in str(answer)
    server.end()


@pytest.mark.parametrize('name, message', [('bad', 'no frame decodes'), ('large', 'MemoryError')])
def test_a_failed_read_is_answered_and_the_next_video_is_read(server, tmp_path, name, message):
    (tmp_path / name).touch()  # a missing one is an error of the storage
    server.ask('open', 'scripted', str(tmp_path / name), None)
    answer = server.ask('read', [0])
    assert isinstance(answer, VideoReadError) and message in str(answer)
    server.ask('open', 'scripted', str(tmp_path / 'good'), None)
    assert server.ask('read', [4, 1]) == (5, [((2, 3, 3), 0), ((2, 3, 3), 18)])
    assert os.pread(server.memory, 36, 0) == b'\4' * 18 + b'\1' * 18
    assert server.end() == 3


def test_a_programming_error_is_not_reported_as_a_bad_video(server, tmp_path):
    server.ask('open', 'scripted', str(tmp_path / 'bug'), None)
    server.connection.send(('read', [0]))
    answer = server.connection.recv()
    assert isinstance(answer, RuntimeError) and not isinstance(answer, VideoReadError)
    assert server.end() == 3


def test_a_video_is_closed_before_the_next_is_opened(server, tmp_path):
    server.ask('open', 'scripted', str(tmp_path / 'a'), None)
    assert not list(tmp_path.iterdir())
    server.ask('open', 'scripted', str(tmp_path / 'b'), None)
    assert [path.name for path in tmp_path.iterdir()] == ['a.closed']
    server.end()


def test_signals_to_all_processes_of_a_job_do_not_end_it(server, tmp_path):
    server.ask('open', 'scripted', str(tmp_path / 'good'), None)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        os.kill(server.pid, number)
    assert server.ask('read', [0])[0] == 5
    assert server.end() == 3


def test_it_ends_if_its_parent_is_another():
    server = Server(parent=os.getppid())  # as after the death of the one that started it
    assert server.end() == 0


def test_memory_of_a_large_video_is_given_back_by_the_next(monkeypatch):
    monkeypatch.setattr(reader_server, 'KEEP_MEMORY', 100)
    memory, size = os.memfd_create('frames'), os.fstat
    for frame, expected in (
        (np.full((10, 10, 3), 1, np.uint8), 300),
        (np.full((5, 5, 3), 2, np.uint8), 75),  # after truncation
        (np.full((1, 1, 3), 3, np.uint8), 75),  # small enough to keep
    ):
        assert reader_server._write([frame], memory) == [(frame.shape, 0)]
        assert size(memory).st_size == expected
        assert os.pread(memory, frame.nbytes, 0) == frame.tobytes()
    os.close(memory)


def test_frames_with_strides_are_written_as_they_look():
    memory, wide = os.memfd_create('frames'), np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert reader_server._write([wide[:, ::2], wide[::-1]], memory) == [((4, 2, 3), 0), ((4, 4, 3), 24)]
    assert os.pread(memory, 99, 0) == wide[:, ::2].tobytes() + wide[::-1].tobytes()
    os.close(memory)


def test_memory_beyond_the_limit_is_refused():
    def allocate():
        limit_memory(300 * 2**20)
        fits = np.ones(100 * 2**20, np.uint8)
        try:
            np.ones(400 * 2**20, np.uint8)
        except MemoryError:
            return fits[-1] == 1
        return False

    assert in_fork(allocate)


def test_a_lower_limit_of_the_machine_stays():
    def limits():
        resource.setrlimit(resource.RLIMIT_DATA, (2**45, 2**46))
        limit_memory(2**50)
        return resource.getrlimit(resource.RLIMIT_DATA) == (2**46, 2**46)

    assert in_fork(limits)


def test_without_a_size_in_proc_nothing_is_limited(monkeypatch):
    monkeypatch.setattr(Path, 'read_text', lambda self: 'Name:\tpython\n')
    before = resource.getrlimit(resource.RLIMIT_DATA)
    limit_memory(0)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
