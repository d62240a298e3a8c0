"""An index together with its model."""

import shutil

import pytest
import torch

import mmclip4clip
from mmclip4clip.apis import search_model
from mmclip4clip.search.index_settings import IndexMismatchError


@pytest.fixture
def made(checkpoint_of, tmp_path):
    """The folder of an empty index and the checkpoint that made it."""
    path = tmp_path / 'mean.pth'
    shutil.copy(checkpoint_of('Mean')[0], path)
    mmclip4clip.create_index(tmp_path / 'index', path, device='cpu').close()
    return tmp_path / 'index', path


def test_a_checkpoint_that_has_not_changed_is_not_digested_again(made, monkeypatch):
    folder, path = made
    monkeypatch.setattr(search_model, 'digest_weights', None)
    for model in (None, path):
        mmclip4clip.open_index(folder, model, device='cpu').close()


def test_a_model_that_was_changed_in_memory_is_refused(made):
    folder, path = made
    model = mmclip4clip.load(path, device='cpu')
    mmclip4clip.open_index(folder, model).close()
    with torch.no_grad():
        next(model.model.parameters()).view(-1)[0] += 1
    with pytest.raises(IndexMismatchError, match='weights'):
        mmclip4clip.open_index(folder, model)


def test_a_checkpoint_that_was_moved_is_named_and_its_new_path_is_taken(made):
    folder, path = made
    moved = path.rename(path.with_name('moved.pth'))
    with pytest.raises(FileNotFoundError, match='made by .*mean.pth, which is not there any more.*--model'):
        mmclip4clip.open_index(folder, device='cpu')
    mmclip4clip.open_index(folder, moved, device='cpu').close()
