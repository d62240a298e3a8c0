import hashlib
import os

import pytest

from mmclip4clip.datasets import DecodeVideo, SampleEvenly
from mmclip4clip.preparation.video_check import PROBLEMS, check_video, summarize

from ..videos import at_rate, cut, write_frames, write_no_frames, write_picture, write_sound


@pytest.fixture
def check():
    decode = DecodeVideo(SampleEvenly(4), ['pyav', 'decord', 'opencv'], time_limit=None)
    return lambda path, **kwargs: check_video(path, decode, **kwargs)


def test_a_sound_video_is_described(files, check, monkeypatch):
    monkeypatch.delattr(hashlib, 'file_digest', raising=False)  # Python 3.10 has none
    found = check(files['mp4'])
    assert found == dict(
        problems={},
        sha256=hashlib.sha256(files['mp4'].read_bytes()).hexdigest(),
        frames=60,
        fps=30.0,
        seconds=2.0,
        width=64,
        height=48,
        backend='pyav',
    )


@pytest.mark.parametrize(
    'name', ['ntsc', 'intra', 'avi', 'avi_b_frames', 'open_groups', 'no_count', 'fragments', 'uneven']
)
def test_odd_but_sound_videos_have_no_problem(files, check, name):
    assert check(files[name])['problems'] == {} and check(files[name])['frames'] == 60


@pytest.mark.parametrize(
    'write, kind, reason',
    [
        (write_sound, 'frameless', 'pyav: it has no video stream; '),
        (write_picture, 'frameless', 'pyav: it is a picture'),
        (write_no_frames, 'frameless', 'pyav: it has no'),
        (lambda path: path.touch(), 'unreadable', 'pyav: InvalidDataError: Invalid data'),
        (lambda path: path.write_text('no video'), 'unreadable', 'pyav: InvalidDataError'),
        (lambda path: path.mkdir(), 'unreadable', 'it is not a file'),
        (os.mkfifo, 'unreadable', 'it is not a file'),
    ],
)
def test_files_without_frames_are_told_from_unreadable_ones(tmp_path, check, write, kind, reason):
    write(tmp_path / 'a.mp4')
    ((found, text),) = check(tmp_path / 'a.mp4')['problems'].items()
    assert found == kind and text.startswith(reason)


def test_short_is_a_matter_of_frames_or_of_seconds(tmp_path, check):
    path = write_frames(tmp_path / 'a.mp4', at_rate(30, 15))
    assert check(path)['problems'] == dict(short='15 frames, 0.50 s')
    assert check(path, min_seconds=0.5)['problems'] == {}
    assert check(path, min_seconds=0, min_frames=16)['problems'] == dict(short='15 frames, 0.50 s')


def test_over_reporting_is_found_where_packets_lack_and_where_they_do_not_decode(files, check, tmp_path):
    text = check(files['over'])['problems']['over-reporting']
    assert text.endswith(' of 60 frames can be decoded') and 20 < int(text.split()[0]) < 40
    content = bytearray(files['intra'].read_bytes())
    begin, end = content.find(b'mdat'), content.find(b'moov')
    half = (begin + end) // 2
    content[half : end - 8] = bytes(end - 8 - half)  # all packets are there, of zeros from the middle on
    (tmp_path / 'zeros.mp4').write_bytes(content)
    text = check(tmp_path / 'zeros.mp4')['problems']['over-reporting']
    assert text.endswith(' of 60 frames can be decoded') and 20 < int(text.split()[0]) < 40


def test_a_real_clip_that_over_reports_is_found(data, check):
    problems = check(data / 'clips/broken/video12727.mp4')['problems']
    assert problems == {'over-reporting': '283 of 347 frames can be decoded'}


def test_the_summary_names_duplicates_after_the_first():
    sound = dict(problems={}, sha256='s')
    records = [
        dict(sound, path='b'),
        dict(sound, path='a'),
        dict(sound, path='c', sha256='t'),
        dict(path='d', problems=dict(unreadable='x'), sha256=None),
        dict(path='e', problems=dict(unreadable='y'), sha256=None),
    ]
    assert summarize(records) == dict(
        {kind: {} for kind in PROBLEMS}, duplicate=dict(b='the same as a'), unreadable=dict(d='x', e='y')
    )


def test_a_cut_file_whose_index_is_lost_is_unreadable(files, check, tmp_path):
    assert set(check(cut(files['mp4'], tmp_path / 'a.mp4', 0.5))['problems']) == {'unreadable'}
