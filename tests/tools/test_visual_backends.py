"""Losses, metrics and pictures of a run in TensorBoard's event files and in a backend of a user."""

from importlib.util import find_spec

import pytest

from ..engine.test_picture_sending import KeepingBackend

OPTIONS = ('train_cfg.max_epochs=1', 'default_hooks.report.gallery=2')


@pytest.mark.skipif(find_spec('tensorboard') is None, reason='tensorboard is an extra')
def test_tensorboard_gets_losses_metrics_and_pictures(tool, config, tmp_path):
    tool('train.py', config, '--tensorboard', '--work-dir', 'w', '--cfg-options', *OPTIONS)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (events,) = (tmp_path / 'w').glob('*/vis_data/events*')
    accumulator = EventAccumulator(str(events))
    accumulator.Reload()
    tags = accumulator.Tags()
    assert {'loss', 'retrieval/R1'} <= set(tags['scalars'])
    assert tags['images'] == ['gallery/val']
    picture = accumulator.Images('gallery/val')[0]
    assert picture.width > 400 and picture.height > 100


@pytest.mark.skipif(find_spec('wandb') is None, reason='wandb is an extra')
def test_wandb_keeps_metrics_and_pictures_offline(tool, config, tmp_path, monkeypatch):
    monkeypatch.setenv('WANDB_MODE', 'offline')
    tool('train.py', config, '--wandb', 'shapes', '--work-dir', 'w', '--cfg-options', *OPTIONS)
    import wandb

    wandb.finish()
    (run,) = (tmp_path / 'w').glob('*/vis_data/wandb/offline-run-*')
    assert len(list((run / 'files/media/images/gallery').glob('val*.png'))) == 1
    assert b'retrieval/R1' in next(run.glob('*.wandb')).read_bytes()


@pytest.mark.skipif(find_spec('tensorboard') is not None, reason='the message is for where it is missing')
def test_a_missing_tensorboard_is_named_before_the_run(tool, config):
    with pytest.raises(ImportError, match='--tensorboard needs tensorboard: pip install'):
        tool('train.py', config, '--tensorboard')


def test_a_backend_of_a_user_gets_the_pictures_of_training_and_test(tool, config, tmp_path, monkeypatch):
    sent = []
    monkeypatch.setattr(
        KeepingBackend, 'add_image', lambda self, name, image, step=0: sent.append((name, image.ndim, step))
    )
    with open(config, 'a') as file:
        file.write("visualizer = dict(type='ActionVisualizer', vis_backends=[dict(type='KeepingBackend')])\n")
    tool('train.py', config, '--work-dir', 'w', '--cfg-options', *OPTIONS)
    assert sent == [('gallery/val', 3, 1)]
    tool('test.py', config, 'w/epoch_1.pth', '--work-dir', 't', '--cfg-options', *OPTIONS)
    assert sent[1:] == [('gallery/test', 3, 0)]
