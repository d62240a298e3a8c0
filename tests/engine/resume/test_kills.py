"""Trainings that are killed at any place and resumed leave what a whole one leaves."""

import pytest

from .kill_harness import Kill, assert_same_run

PLACES = [  # epoch_N is saved before and after its evaluation, the best one at the first and second
    Kill('write', 'epoch_1.pth'),
    Kill('replace', 'epoch_2.pth', 2),
    Kill('replaced', 'epoch_3.pth'),
    Kill('write', 'last_checkpoint', 2),
    Kill('remove', 'epoch_1.pth'),
    Kill('after_val_iter', number=6),
    Kill('write', 'best_*', 2),
    Kill('remove', 'best_*'),
    Kill('replaced', 'metrics.json', 3),
    Kill('after_train_iter', number=4),
]
SHORT = PLACES[1], PLACES[5], PLACES[7]


@pytest.mark.parametrize(
    'kill',
    [
        pytest.param(
            kill,
            marks=[] if kill in SHORT else pytest.mark.long,
            id=f'{kill.at}-{kill.name}-{kill.number}'.replace('*', ''),
        )
        for kill in PLACES
    ],
)
def test_a_killed_run_ends_as_a_whole_one(training, whole, tmp_path, kill):
    training.train('killed', kill)
    training.train('killed', resume=True)
    assert_same_run(tmp_path / 'killed', whole)


@pytest.mark.long
def test_a_run_without_best_checkpoints_is_evaluated_too(training, tmp_path):
    training.options += ['default_hooks.checkpoint.save_best=None']
    training.train('whole')
    training.train('killed', Kill('after_val_iter', number=6))
    training.train('killed', resume=True)
    assert_same_run(tmp_path / 'killed', tmp_path / 'whole')
