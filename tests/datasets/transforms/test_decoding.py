import functools
import os
import pickle
import time
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from mmclip4clip.datasets import DecodeVideo, SampleEvenly
from mmclip4clip.datasets.transforms.decoding import copy_repeated_frames
from mmclip4clip.datasets.video_readers import VideoReadError, VideoUnavailableError

from ...videos import decode_in_order, digest

MODES = dict(
    head=dict(type='SampleAtRate', fps=1, max_frames=4, cut='head'),
    tail=dict(type='SampleAtRate', fps=2, max_frames=4, cut='tail'),
    uniform=dict(type='SampleAtRate', fps=3, max_frames=12),
    segments=dict(type='UniformSample', clip_len=12, test_mode=True),
    random_segments=dict(type='UniformSample', clip_len=4),
    dense=dict(type='SampleFrames', clip_len=4, frame_interval=2, num_clips=2, test_mode=True),
)
WINDOWS = dict(whole={}, middle=dict(start=1.2, end=2.9), rest=dict(start=1.5), begin=dict(end=0.9))
decoded_once = functools.cache(decode_in_order)
every_mode = pytest.mark.parametrize('mode', MODES)
every_window = pytest.mark.parametrize('window', WINDOWS)


def decode(path, sampling=MODES['segments'], window=None, **kwargs):
    kwargs = dict(dict(time_limit=None), **kwargs)
    return DecodeVideo(sampling, **kwargs)(dict(filename=str(path), start_index=0, **(window or {})))


def expected_indices(sampling, total, fps, window) -> np.ndarray:
    """Sample as a pipeline with DecordInit does, from the true count and rate."""
    results = dict(filename='', total_frames=total, avg_fps=fps, start_index=0, **window)
    for step in (dict(type='TimeWindow'), sampling):
        results = TRANSFORMS.build(step)(results)
    return results['frame_inds'].reshape(-1)


@every_mode
@every_window
@pytest.mark.parametrize('name', ['mp4', 'avi', 'avi_b_frames', 'no_count'])
def test_the_frames_are_those_of_an_independent_decode(files, name, mode, window):
    expected = decoded_once(files[name])
    for backend in ('decord', 'pyav', 'opencv'):
        np.random.seed(3)
        results = decode(files[name], MODES[mode], WINDOWS[window], backends=[backend])
        np.random.seed(3)
        indices = expected_indices(MODES[mode], 60, 30, WINDOWS[window])
        assert results['frame_inds'].tolist() == indices.tolist()
        assert all(map(np.array_equal, results['imgs'], [expected[i] for i in indices]))
        assert len(results['imgs']) == len(indices) and results['clamped_frames'] == 0


@every_mode
def test_real_clips_give_the_frames_of_an_independent_decode_in_every_window(clips, real_frames, mode):
    for clip in clips:
        expected = real_frames(clip)
        for window in WINDOWS.values():
            for backend in ('decord', 'pyav', 'opencv') if len(clips) >= 22 else ('pyav',):
                results = decode(clip, MODES[mode], window, backends=[backend])
                inds = results['frame_inds']
                assert [digest(frame) for frame in results['imgs']] == [expected[i] for i in inds], clip
                fps = results['avg_fps']
                seconds = inds / fps
                assert seconds.min() > window.get('start', 0) - 1 / fps - 1e-6
                assert seconds.max() < window.get('end', np.inf)


def test_seconds_are_found_by_timestamps_where_the_rate_varies(files):
    # 30 frames of 1/30 s, then 10 of 1/2 s, then 20 of 1/10 s: second k is frame
    on_show = {0: 0, 1: 30, 2: 32, 3: 34, 4: 36, 5: 38, 6: 40, 7: 50}
    for name in ('uneven', 'uneven_mkv'):
        for backend in ('decord', 'pyav', 'opencv'):
            results = decode(files[name], dict(type='SampleAtRate', fps=1), backends=[backend])
            assert results['frame_inds'].tolist() == list(on_show.values())
            results = decode(
                files[name], dict(type='SampleAtRate', fps=2), dict(start=4, end=6.5), backends=[backend]
            )
            assert results['frame_inds'].tolist() == [36, 37, 38, 39, 40]
            frames = decode_in_order(files[name])
            assert all(map(np.array_equal, results['imgs'], frames[36:41]))


def test_ntsc_rates_do_not_drift(files):
    results = decode(files['ntsc'], dict(type='SampleAtRate', fps=10, max_frames=99))
    assert results['frame_inds'].tolist() == [int(k * 2.997 + 1e-3) for k in range(21)]


def test_the_next_backend_takes_over_and_samples_by_its_own_count(files):
    results = decode(files['over'])
    assert results['backend'] == 'pyav' and 20 < results['total_frames'] < 40
    expected = decode_in_order(files['over'])
    kept = np.minimum(expected_indices(MODES['segments'], results['total_frames'], 30, {}), len(expected) - 1)
    assert results['frame_inds'].tolist() == kept.tolist()
    assert all(map(np.array_equal, results['imgs'], [expected[i] for i in kept]))


def test_frames_past_the_end_become_the_last_one_and_are_counted(data):
    path = data / 'clips/broken/video12727.mp4'
    results = decode(path, backends=['decord', 'pyav'])
    assert results['backend'] == 'pyav' and results['total_frames'] == 347
    assert results['frame_inds'].max() == 282 and results['clamped_frames'] == 2
    assert np.array_equal(results['imgs'][-1], results['imgs'][-2])
    with pytest.raises(VideoReadError, match='video12727.mp4 cannot be read; decord: '):
        decode(path, backends=['decord'])


def test_all_causes_are_named_with_the_file(files, tmp_path):
    (tmp_path / 'a.mp4').write_text('no video')
    with pytest.raises(VideoReadError, match='a.mp4 cannot be read; pyav: .*; decord: .*; opencv: OpenCV'):
        decode(tmp_path / 'a.mp4')
    with pytest.raises(VideoReadError, match='mp4: the window starts at 9 s, but the video ends at 2.00 s'):
        decode(files['mp4'], window=dict(start=9))
    with pytest.raises(VideoReadError, match='pyav: it has 1 frames, min_frames=2'):
        decode(files['one'], min_frames=2)
    assert decode(files['one'])['frame_inds'].tolist() == [0] * 12


def test_a_file_that_never_answers_is_given_up_within_the_limit(files, tmp_path):
    os.mkfifo(tmp_path / 'pipe.mp4')
    transform = DecodeVideo(MODES['segments'], time_limit=0.6)
    begin = time.monotonic()
    with pytest.raises(VideoReadError, match='pyav: it took more than 0.2 s and was given up; decord: it'):
        transform(dict(filename=str(tmp_path / 'pipe.mp4')))
    assert time.monotonic() - begin < 60  # a loaded machine takes its time
    transform.time_limit, transform.backends = 60, ('pyav',)
    assert transform(dict(filename=str(files['mp4'])))['backend'] == 'pyav'


class Stuck(torch.utils.data.Dataset):
    """Two videos of which the first never answers, for the workers of a data loader."""

    def __init__(self, *paths):
        self.paths, self.transform = paths, DecodeVideo(MODES['segments'], time_limit=3)

    def __len__(self):
        return 2

    def __getitem__(self, i):
        try:
            return len(self.transform(dict(filename=str(self.paths[i])))['imgs'])
        except VideoReadError:
            return -1


def test_the_worker_of_a_data_loader_goes_on_after_a_hang(files, tmp_path):
    os.mkfifo(tmp_path / 'pipe.mp4')
    dataset = Stuck(tmp_path / 'pipe.mp4', files['mp4'])
    loader = torch.utils.data.DataLoader(dataset, num_workers=1, timeout=60)
    assert [int(value) for value in loader] == [-1, 12]


def test_later_transforms_may_change_frames_in_place():
    frame, other = np.zeros((2, 2, 3)), np.ones((2, 2, 3))
    copies = copy_repeated_frames([frame, frame, other, frame])
    copies[0][:] = 7
    assert [int(f.max()) for f in copies] == [7, 0, 1, 0] and copies[2] is other


@pytest.mark.parametrize(
    'arguments, message',
    [
        (dict(backends=['vlc']), r'backends must be .*vlc'),
        (dict(time_limit=0), 'time_limit .* got 0'),
        (dict(min_frames=0), 'min_frames must be at least 1'),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        DecodeVideo(MODES['segments'], **arguments)


def test_it_can_be_sent_to_another_process_and_printed(files):
    transform = DecodeVideo([dict(type='TimeWindow'), MODES['segments']])
    transform(dict(filename=str(files['mp4'])))
    copy = pickle.loads(pickle.dumps(transform))
    assert len(copy(dict(filename=str(files['mp4'])))['imgs']) == 12
    assert len(copy.sampling.transforms) == 2  # the window is not applied twice
    assert "backends=('pyav', 'decord', 'opencv'), time_limit=60" in repr(copy)


@pytest.mark.parametrize(
    'backend, time_limit, videos',
    [
        pytest.param('decord', None, 200, marks=pytest.mark.long),
        ('decord', 60, 200),
        ('pyav', None, 200),
        ('pyav', 60, 200),
        pytest.param('decord', 60, 10000, marks=pytest.mark.long),
    ],
)  # the default, at full length
def test_memory_stays_flat(files, backend, time_limit, videos):
    transform = DecodeVideo(MODES['segments'], backends=[backend], time_limit=time_limit)
    used = []
    for number in range(videos):
        transform(dict(filename=str(files[('mp4', 'avi')[number % 2]])))
        if number >= videos // 4:  # what is allocated once is by then
            pids = [os.getpid()] + ([transform._process._pid] if time_limit else [])
            used.append(sum(int(Path(f'/proc/{pid}/statm').read_text().split()[1]) for pid in pids) * 4096)
    quarter = len(used) // 4
    assert np.median(used[-quarter:]) - np.median(used[:quarter]) < 20e6


def test_a_window_of_which_nothing_decodes_gets_no_frame_from_before_it(files, tmp_path):
    content = bytearray(files['mp4'].read_bytes())
    with av.open(str(files['mp4'])) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    for packet in packets[36:]:  # from 1.2 s on
        content[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    (tmp_path / 'a.mp4').write_bytes(content)
    decode = DecodeVideo(SampleEvenly(3), ['pyav'], time_limit=None)
    last = len(decode_in_order(tmp_path / 'a.mp4')) - 1
    assert list(decode(dict(filename=str(tmp_path / 'a.mp4'), start=1.0))['frame_inds']) == [30, last, last]
    with pytest.raises(
        VideoReadError, match=f'starts at frame 48, but only {last + 1} frames can be decoded'
    ):
        decode(dict(filename=str(tmp_path / 'a.mp4'), start=1.6))


class BrokenSampler(BaseTransform):
    """A sampler with a fault of its own."""

    def transform(self, results):
        results['frame_inds'] = np.arange(3) + np.arange(4)
        return results


def test_a_fault_of_a_sampler_is_no_fault_of_the_video(files):
    decode = DecodeVideo(BrokenSampler(), time_limit=None)
    with pytest.raises(RuntimeError, match=r'sampling .*mp4 failed; ValueError.*\(4,\)') as error:
        decode(dict(filename=str(files['mp4'])))
    assert not isinstance(error.value, VideoReadError)


@pytest.mark.parametrize('time_limit', [None, 60])
@pytest.mark.parametrize('indices', [[], [0, -3], [0.0, np.nan], [1.5], ['a']])
def test_indices_that_are_none_are_the_fault_of_the_sampler(files, indices, time_limit):
    class Sampler(BaseTransform):
        def transform(self, results):
            return dict(results, frame_inds=np.array(indices))

    decode = DecodeVideo(Sampler(), time_limit=time_limit)
    with pytest.raises(
        RuntimeError, match='sampling .*mp4 failed; frame_inds must be whole numbers from 0 up'
    ):
        decode(dict(filename=str(files['mp4'])))


def test_half_a_file_that_the_storage_gives_is_not_taken_for_the_whole_by_another_backend(files, monkeypatch):
    def half(self, backend, filename):
        if backend != 'opencv':
            raise VideoUnavailableError('OSError: Input/output error')
        return pytest.fail('it sees half of the file')

    monkeypatch.setattr(DecodeVideo, 'open', half)
    with pytest.raises(VideoUnavailableError, match='mp4 cannot be read; pyav: OSError: Input/output error'):
        decode(files['mp4'])


def test_frames_that_a_resize_would_make_huge_are_refused_before_it(tmp_path):
    with av.open(str(tmp_path / 'thin.avi'), 'w') as container:
        stream = container.add_stream('mjpeg', rate=10)
        stream.width, stream.height, stream.pix_fmt = 8, 1000, 'yuvj444p'
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(np.zeros((1000, 8, 3), np.uint8))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(VideoReadError, match='its frames have 8 x 1000 pixels, one side more than 100 times'):
        decode(tmp_path / 'thin.avi', sampling=SampleEvenly(2))
