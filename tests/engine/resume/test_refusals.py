"""What the command line says of trainings that cannot go on."""

import shutil

import pytest

from .checkpoints import flip_bit


@pytest.mark.parametrize(
    'resume, options, message',
    [
        (
            'epoch_3.pth',
            ['train_cfg.max_epochs=6'],
            'param_scheduler[0].end (CosineAnnealingLR): 3 in the checkpoint, 6 now',
        ),
        (
            'epoch_3.pth',
            ['train_dataloader.batch_size=2'],
            'train_dataloader.batch_size: 4 in the checkpoint, 2 now',
        ),
        (
            'epoch_3.pth',
            ['train_dataloader.dataset.ann_file=test.json'],  # as many videos
            'training data (digest of its videos and captions): [',
        ),
        ('epoch_3.pth', ['randomness.seed=4'], 'seed: 3 in the checkpoint, 4 now'),
        ('best_retrieval_R1_epoch_2.pth', [], 'cannot be resumed: it has no optimizer state'),
    ],
)
def test_a_training_that_would_be_another_is_refused(training, whole, tmp_path, resume, options, message):
    ends = training.train('other', resume=str(whole / resume), options=options, check=False)
    log = (tmp_path / 'other.log').read_text()
    assert ends == [1] and message in log and f'load_from={whole / resume}' in log
    assert not list((tmp_path / 'other').glob('*.pth'))


def test_a_run_that_has_ended_says_that_nothing_is_left(training, whole, tmp_path):
    shutil.copytree(whole, tmp_path / 'ended')
    training.train('ended', resume=True)
    log = (tmp_path / 'ended.log').read_text()
    assert 'no steps remain: ' in log and 'it comes first' not in log


def test_a_damaged_checkpoint_is_an_error_by_name_and_passed_over_without_one(training, whole, tmp_path):
    shutil.copytree(whole, tmp_path / 'run')
    shutil.copy(whole / 'epoch_3.pth', tmp_path / 'run/epoch_4.pth')
    (tmp_path / 'run/last_checkpoint').write_text('epoch_4.pth')
    flip_bit(tmp_path / 'run/epoch_4.pth')
    ends = training.train('named', resume=str(tmp_path / 'run/epoch_4.pth'), check=False)
    assert ends == [1] and 'epoch_4.pth is damaged' in (tmp_path / 'named.log').read_text()
    training.train('run', resume=True)
    log = (tmp_path / 'run.log').read_text()
    assert 'epoch_4.pth is damaged' in log and f'resuming from {tmp_path / "run/epoch_3.pth"}' in log
