"""Training and testing on folders in which videos are bad in all the ways that videos are."""

import ctypes
import gzip
import json
import math
import os
from contextlib import contextmanager
from pathlib import Path

import pytest

from mmclip4clip.datasets.video_readers import VideoReadError
from mmclip4clip.evaluation import read_dump

from ..videos import at_rate, cut, write_frames, write_no_frames, write_picture, write_sound

PIPELINE = """
pipeline = [
    dict(type='DecodeVideo', sampling=dict(type='SampleAtRate', fps=2, max_frames=4), time_limit=20,
         min_frames=2, backends=['decord', 'pyav', 'opencv']),
    dict(type='Resize', scale=(64, 64), keep_ratio=False),
    dict(type='FormatShape', input_format='NCHW'),
    dict(type='TokenizeCaptions', tokenizer='{shapes}/tokenizer', max_words=24),
    dict(type='PackVideoCaptions')]
mine = dict(data_root='{root}', data_prefix=dict(video='videos'), pipeline=pipeline)
train_dataloader = dict(
    batch_size=5, num_workers=2, sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),
    dataset=dict(**mine, ann_file='mine.json'))
test_dataloader = dict(dataset=dict(**mine, ann_file='mine.json', bad_videos='report'))
"""


def write_bad(folder: Path, source: Path, count: int) -> list:
    """Write ``count`` bad videos in 10 ways in turn, each of which the next name is of."""
    whole = write_frames(folder.parent / 'whole.mp4', at_rate(30, 60))
    shares = iter([0.1, 0.5, 0.9, 0.99])
    ways = dict(
        empty=Path.touch,
        truncated=lambda path: cut(whole, path, next(shares)),
        text=lambda path: path.write_text('no video'),
        picture=write_picture,
        sound=write_sound,
        one_frame=lambda path: write_frames(path, [0]),
        no_frames=write_no_frames,
        other_kind=lambda path: path.write_bytes(gzip.compress(source.read_bytes())),
        folder=Path.mkdir,
        forbidden=lambda path: (path.write_bytes(source.read_bytes()), path.chmod(0)),
    )
    names = []
    for number in range(count):
        way = list(ways)[number % 10] if number < 18 else 'truncated'
        names.append(f'bad{number}_{way}.mp4')
        ways[way](folder / names[-1])
    return names


@pytest.fixture
def mixed(config, shapes, tmp_path):
    """Write a folder with good and bad videos and the config to train on it."""

    def mixed(good, bad):
        folder = tmp_path / 'videos'
        folder.mkdir()
        sources = [shapes / 'videos' / e['video'] for e in json.loads((shapes / 'train.json').read_text())]
        names = [f'good{number}.mp4' for number in range(good)]
        for number, name in enumerate(names):
            os.link(sources[number % len(sources)], folder / name)
        (folder / names[0]).unlink()  # odd, but not bad: Matroska by another name
        write_frames(folder / 'good.mkv', at_rate(4, 7)).rename(folder / names[0])
        bad_names = write_bad(folder, sources[0], bad)
        (tmp_path / 'mine.json').write_text(
            json.dumps({name: [f'a clip {i}'] for i, name in enumerate(names + bad_names)})
        )
        path = tmp_path / 'mine.py'
        path.write_text(f"_base_ = '{config}'" + PIPELINE.format(shapes=shapes, root=tmp_path))
        return str(path), bad_names

    return mixed


@contextmanager
def as_anyone():
    """Take from root, while it lasts, the right to read what nobody may read."""

    class Sets(ctypes.Structure):
        _fields_ = [(name, ctypes.c_uint32) for name in ('effective', 'permitted', 'inheritable')]

    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (Sets * 2)()
    libc = ctypes.CDLL(None)
    assert libc.capget(header, sets) == 0
    before = sets[0].effective
    sets[0].effective = before & ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(header, sets) == 0
    yield
    sets[0].effective = before
    assert libc.capset(header, sets) == 0


def losses(folder: Path) -> list:
    path = next(folder.glob('*/vis_data/scalars.json'))
    return [e['loss'] for e in map(json.loads, path.read_text().splitlines()) if 'loss' in e]


def test_training_goes_on_with_the_right_counts_and_a_finite_loss(mixed, tool, tmp_path):
    good, bad = 180, 20
    config, names = mixed(good, bad)
    with as_anyone():
        tool(
            'train.py',
            config,
            '--work-dir',
            'w',
            '--seed',
            0,
            '--no-validate',
            '--cfg-options',
            f'default_hooks.bad_videos.max_share={bad / (good + bad)}',
            'default_hooks.logger.interval=1',
            'default_hooks.bad_videos.interval=3',
        )
    log = next((tmp_path / 'w').glob('*/*.log')).read_text()
    for epoch in (1, 2):  # every bad video comes once an epoch
        assert f'{bad} videos could not be read, {epoch * bad} samples were replaced so far' in log
    listed = dict(line.split('\t') for line in (tmp_path / 'w/bad_videos.txt').read_text().splitlines())
    assert sorted(listed) == sorted(names)
    for name, reason in listed.items():
        way = name.removesuffix('.mp4').split('_', 1)[1]
        assert (
            dict(
                folder='Is a directory',
                forbidden='Permission denied',
                sound='no video stream',
                picture='it is a picture',
                one_frame='it has 1 frames, min_frames=2',
            ).get(way, 'cannot be read')
            in reason
        ), (name, reason)
    values = losses(tmp_path / 'w')
    assert len(values) == 2 * (good + bad) // 5 and all(map(math.isfinite, values))


@pytest.mark.parametrize('backends, bad', [('[decord,pyav]', 0), ('[decord]', 1)])
def test_the_broken_real_clip_trains_by_fallback_and_is_replaced_without(
    mixed, tool, data, tmp_path, backends, bad
):
    config, _ = mixed(4, 0)
    os.symlink(data / 'clips/broken/video12727.mp4', tmp_path / 'videos/broken.mp4')
    (tmp_path / 'mine.json').write_text(
        json.dumps({'broken.mp4': ['cut off'], **{f'good{i}.mp4': ['fine'] for i in range(4)}})
    )
    tool(
        'train.py',
        config,
        '--work-dir',
        'w',
        '--no-validate',
        '--cfg-options',
        'default_hooks.bad_videos.max_share=0.2',
        'default_hooks.logger.interval=1',
        f'train_dataloader.dataset.pipeline.0.backends={backends}',
    )
    listed = tmp_path / 'w/bad_videos.txt'
    assert (
        [line.split('\t')[0] for line in listed.read_text().splitlines()] == ['broken.mp4']
        if bad
        else not listed.exists()
    )
    assert all(map(math.isfinite, losses(tmp_path / 'w'))) and losses(tmp_path / 'w')


def test_training_stops_when_too_many_are_bad(mixed, tool, tmp_path):
    config, _ = mixed(30, 10)
    with as_anyone(), pytest.raises(RuntimeError, match='of the 40 training videos .* max_share=0.05'):
        tool(
            'train.py',
            config,
            '--work-dir',
            'w',
            '--seed',
            0,
            '--no-validate',
            '--cfg-options',
            'default_hooks.bad_videos.interval=1',
        )
    assert 3 <= len((tmp_path / 'w/bad_videos.txt').read_text().splitlines()) <= 10


def test_a_test_counts_what_it_cannot_read_as_missed(mixed, tool, tmp_path):
    config, names = mixed(10, 8)
    tool(
        'train.py',
        config,
        '--work-dir',
        'w',
        '--no-validate',
        '--cfg-options',
        'train_cfg.max_epochs=1',
        'default_hooks.bad_videos.max_share=1',
    )
    tool('test.py', config, 'w/epoch_1.pth', '--work-dir', 't', '--dump', 'r.pkl')
    (entry,) = json.loads((tmp_path / 't/metrics.json').read_text())
    assert entry['retrieval/unreadable_videos'] == 8
    assert sorted(
        line.split('\t')[0] for line in (tmp_path / 't/bad_videos.txt').read_text().splitlines()
    ) == sorted(names)
    records = read_dump(tmp_path / 'r.pkl')
    assert len(records) == 18  # none is dropped
    for record in records:
        bad = record['video_id'] in names
        assert ('unreadable' in record) == bad and (record['ranks'].tolist() == [18]) >= bad
        assert not {video for video, _ in record['top'][0][:10]} & set(names)
    with pytest.raises(VideoReadError, match='bad0_empty.mp4 cannot be read'):
        tool(
            'test.py',
            config,
            'w/epoch_1.pth',
            '--work-dir',
            't',
            '--cfg-options',
            'test_dataloader.dataset.bad_videos=error',
            'test_dataloader.num_workers=0',
        )


@pytest.mark.long
def test_two_processes_count_as_one(mixed, command, tmp_path):
    config, names = mixed(32, 8)
    command(
        'train.py',
        config,
        '--work-dir',
        'w',
        '--no-validate',
        '--cfg-options',
        'default_hooks.bad_videos.max_share=0.2',
        'train_dataloader.batch_size=4',
        processes=2,
    )
    log = next((tmp_path / 'w').glob('*/*.log')).read_text()
    assert '8 videos could not be read, 16 samples were replaced so far' in log
    assert sorted(
        line.split('\t')[0] for line in (tmp_path / 'w/bad_videos.txt').read_text().splitlines()
    ) == sorted(names)
