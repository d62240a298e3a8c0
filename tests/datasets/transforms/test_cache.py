import json
import multiprocessing
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from mmaction.datasets.transforms import DecordDecode
from mmaction.registry import TRANSFORMS
from mmengine.registry import init_default_scope

from mmclip4clip.datasets.transforms import cache as module

OPEN = [dict(type='DecordInit'), dict(type='TimeWindow'), dict(type='SampleAtRate', fps=2, max_frames=4),
        dict(type='DecordDecode')]


@pytest.fixture
def video(shapes, tmp_path):
    """A copy of a video, which a test may change."""
    entry = json.loads((shapes / 'train.json').read_text())[0]
    return shutil.copy(shapes / 'videos' / entry['video'], tmp_path / 'video.mp4')


@pytest.fixture
def decoded(monkeypatch):
    """How often a video was decoded, without the check for randomness."""
    monkeypatch.setattr(module, 'CHECKED', 0)
    calls, original = [], DecordDecode.transform
    monkeypatch.setattr(DecordDecode, 'transform',
                        lambda self, r: calls.append(r['filename']) or original(self, r))
    return calls


def build(folder, transforms=OPEN, **kwargs):
    return TRANSFORMS.build(dict(type='CacheFrames', transforms=transforms, folder=str(folder), **kwargs))


def plain(video, transforms=OPEN, **more):
    results = dict(filename=str(video), start_index=0, modality='RGB', **more)
    for transform in transforms:
        results = TRANSFORMS.build(transform)(results)
    return results


def run(cache, video, **more):
    return cache(dict(filename=str(video), start_index=0, modality='RGB', **more))


def test_the_second_visit_decodes_nothing_and_gives_the_same(video, tmp_path, decoded):
    expected, cache = plain(video), build(tmp_path / 'cache')
    decoded.clear()
    for _ in range(3):
        results = run(cache, video)
        np.testing.assert_array_equal(np.stack(results['imgs']), np.stack(expected['imgs']))
        for key in ('clip_len', 'num_clips', 'original_shape', 'img_shape'):
            assert tuple(np.atleast_1d(results[key])) == tuple(np.atleast_1d(expected[key])), key
        assert list(results['frame_inds']) == list(expected['frame_inds'])
    assert len(decoded) == 1


def test_another_instance_reads_what_the_first_kept(video, tmp_path, decoded):
    run(build(tmp_path / 'cache'), video)
    run(build(tmp_path / 'cache'), video)
    assert len(decoded) == 1


@pytest.mark.parametrize('change', ['file', 'window', 'transforms'])
def test_what_changes_is_decoded_anew(video, tmp_path, decoded, change):
    run(build(tmp_path / 'cache'), video)
    if change == 'file':
        os.utime(video, (1, 1))
    more = dict(start=0.5, end=1.) if change == 'window' else {}
    transforms = [*OPEN[:2], dict(type='SampleAtRate', fps=4, max_frames=4), OPEN[3]] \
        if change == 'transforms' else OPEN
    expected = plain(video, transforms, **more)
    decoded.clear()
    results = run(build(tmp_path / 'cache', transforms), video, **more)
    assert len(decoded) == 1
    np.testing.assert_array_equal(np.stack(results['imgs']), np.stack(expected['imgs']))


def test_random_transforms_are_refused(video, tmp_path, monkeypatch):
    random = [OPEN[0], dict(type='UniformSample', clip_len=2, num_clips=1), OPEN[3]]
    monkeypatch.setattr(module, 'CHECKED', 50)
    with pytest.raises(ValueError, match='video.mp4: the transforms of CacheFrames give other frames'):
        for number in range(50):
            os.utime(video, (number, number))
            run(build(tmp_path / 'cache', random), video)


def test_a_full_cache_goes_on_without_keeping_and_says_so(video, tmp_path, decoded, monkeypatch):
    said = []
    monkeypatch.setattr(module, 'print_log', lambda message, **kwargs: said.append(message))
    cache = build(tmp_path / 'cache', max_gib=80 / 2**20)  # 80 KiB: one video of 48 KiB, not two
    for number in (1, 2, 3):
        os.utime(video, (number, number))
        assert len(run(cache, video)['imgs']) == 4
    assert len(said) == 1 and 'has reached max_gib' in said[0] and str(tmp_path / 'cache') in said[0]
    os.utime(video, (1, 1))
    decoded.clear()
    run(cache, video)
    assert decoded == []
    assert os.path.getsize(tmp_path / 'cache/data.mdb') <= 80 * 2**10


def visit(folder, videos, out):
    init_default_scope('mmaction')
    cache = build(folder)
    for video in videos:
        out.put((video, int(np.stack(run(cache, video)['imgs']).sum(dtype=np.int64))))


def test_processes_may_share_a_cache(shapes, tmp_path):
    videos = [str(shapes / 'videos' / e['video']) for e in json.loads((shapes / 'train.json').read_text())]
    context = multiprocessing.get_context('fork')
    out = context.Queue()
    run(build(tmp_path / 'cache'), videos[0])  # opened here before the fork, too
    workers = [context.Process(target=visit, args=(tmp_path / 'cache', order, out))
               for order in (videos, videos[::-1])]
    for worker in workers:
        worker.start()
    seen = [out.get(timeout=60) for _ in range(2 * len(videos))]
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    expected = {v: int(np.stack(plain(v)['imgs']).sum(dtype=np.int64)) for v in videos}
    assert all(total == expected[video] for video, total in seen)


def test_bad_arguments_and_a_missing_package_are_named(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match='max_gib must be positive, got 0'):
        build(tmp_path, max_gib=0)
    monkeypatch.setattr(module, 'lmdb', None)
    with pytest.raises(ImportError, match=r'pip install "mmclip4clip\[cache\]"'):
        build(tmp_path)


@pytest.mark.parametrize('last', [[], [dict(type='FormatShape', input_format='NCHW')]])
def test_frames_of_our_decoder_come_back_as_they_were_formatted(video, tmp_path, last):
    decode = dict(type='DecodeVideo', sampling=dict(type='SampleAtRate', fps=2, max_frames=4))
    transforms = [decode, dict(type='Resize', scale=(-1, 32)), *last]
    expected, cache = plain(video, transforms), build(tmp_path / 'cache', transforms)
    for _ in range(2):
        results = run(cache, video)
        assert type(results['imgs']) is type(expected['imgs']) and 'cached' not in results
        np.testing.assert_array_equal(results['imgs'], expected['imgs'])
        assert results['backend'] == 'pyav' and results['total_frames'] == expected['total_frames']
        np.asarray(results['imgs'])[:] = 0  # what is done to them does not reach the cache


def test_frames_that_are_not_uint8_are_refused(video, tmp_path):
    cache = build(tmp_path / 'cache', [
        *OPEN, lambda results: dict(results, imgs=[f / np.float32(255) for f in results['imgs']])])
    with pytest.raises(ValueError, match='keeps uint8 frames, its transforms give float32'):
        run(cache, video)


def test_a_process_with_a_larger_limit_may_make_the_cache_grow(video, tmp_path, decoded):
    cache = build(tmp_path / 'cache', max_gib=80 / 2**20)
    expected = np.stack(run(cache, video)['imgs'])
    grow = (f"import lmdb; env = lmdb.open({str(tmp_path / 'cache')!r}, map_size=2**24)\n"
            "with env.begin(write=True) as transaction: transaction.put(b'of others', bytes(2**20))")
    subprocess.run([sys.executable, '-c', grow], check=True)
    decoded.clear()
    np.testing.assert_array_equal(np.stack(run(cache, video)['imgs']), expected)
    assert decoded == []
    os.utime(video, (1, 1))  # it may not fit any more, but is read
    np.testing.assert_array_equal(np.stack(run(cache, video)['imgs']), expected)
