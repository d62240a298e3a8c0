import json
import multiprocessing
import os
import shutil

import numpy as np
import pytest
from mmaction.datasets.transforms import DecordDecode
from mmaction.registry import TRANSFORMS
from mmengine.registry import init_default_scope

from mmclip4clip.datasets.frame_cache import pack_entry
from mmclip4clip.datasets.transforms import cache as module

OPEN = [
    dict(type='DecordInit'),
    dict(type='TimeWindow'),
    dict(type='SampleAtRate', fps=2, max_frames=4),
    dict(type='DecordDecode'),
]


@pytest.fixture
def video(shapes, tmp_path):
    """A copy of a video, which a test may change."""
    entry = json.loads((shapes / 'train.json').read_text())[0]
    return shutil.copy(shapes / 'videos' / entry['video'], tmp_path / 'video.mp4')


@pytest.fixture
def decoded(monkeypatch):
    """How often a video was decoded, without the check for randomness."""
    monkeypatch.setattr(module, 'NUM_CHECKED', 0)
    calls, original = [], DecordDecode.transform
    monkeypatch.setattr(
        DecordDecode, 'transform', lambda self, r: calls.append(r['filename']) or original(self, r)
    )
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
    more = dict(start=0.5, end=1.0) if change == 'window' else {}
    transforms = (
        [*OPEN[:2], dict(type='SampleAtRate', fps=4, max_frames=4), OPEN[3]]
        if change == 'transforms'
        else OPEN
    )
    expected = plain(video, transforms, **more)
    decoded.clear()
    results = run(build(tmp_path / 'cache', transforms), video, **more)
    assert len(decoded) == 1
    np.testing.assert_array_equal(np.stack(results['imgs']), np.stack(expected['imgs']))


def test_random_transforms_are_refused(video, tmp_path, monkeypatch):
    random = [OPEN[0], dict(type='UniformSample', clip_len=2, num_clips=1), OPEN[3]]
    monkeypatch.setattr(module, 'NUM_CHECKED', 50)
    with pytest.raises(ValueError, match='video.mp4: the transforms of CacheFrames return different frames'):
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
    assert sum(path.stat().st_size for path in entries(tmp_path / 'cache')) <= 80 * 2**10


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
    workers = [
        context.Process(target=visit, args=(tmp_path / 'cache', order, out))
        for order in (videos, videos[::-1])
    ]
    for worker in workers:
        worker.start()
    seen = [out.get(timeout=60) for _ in range(2 * len(videos))]
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    expected = {v: int(np.stack(plain(v)['imgs']).sum(dtype=np.int64)) for v in videos}
    assert all(total == expected[video] for video, total in seen)


@pytest.mark.parametrize(
    'arguments, message',
    [
        (dict(max_gib=0), 'max_gib must be positive, got 0'),
        (dict(keys='scale'), "list of .*got 'scale'"),
        (dict(keys=['scale', 'captions']), r"without .*captions.*; got \['scale', 'captions'\]"),
    ],
)
def test_bad_arguments_are_named(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        build(tmp_path, **arguments)


@pytest.mark.parametrize('last', [[], [dict(type='FormatShape', input_format='NCHW')]])
def test_frames_of_our_decoder_come_back_as_they_were_formatted(video, tmp_path, last):
    decode = dict(type='DecodeVideo', sampling=dict(type='SampleAtRate', fps=2, max_frames=4))
    transforms = [decode, dict(type='Resize', scale=(-1, 32)), *last]
    expected, cache = plain(video, transforms), build(tmp_path / 'cache', transforms)
    for _ in range(2):
        results = run(cache, video)
        assert type(results['imgs']) is type(expected['imgs']) and results.keys() == expected.keys()
        np.testing.assert_array_equal(results['imgs'], expected['imgs'])
        assert results['backend'] == 'pyav' and results['total_frames'] == expected['total_frames']
        np.asarray(results['imgs'])[:] = 0  # what is done to them does not reach the cache


def test_frames_that_are_not_uint8_are_refused(video, tmp_path):
    cache = build(
        tmp_path / 'cache',
        [*OPEN, lambda results: dict(results, imgs=[f / np.float32(255) for f in results['imgs']])],
    )
    with pytest.raises(ValueError, match='expects uint8 frames, its transforms return float32'):
        run(cache, video)


def entries(folder) -> list:
    """All files that hold frames."""
    return [path for path in folder.glob('*/*') if path.is_file()]


def test_captions_and_names_are_those_of_the_item_on_every_visit(video, tmp_path, decoded, caplog):
    """The same file and window for two items, with transforms that also change what is not of the frames."""
    change = lambda results: dict(  # noqa: E731
        results, captions=['wrong'], video_id='wrong', end=9.0, tokens=[1], group=3, note='x'
    )
    cache = build(tmp_path / 'cache', [*OPEN, change])
    for name in ('a', 'b', 'a'):
        results = run(cache, video, captions=[name], video_id=name)
        assert results['captions'] == [name] and results['video_id'] == name
        assert results['filename'] == str(video)
        assert not results.keys() & {'end', 'tokens', 'group', 'note', 'video_reader'}
    assert len(decoded) == 1


def test_a_key_of_ones_own_comes_back_if_it_is_named(video, tmp_path, decoded):
    add = lambda results: dict(results, motion=np.float32([[0.5], [2]]), sharp=(1, 'x'))  # noqa: E731
    cache = build(tmp_path / 'cache', [*OPEN, add], keys=['motion', 'sharp'])
    for _ in range(2):
        results = run(cache, video)
        assert results['motion'].dtype == np.float32 and results['motion'].tolist() == [[0.5], [2]]
        assert results['sharp'] == (1, 'x')
    assert len(decoded) == 1


def test_types_of_what_is_said_of_frames_are_the_same_on_every_visit(video, tmp_path):
    decode = dict(type='DecodeVideo', sampling=dict(type='SampleAtRate', fps=2, max_frames=4))
    cache = build(tmp_path / 'cache', [decode, dict(type='Resize', scale=(-1, 32))])
    first, second = run(cache, video), run(cache, video)
    assert {k: type(v) for k, v in first.items()} == {k: type(v) for k, v in second.items()}
    assert first['frame_inds'].dtype == second['frame_inds'].dtype


def test_an_entry_that_names_captions_gives_none(video, tmp_path, decoded):
    """Somebody's own entry, checksum and all."""
    cache = build(tmp_path / 'cache')
    run(cache, video)
    (entry,) = entries(tmp_path / 'cache')
    key = entry.parent.name + entry.name
    forged = {'captions': ['forged'], 'video_id': 'forged', 'imgs': 3, 'clip_len': 1, 'as list': True}
    forged = pack_entry(key, forged, np.zeros((1, 2, 2, 3), np.uint8))
    entry.write_bytes(b''.join(forged))
    results = run(cache, video, captions=['own'], video_id='own')
    assert results['captions'] == ['own'] and results['video_id'] == 'own'
    assert results['clip_len'] == 1 and np.shape(results['imgs']) == (1, 2, 2, 3) and len(decoded) == 1


def test_damage_is_a_miss_for_200_random_changes(video, tmp_path, decoded, monkeypatch):
    said = []
    monkeypatch.setattr(module, 'print_log', lambda message, **kwargs: said.append(message))
    cache = build(tmp_path / 'cache')
    expected = np.stack(run(cache, video)['imgs'])
    (entry,) = entries(tmp_path / 'cache')
    whole = entry.read_bytes()
    known = iter(lambda: dict(filename=str(video), imgs=list(expected.copy())), None)
    cache.transforms = lambda results: next(known)  # decoding takes long
    for seed in range(200):
        entry.write_bytes(damage(whole, np.random.default_rng(seed)))
        assert np.array_equal(np.stack(run(cache, video)['imgs']), expected), seed
        assert cache._store.read(entry.parent.name + entry.name) is not None, seed  # written anew
    assert len(said) == 1 and f'{entry} of the frame cache cannot be used' in said[0]


def damage(content: bytes, rng) -> bytes:
    """Cut a file short, make it longer, or change bytes of its beginning or anywhere in it."""
    kind, content = rng.integers(5), bytearray(content)
    if kind == 0:
        return bytes(content[: rng.integers(len(content))])
    if kind == 1:
        return bytes(content) + rng.bytes(1 + rng.integers(100))
    if kind == 2:  # a page that never reached the disk
        start = 4096 * rng.integers(len(content) // 4096)
        content[start : start + 4096] = bytes(4096)
        content[start] ^= 1
        return bytes(content)
    for place in rng.integers(len(content) if kind == 3 else 700, size=1 + rng.integers(4)):
        content[place] ^= 1 << rng.integers(8)
    return bytes(content)


def test_a_video_that_changes_while_it_is_decoded_is_not_kept(video, tmp_path, decoded):
    cache = build(tmp_path / 'cache', [*OPEN, lambda results: os.utime(video, (5, 5)) or results])
    run(cache, video)
    assert not entries(tmp_path / 'cache')
    run(cache, video)
    assert len(decoded) == 2 and len(entries(tmp_path / 'cache')) == 1


@pytest.mark.parametrize('change', ['replaced', 'decoder', 'modality'])
def test_frames_that_may_be_others_have_another_key(video, tmp_path, decoded, change, monkeypatch):
    run(build(tmp_path / 'cache'), video)
    more = dict(modality='Flow') if change == 'modality' else {}
    if change == 'replaced':  # by another file of the same size and time
        status = os.stat(video)
        shutil.copy(video, tmp_path / 'new.mp4')
        os.utime(tmp_path / 'new.mp4', ns=(status.st_atime_ns, status.st_mtime_ns))
        os.replace(tmp_path / 'new.mp4', video)
    elif change == 'decoder':
        monkeypatch.setattr(module, 'versions', lambda: dict(av='0.1'))
    build(tmp_path / 'cache')(dict(dict(filename=str(video), start_index=0, modality='RGB'), **more))
    assert len(decoded) == 2


def test_frames_of_several_sizes_are_given_but_not_kept(video, tmp_path, decoded):
    crop = lambda results: dict(results, imgs=[f[: 8 + i] for i, f in enumerate(results['imgs'])])  # noqa: E731
    cache = build(tmp_path / 'cache', [*OPEN, crop])
    assert [len(frame) for frame in run(cache, video)['imgs']] == [8, 9, 10, 11]
    assert [len(frame) for frame in run(cache, video)['imgs']] == [8, 9, 10, 11] and len(decoded) == 2


def test_a_cache_of_an_earlier_version_is_left_alone_and_told_of_once(video, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(module, 'print_log', lambda message, **kwargs: said.append(message))
    (tmp_path / 'cache').mkdir()
    (tmp_path / 'cache/data.mdb').write_bytes(b'old')
    for _ in range(2):
        run(build(tmp_path / 'cache'), video)
    assert len(said) == 1 and 'data.mdb' in said[0] and 'they can be deleted' in said[0]
    assert (tmp_path / 'cache/data.mdb').read_bytes() == b'old'


def test_a_failing_disk_does_not_change_what_is_decoded(video, tmp_path, decoded, monkeypatch):
    said = []
    monkeypatch.setattr(module, 'print_log', lambda message, **kwargs: said.append(message))
    (tmp_path / 'cache').write_text('a file where the folder should be')
    cache, expected = build(tmp_path / 'cache'), plain(video)
    for _ in range(3):
        np.testing.assert_array_equal(np.stack(run(cache, video)['imgs']), np.stack(expected['imgs']))
    assert len([text for text in said if 'cannot be written' in text]) == 1
