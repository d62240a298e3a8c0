"""Runs that go on in another folder than they began in."""

import shutil

import pytest
import torch

from .kill_harness import Kill, assert_same_run


@pytest.fixture
def first(training, tmp_path):
    """The work dir of a run that was killed in its third epoch, and what is in it."""
    training.train('first', Kill('after_train_iter', number=5))
    folder = tmp_path / 'first'
    assert {'epoch_2.pth', 'best_retrieval_R1_epoch_2.pth'} == {path.name for path in folder.glob('*.pth')}
    return folder


def content(folder) -> dict:
    return {path.name: path.read_bytes() for path in folder.glob('*.*') if path.is_file()}


def test_a_copied_run_goes_on_by_itself(training, first, whole, tmp_path):
    before = content(first)
    shutil.copytree(first, tmp_path / 'copy')
    training.train('copy', resume=True)
    assert content(first) == before
    assert_same_run(tmp_path / 'copy', whole)


def test_a_run_resumed_in_another_folder_leaves_the_first_as_it_is(training, first, whole, tmp_path):
    """Also from a checkpoint as mmengine saves it, with absolute paths and without a record of the run."""
    checkpoint = torch.load(first / 'epoch_2.pth', weights_only=True)
    known = checkpoint['message_hub']['runtime_info']
    for key in ('best_ckpt', 'last_ckpt'):
        known[key] = str(first / known[key])
    for key in ('run_id', 'evaluated_iter', 'obsolete_ckpts'):
        checkpoint['message_hub']['resumed_keys'].pop(key)
        known.pop(key)
    del checkpoint['meta']['mmclip4clip']
    torch.save(checkpoint, first / 'epoch_2.pth')
    before = content(first)
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other/epoch_2.pth').write_text("another run's")  # of which the first run kept one, too

    # A better score comes in the third epoch by this rule: the best checkpoint is replaced.
    training.train(
        'other',
        resume=str(first / 'epoch_2.pth'),
        options=['default_hooks.checkpoint.rule=less', 'default_hooks.checkpoint.save_best=retrieval/MnR'],
    )
    assert content(first) == before
    assert (tmp_path / 'other/epoch_2.pth').read_text() == "another run's"
    (tmp_path / 'other/epoch_2.pth').unlink()
    assert {path.name for path in (tmp_path / 'other').glob('*.pth')} >= {'epoch_3.pth'}


def test_the_best_checkpoint_comes_along(training, first, whole, tmp_path):
    training.train('other', resume=str(first / 'epoch_2.pth'))
    assert_same_run(tmp_path / 'other', whole, figures=False)  # those of two epochs are in the first folder
