import pytest

from mmclip4clip.engine.resume import best_checkpoint
from mmclip4clip.engine.resume.best_checkpoint import bring_best_checkpoint
from mmclip4clip.engine.resume.run_check import KEY

from .checkpoints import write_checkpoint


@pytest.fixture
def save(tmp_path):
    """Save the best checkpoint of a run in a folder."""

    def save(folder, run_id):
        meta = {KEY: run_id and dict(run=dict(id=run_id))}
        return write_checkpoint(tmp_path / folder / 'best.pth', 1, 2, meta=meta)

    return save


def test_the_best_checkpoint_is_copied_from_beside_the_resumed_one(save, tmp_path):
    first = save('old', 'a')
    (tmp_path / 'new').mkdir()
    path = tmp_path / 'new/best.pth'
    assert bring_best_checkpoint(path, str(tmp_path / 'old/epoch_3.pth'), 'a')
    assert path.read_bytes() == first.read_bytes()


def test_only_the_main_process_copies(save, tmp_path, monkeypatch):
    monkeypatch.setattr(best_checkpoint, 'is_main_process', lambda: False)
    save('old', 'a')
    (tmp_path / 'new').mkdir()
    assert bring_best_checkpoint(tmp_path / 'new/best.pth', str(tmp_path / 'old/epoch_3.pth'), 'a')
    assert not list((tmp_path / 'new').iterdir())


@pytest.mark.parametrize('run_id, of_this_run', [('a', True), ('b', False), (None, False)])
def test_a_file_that_is_there_is_kept_and_counts_if_it_is_of_the_run(save, tmp_path, run_id, of_this_run):
    save('old', 'a')
    path = save('new', run_id)
    before = path.read_bytes()
    assert bring_best_checkpoint(path, str(tmp_path / 'old/epoch_3.pth'), 'a') == of_this_run
    assert path.read_bytes() == before


def test_a_damaged_file_is_not_of_the_run(save, tmp_path):
    save('old', 'a')
    path = save('new', 'a')
    path.write_bytes(b'damaged')
    assert not bring_best_checkpoint(path, str(tmp_path / 'old/epoch_3.pth'), 'a')
    assert path.read_bytes() == b'damaged'


def test_without_a_best_checkpoint_nothing_is_copied(tmp_path):
    assert not bring_best_checkpoint(tmp_path / 'best.pth', str(tmp_path / 'old/epoch_3.pth'), 'a')
