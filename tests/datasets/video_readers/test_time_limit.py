import os
import signal
import threading
import time

import pytest

from mmclip4clip.datasets.video_readers import (
    ReaderProcess,
    VideoReadError,
    VideoUnavailableError,
    time_limit,
)

from .test_reader_process import process  # noqa: F401  the fixture


def test_a_decoder_that_works_on_for_ever_is_at_fault(process):  # noqa: F811
    with pytest.raises(VideoReadError, match='it took more than 0.3 s') as error:
        process.open('scripted', 'hangs', 0.3, idle_seconds=60).read([0])
    assert not isinstance(error.value, VideoUnavailableError)


def test_one_that_does_nothing_may_wait_for_the_storage(process):  # noqa: F811
    begin = time.monotonic()
    with pytest.raises(VideoUnavailableError, match='it took more than 0.3 s'):
        process.open('scripted', 'hangs on opening', 60, idle_seconds=0.3)
    assert time.monotonic() - begin < 5


def test_a_process_that_does_not_get_to_work_is_waited_for(process, files):  # noqa: F811
    reader = process.open('pyav', str(files['mp4']), 30, idle_seconds=0.2)
    os.kill(process._pid, signal.SIGSTOP)  # as a machine does that gives it no time
    threading.Timer(1.0, os.kill, (process._pid, signal.SIGCONT)).start()
    begin = time.monotonic()
    assert len(reader.read([0, 59])) == 2
    assert time.monotonic() - begin > 0.8


def test_but_not_for_ever(process, files, monkeypatch):  # noqa: F811
    monkeypatch.setattr(time_limit, 'WALL_CLOCK_LIMIT', (0.02, 0.1))
    reader = process.open('pyav', str(files['mp4']), 30, idle_seconds=30)
    os.kill(process._pid, signal.SIGSTOP)
    with pytest.raises(VideoUnavailableError, match='it took more than 0.6 s'):
        reader.read([0])


def test_slow_progress_is_no_sleep(process, monkeypatch):  # noqa: F811
    process.open('scripted', 'slow', 30, idle_seconds=0.25)
    assert process.open('scripted', 'slow', 30, idle_seconds=0.25).read([3])[0].max() == 3


def test_waiting_costs_next_to_nothing(process):  # noqa: F811
    begin = time.process_time()
    with pytest.raises(VideoUnavailableError):
        process.open('scripted', 'hangs on opening', 60, idle_seconds=1.0)
    assert time.process_time() - begin < 0.2


def test_too_many_files_or_processes_are_a_fault_of_the_machine(monkeypatch):
    def full():
        raise OSError(11, 'Resource temporarily unavailable')

    before = len(os.listdir('/proc/self/fd'))
    monkeypatch.setattr(os, 'fork', full)
    with pytest.raises(VideoUnavailableError, match='no process can be started: .* temporarily unavailable'):
        ReaderProcess().open('pyav', 'any.mp4', 1)
    assert len(os.listdir('/proc/self/fd')) == before
