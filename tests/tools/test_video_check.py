"""Videos that cannot be read are found before a run has cost anything."""

import json
import shutil

import pytest

from mmclip4clip.datasets.video_readers import VideoReadError

DECODING = """
_base_ = '{config}'
decode = dict(type='DecodeVideo', time_limit=None, sampling=dict(type='SampleAtRate', fps=2, max_frames=4))
data = dict(data_root='{root}', pipeline=[decode, *_base_.pipeline[3:]])
train_dataloader = dict(dataset=data)
val_dataloader = dict(dataset=data)
test_dataloader = dict(dataset=data)
"""


@pytest.fixture
def damaged(config, shapes, tmp_path):
    """The tiny config on a copy of the data in which one video of validation and test is empty."""
    shutil.copytree(shapes, tmp_path / 'data')
    first = json.loads((tmp_path / 'data/test.json').read_text())[0]['video']
    (tmp_path / 'data/videos' / first).write_bytes(b'')
    path = tmp_path / 'damaged.py'
    path.write_text(DECODING.format(config=config, root=tmp_path / 'data'))
    return str(path), first


def test_a_training_does_not_begin_with_a_validation_that_cannot_end(tool, damaged, tmp_path):
    config, video = damaged
    with pytest.raises(VideoReadError, match=f'val_dataloader: 1 of 16 videos .*\n  {video}: '):
        tool('train.py', config, '--work-dir', 'w')
    assert not list(tmp_path.glob('w/*.pth'))
    assert (tmp_path / 'w/bad_videos.txt').read_text().startswith(f'{video}\t')


def test_a_training_that_reports_them_says_so_first_and_ends(tool, damaged, tmp_path):
    config, video = damaged
    tool('train.py', config, '--work-dir', 'w', '--cfg-options', 'val_dataloader.dataset.bad_videos=report')
    log = next((tmp_path / 'w').glob('*/*.log')).read_text()
    assert log.index('val_dataloader: 1 of 16 videos') < log.index('Epoch(train)')
    assert '1 videos could not be read and count as missed' in log
    assert (tmp_path / 'w/bad_videos.txt').read_text().count(video + '\t') == 1


def test_a_test_ends_at_its_start_unless_told_otherwise(tool, config, damaged, tmp_path):
    tool(
        'train.py',
        config,
        '--work-dir',
        'w',
        '--cfg-options',
        'train_cfg.max_epochs=1',
        'val_cfg=None',
        'val_dataloader=None',
        'val_evaluator=None',
        'default_hooks.checkpoint.save_best=None',
    )
    with pytest.raises(VideoReadError, match='test_dataloader: 1 of 16 videos'):
        tool('test.py', damaged[0], 'w/epoch_1.pth', '--work-dir', 't')
    with pytest.raises(VideoReadError, match='cannot be read; pyav'):
        tool(
            'test.py',
            damaged[0],
            'w/epoch_1.pth',
            '--work-dir',
            'u',
            '--cfg-options',
            'default_hooks.video_check.check_videos=False',
        )
    assert 'videos are not checked before the run' in next((tmp_path / 'u').glob('*/*.log')).read_text()
