import gc
import os
import signal

import pytest

from mmclip4clip.datasets import first_frames
from mmclip4clip.datasets.video_readers import ReaderProcess, reader_server


class WaitsForThreads:
    """Garbage of this process, which hangs if a fork collects it, as decord's readers do."""

    def __init__(self):
        self.itself, self.pid = self, os.getpid()

    def __del__(self):
        if os.getpid() != self.pid:
            signal.pause()


@pytest.fixture
def garbage():
    gc.collect()
    gc.disable()
    WaitsForThreads()
    yield
    gc.enable()
    gc.collect()


def collecting(function):
    def collect_and_call(*args):
        gc.collect()
        return function(*args)

    return collect_and_call


def test_a_reader_process_does_not_wait_for_garbage_of_its_parent(garbage, files, monkeypatch):
    monkeypatch.setattr(reader_server, 'open_reader', collecting(reader_server.open_reader))
    process = ReaderProcess()
    assert process.open('pyav', str(files['mp4']), 60, 5).num_frames == 60
    process.close()


def test_opening_many_videos_does_not_wait_for_garbage_of_the_parent(garbage, files, monkeypatch):
    monkeypatch.setattr(first_frames, 'decode_first_frame', collecting(first_frames.decode_first_frame))
    found = first_frames.probe_videos([str(files['mp4'])], processes=1, time_limit=5)
    assert found[str(files['mp4'])].error is None
