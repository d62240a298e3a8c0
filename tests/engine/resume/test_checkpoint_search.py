import shutil

import pytest
import torch

from mmclip4clip.engine.resume import checkpoint_folder, find_checkpoint

from .checkpoints import cut_short, flip_bit, write_checkpoint


@pytest.fixture
def run(tmp_path):
    """A run of three epochs that has saved each, with the absolute path that mmengine writes."""
    folder = tmp_path / 'run'
    for epoch in (1, 2, 3):
        write_checkpoint(folder / f'epoch_{epoch}.pth', epoch, 2 * epoch)
    (folder / 'last_checkpoint').write_text(str(folder / 'epoch_3.pth'))
    return folder


def found(folder, **kwargs) -> str:
    path = find_checkpoint(str(folder), **kwargs)
    return path and path.removeprefix(f'{folder}/')


def test_the_last_checkpoint_is_taken(run):
    assert found(run) == 'epoch_3.pth'
    (run / 'last_checkpoint').write_text('epoch_2.pth\n')
    assert found(run) == 'epoch_2.pth'  # what the folder says counts, so one can go back


def test_a_copied_run_goes_on_from_its_own_folder(run, tmp_path):
    copy = tmp_path / 'copy'
    shutil.copytree(run, copy)
    assert found(copy) == 'epoch_3.pth'
    shutil.rmtree(run)
    assert found(copy) == 'epoch_3.pth'


@pytest.mark.parametrize(
    'damage, reason',
    [
        (flip_bit, 'epoch_3.pth is damaged: wrong checksum'),
        (cut_short, 'epoch_3.pth is damaged: '),
        (lambda path: path.write_bytes(b''), 'epoch_3.pth is damaged: it is empty'),
        (lambda path: path.write_bytes(bytes(3000)), 'epoch_3.pth is damaged: .*zero'),
        (lambda path: path.unlink(), 'last_checkpoint refers to epoch_3.pth, which does not exist in'),
        (lambda path: torch.save([1], path), 'epoch_3.pth contains a list, expected a dict'),
    ],
    ids=['bit', 'short', 'empty', 'zeros', 'missing', 'foreign'],
)
def test_one_that_is_not_whole_is_named_and_the_one_before_is_taken(run, warned, damage, reason):
    damage(run / 'epoch_3.pth')
    assert found(run) == 'epoch_2.pth'
    warned(reason)


def test_it_goes_back_as_far_as_it_must(run):
    flip_bit(run / 'epoch_3.pth')
    cut_short(run / 'epoch_2.pth')
    assert found(run) == 'epoch_1.pth'
    flip_bit(run / 'epoch_1.pth')
    with pytest.raises(
        RuntimeError, match='none of the checkpoints in .* can be resumed.* use another --work-dir'
    ):
        found(run)  # to begin anew would write over what can perhaps be saved


def test_what_another_run_left_ahead_is_not_taken(run):
    (run / 'last_checkpoint').write_text('epoch_2.pth')
    flip_bit(run / 'epoch_2.pth')
    assert found(run) == 'epoch_1.pth'


@pytest.mark.parametrize('content', [None, '', '\n', '\0\0\0\0'])
def test_without_a_readable_name_the_furthest_is_taken_by_its_iterations(run, content):
    write_checkpoint(run / 'epoch_10.pth', 10, 20)
    write_checkpoint(run / 'iter_21.pth', 10, 21)
    (run / 'last_checkpoint').unlink()
    if content is not None:
        (run / 'last_checkpoint').write_text(content)
    assert found(run) == 'iter_21.pth'
    (run / 'iter_21.pth').unlink()
    assert found(run) == 'epoch_10.pth'  # not epoch_3, as by names


def test_files_from_which_no_training_can_go_on_are_no_candidates(run):
    for path in run.iterdir():
        path.unlink()
    write_checkpoint(run / 'epoch_3-0a1b2c3d.pth', 3, 6)  # published
    write_checkpoint(run / 'best_R1_epoch_3.pth', 3, 6)
    (run / 'epoch_4.pth.unfinished').write_bytes(b'')
    assert found(run) is None
    torch.save(dict(state_dict={}, meta=dict(epoch=5, iter=10)), run / 'epoch_5.pth')
    with pytest.raises(RuntimeError, match='none of the checkpoints in .* can be resumed'):
        found(run)


def test_an_empty_or_missing_folder_has_none(tmp_path):
    (tmp_path / 'last_checkpoint').write_text('')
    assert found(tmp_path) is None and found(tmp_path / 'none') is None


def test_out_dir_and_template_of_the_hook_are_followed(run, tmp_path):
    shutil.move(run, tmp_path / 'store' / 'run')
    (tmp_path / 'store/run/epoch_2.pth').rename(tmp_path / 'store/run/model-2.pth')
    run.mkdir()
    (run / 'last_checkpoint').write_text('/elsewhere/model-2.pth')
    assert checkpoint_folder(f'{run}/', tmp_path / 'store') == str(tmp_path / 'store/run')
    path = find_checkpoint(str(run), tmp_path / 'store', 'model-{}.pth')
    assert path == str(tmp_path / 'store/run/model-2.pth')
