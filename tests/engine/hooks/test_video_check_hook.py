import json
import logging
from types import SimpleNamespace

import numpy as np
import pytest
from mmaction.registry import DATASETS
from torch.utils.data import ConcatDataset

from mmclip4clip.datasets.first_frames import FirstFrameResult
from mmclip4clip.datasets.seeded_dataset import SeededDataset
from mmclip4clip.datasets.transforms import DecodeVideo
from mmclip4clip.datasets.video_readers import VideoReadError, VideoUnavailableError
from mmclip4clip.engine.hooks import VideoCheckHook, video_check_hook

DECODE = dict(type='DecodeVideo', sampling=dict(type='SampleAtRate', fps=2, max_frames=4), time_limit=None)


@pytest.fixture
def build(shapes, tmp_path):
    """Make a dataset of sound and empty videos, entries of one's own on top."""

    def build(bad=2, good=4, extra=(), name='v', **kwargs):
        entries = json.loads((shapes / 'train.json').read_text())[:good]
        (tmp_path / name).mkdir(exist_ok=True)
        for number, entry in enumerate(entries):
            entry['video'] = f'good{number}.mp4'
            source = json.loads((shapes / 'train.json').read_text())[number]['video']
            (tmp_path / name / entry['video']).write_bytes((shapes / 'videos' / source).read_bytes())
        for number in range(bad):
            (tmp_path / f'{name}/bad{number}.mp4').touch()
            entries.append(dict(video=f'bad{number}.mp4', captions=['lost', 'gone']))
        (tmp_path / f'{name}.json').write_text(json.dumps(entries + list(extra)))
        return DATASETS.build(
            dict(
                dict(
                    type='VideoCaptionDataset',
                    ann_file=f'{name}.json',
                    data_root=str(tmp_path),
                    data_prefix=dict(video=name),
                    pipeline=[DECODE],
                    test_mode=True,
                ),
                **kwargs,
            )
        )

    return build


@pytest.fixture
def run(tmp_path, caplog):
    """Call the hook as a run does, and return the log."""
    logger = logging.getLogger('video-check')
    caplog.set_level(logging.INFO, logger='video-check')

    def run(hook=None, train=None, val=None, test=None):
        caplog.clear()
        hook = hook or VideoCheckHook(processes=2)
        loops = {
            name: None if data is None else SimpleNamespace(dataloader=SimpleNamespace(dataset=data))
            for name, data in dict(val=val, test=test).items()
        }
        runner = SimpleNamespace(
            work_dir=str(tmp_path),
            logger=logger,
            val_loop=loops['val'],
            test_loop=loops['test'],
            train_dataloader=SimpleNamespace(dataset=train if train is not None else []),
        )
        stage = 'test' if test is not None else 'val' if train is None else 'train'
        getattr(hook, f'before_{stage}')(runner)
        return caplog.text

    return run


def test_sound_videos_let_a_run_begin(build, run, tmp_path):
    log = run(test=build(bad=0))
    assert 'test_dataloader: 4 videos' in log and 'can be opened and have a first frame' in log
    assert not (tmp_path / 'bad_videos.txt').exists()


def test_an_unreadable_video_ends_the_run_at_its_start_and_all_are_listed(build, run, tmp_path):
    with pytest.raises(VideoReadError) as error:
        run(train=build(bad=0, name='t', test_mode=False), val=build(bad=12))
    text = str(error.value)
    assert 'val_dataloader: 12 of 16 videos' in text and text.count('cannot be read; pyav') == 10
    assert text.count('\n  ...') == 1 and "val_dataloader.dataset.bad_videos='report'" in text
    lines = (tmp_path / 'bad_videos.txt').read_text().splitlines()
    assert sorted(line.split('\t')[0] for line in lines) == sorted(f'bad{i}.mp4' for i in range(12))


def test_where_they_are_reported_the_log_says_how_many_will_be_missed(build, run, tmp_path):
    log = run(val=build(bad=3, bad_videos='report'))
    assert 'val_dataloader: 3 of 7 videos' in log and 'counts as missed' in log and 'bad2.mp4: ' in log
    assert len((tmp_path / 'bad_videos.txt').read_text().splitlines()) == 3


def test_training_is_checked_where_a_bad_video_would_end_it(build, run):
    log = run(train=build(name='t', test_mode=False))
    assert 'train_dataloader: videos are not checked before the run' in log and "bad_videos='replace'" in log
    with pytest.raises(VideoReadError, match="train_dataloader: 2 of 6 .*\n(.*\n)*.*bad_videos='replace'"):
        run(train=build(name='t', test_mode=False, bad_videos='error'), val=build(bad=0))


def test_datasets_are_found_in_what_joins_and_wraps_them(build, run):
    joined = ConcatDataset([build(bad=0, good=1, name='a'), build(bad=1, good=1, name='b')])
    with pytest.raises(VideoReadError, match='test_dataloader: 1 of 2 videos of .*b.json') as error:
        run(test=SimpleNamespace(dataset=joined))
    assert 'a.json' not in str(error.value)


def test_the_training_data_is_found_in_its_wrapper(build, run):
    data = build(name='t', test_mode=False, bad_videos='error')
    seeded = SeededDataset.__new__(SeededDataset)
    seeded.dataset = data
    with pytest.raises(VideoReadError, match='train_dataloader: 2 of 6'):
        run(train=seeded)


def test_a_window_after_the_end_is_found_though_the_file_opens(build, run):
    extra = [dict(video='good0.mp4', captions=['x'], start=9.0, end=10.0)]
    with pytest.raises(VideoReadError, match='1 of 5 videos.*\n  good0.mp4@9.0-10.0: .*starts at 9.0 s'):
        run(test=build(bad=0, extra=extra))


def test_only_the_decoder_itself_says_that_a_video_cannot_be_read(build, run, monkeypatch):
    """A first frame that does not decode is no fault where other frames do."""
    monkeypatch.setattr(
        video_check_hook,
        'probe_videos',
        lambda files, *args: {file: FirstFrameResult('no first frame') for file in files},
    )
    assert '4 videos' in run(test=build(bad=0))


@pytest.mark.parametrize(
    'hook, pipeline, why',
    [
        (dict(check_videos=False), [DECODE], 'before the run; one that cannot be read ends the run'),
        ({}, [dict(type='DecordInit')], 'its decoder does not distinguish'),
    ],
)
def test_where_nothing_is_checked_the_log_says_the_policy(build, run, hook, pipeline, why):
    log = run(VideoCheckHook(**hook), test=build(pipeline=pipeline))
    assert 'test_dataloader: videos are not checked' in log and why in log and "bad_videos='error'" in log


def test_validation_is_checked_once_in_a_training(build, run, monkeypatch):
    hook, data = VideoCheckHook(processes=1), build(bad=0)
    assert 'val_dataloader: 4 videos' in run(hook, train=build(bad=0, name='t', test_mode=False), val=data)
    monkeypatch.setattr(video_check_hook, 'probe_videos', lambda *args: pytest.fail('checked again'))
    assert run(hook, val=data) == ''


@pytest.mark.parametrize(
    'decode',
    [
        dict(min_frames=1000),
        dict(backends=['decord'], min_frames=1000),
        dict(sampling=dict(type='SampleAtRate', fps=60, reference_times=True)),
    ],
)
def test_what_the_decoder_would_refuse_is_found_though_the_first_frame_decodes(build, run, decode):
    with pytest.raises(VideoReadError, match='4 of 4 videos'):
        run(test=build(bad=0, pipeline=[dict(DECODE, **decode)]))


def test_what_is_not_reached_in_time_is_said(build, run, monkeypatch):
    monkeypatch.setattr(
        video_check_hook, 'probe_videos', lambda files, *args: {files[0]: FirstFrameResult(None, 2.0)}
    )
    log = run(test=build(bad=0))
    assert '3 of 4 videos' in log and 'were not reached in total_time=300 s' in log and '1 videos' in log


def test_what_the_storage_does_not_give_is_not_listed(build, run, monkeypatch, tmp_path):
    def decode(self, results):
        raise VideoUnavailableError('the mount is gone')

    monkeypatch.setattr(DecodeVideo, 'transform', decode)
    monkeypatch.setattr(
        video_check_hook,
        'probe_videos',
        lambda files, *args: {file: FirstFrameResult('no answer') for file in files},
    )
    log = run(test=build(bad=0, storage_wait=0.0))
    assert 'the storage did not return 4 of 4 videos' in log and 'the mount is gone' in log
    assert '0 videos of' in log and not (tmp_path / 'bad_videos.txt').exists()


def test_videos_of_one_name_in_two_folders_are_both_listed(build, run, tmp_path):
    entries = [dict(video=f'{folder}/same.mp4', captions=['x']) for folder in 'ab']
    for folder in 'ab':
        (tmp_path / 'v' / folder).mkdir(parents=True)
        (tmp_path / f'v/{folder}/same.mp4').touch()
    with pytest.raises(VideoReadError, match='2 of 6 videos'):
        run(test=build(bad=0, extra=entries))
    assert len((tmp_path / 'bad_videos.txt').read_text().splitlines()) == 2


def test_processes_share_the_files_and_end_together(build, run, monkeypatch):
    opened = []
    monkeypatch.setattr(video_check_hook, 'get_world_size', lambda: 2)
    monkeypatch.setattr(video_check_hook, 'get_rank', lambda: 1)
    original = video_check_hook.probe_videos
    monkeypatch.setattr(
        video_check_hook, 'probe_videos', lambda files, *args: opened.extend(files) or original(files, *args)
    )
    monkeypatch.setattr(
        video_check_hook, 'all_gather_object', lambda mine: [mine, ({'theirs.mp4': 'empty'}, [], 1)]
    )
    with pytest.raises(VideoReadError, match='2 of 6 videos') as error:
        run(test=build(bad=2))
    assert len(opened) == 3 and 'theirs.mp4: empty' in str(error.value)


def test_the_check_draws_nothing(build, run):
    data = build(name='t', test_mode=False, bad_videos='error', bad=0, caption_mode='random')
    np.random.seed(3)
    run(train=data)
    drawn = np.random.rand()
    np.random.seed(3)
    assert drawn == np.random.rand()


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match='must be positive, got 0, 10.0 and 300.0'):
        VideoCheckHook(processes=0)
