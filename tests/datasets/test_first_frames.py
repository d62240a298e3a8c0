import os
import signal
import time

import pytest

from mmclip4clip.datasets import first_frames as module
from mmclip4clip.datasets.first_frames import decode_first_frame, probe_videos

from ..videos import write_no_frames, write_picture, write_sound


def test_sound_files_open_and_say_how_long_they_last(files):
    found = probe_videos([str(path) for path in files.values()], processes=2)
    assert {path for path, opening in found.items() if opening.error} <= {str(files['cut'])}
    assert found[str(files['mp4'])].seconds == pytest.approx(2, abs=0.1) and len(found) == len(files)


@pytest.mark.parametrize(
    'make',
    [
        write_sound,
        write_picture,
        write_no_frames,
        lambda path: path.touch(),
        lambda path: path.mkdir(),
        lambda path: path.write_bytes(b'x' * 1000),
        lambda path: path.symlink_to('nowhere'),
    ],
    ids=['sound', 'picture', 'no frames', 'empty', 'folder', 'noise', 'gone'],
)
def test_what_is_no_video_is_found(tmp_path, make):
    make(tmp_path / 'v.mp4')
    assert probe_videos([str(tmp_path / 'v.mp4')])[str(tmp_path / 'v.mp4')].error


def test_what_comes_after_the_first_frames_is_not_read(files):
    """The index stands in front of the frames, of which four tenths are missing."""
    assert decode_first_frame(str(files['over'])) == pytest.approx(2, abs=0.1)


def test_hangs_and_crashes_cost_their_own_file_alone(files, monkeypatch):
    def odd(filename):
        if 'hang' in filename:
            time.sleep(100)
        if 'crash' in filename:
            os.kill(os.getpid(), signal.SIGKILL)
        return decode_first_frame(filename)

    monkeypatch.setattr(module, 'decode_first_frame', odd)
    names = ['hang1', 'crash1', str(files['mp4']), 'hang2', 'crash2', str(files['avi'])]
    found = probe_videos(names, processes=2, time_limit=1)
    assert list(found) != names and set(found) == set(names)
    assert 'did not come within 1 s' in found['hang1'].error and 'did not come' in found['hang2'].error
    assert 'crashed (exit code -9)' in found['crash1'].error and 'crashed' in found['crash2'].error
    assert found[str(files['mp4'])].error is None and found[str(files['avi'])].error is None


def test_a_storage_that_hangs_ends_the_check_in_time(monkeypatch):
    monkeypatch.setattr(module, 'decode_first_frame', lambda filename: time.sleep(100))
    begin = time.monotonic()
    found = probe_videos(map(str, range(100)), processes=2, time_limit=0.2, total_time=0.5)
    assert 1 <= len(found) < 20 and time.monotonic() - begin < 60


def test_nothing_is_opened_for_nothing(monkeypatch):
    monkeypatch.setattr(module, '_Opener', None)
    assert probe_videos([]) == {}
