import os

import pytest
import torch

from mmclip4clip.checkpoints.io import atomic_path, check_destination, is_torchscript, read_file


class RunsAFunction:
    def __reduce__(self):
        return os.mkdir, ('harmed',)


def test_a_file_that_would_run_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(dict(state_dict={}, extra=RunsAFunction()), 'bad.pt')
    with pytest.raises(RuntimeError, match='bad.pt was refused .* nothing in it was run'):
        read_file(tmp_path / 'bad.pt')
    assert not (tmp_path / 'harmed').exists()


def test_an_archive_is_told_from_a_saved_dict(tmp_path):
    torch.save(dict(constants=torch.ones(1)), tmp_path / 'new.pt')
    torch.save(torch.ones(1), tmp_path / 'old.pt', _use_new_zipfile_serialization=False)
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), tmp_path / 'archive.pt')
    paths = [tmp_path / f'{name}.pt' for name in ('new', 'old', 'archive')]
    assert [is_torchscript(path) for path in paths] == [False, False, True]
    assert read_file(tmp_path / 'archive.pt').keys() == {'weight', 'bias'}
    assert read_file(tmp_path / 'old.pt') == 1


def test_what_exists_is_replaced_only_when_asked(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(FileExistsError, match='file exists: --force replaces it'):
        check_destination(tmp_path / 'file', folder=False)
    check_destination(tmp_path / 'file', folder=False, force=True)
    check_destination(tmp_path / 'other', folder=False)
    with pytest.raises(FileNotFoundError, match='no folder .*/none to write x.pth in'):
        check_destination(tmp_path / 'none/x.pth', folder=False)


def test_force_replaces_no_folder_with_anything_else_in_it(tmp_path):
    (tmp_path / 'clip').mkdir()
    (tmp_path / 'clip/config.json').touch()
    check_destination(tmp_path / 'clip', True, ('config.json',), force=True)
    with pytest.raises(FileExistsError, match='is a folder and is not replaced by a file'):
        check_destination(tmp_path / 'clip', False, force=True)
    (tmp_path / 'clip/thesis.tex').touch()
    with pytest.raises(FileExistsError, match='not replaced, because it also contains thesis.tex'):
        check_destination(tmp_path / 'clip', True, ('config.json',), force=True)
    (tmp_path / 'file').touch()
    with pytest.raises(FileExistsError, match='is a file and is not replaced by a folder'):
        check_destination(tmp_path / 'file', True, force=True)


@pytest.mark.parametrize('folder', [True, False])
@pytest.mark.parametrize('exists', [True, False])
def test_a_failure_leaves_everything_as_it_was(tmp_path, folder, exists):
    def put(path, text):
        if folder:
            path.mkdir()
        (path / 'a' if folder else path).write_text(text)

    target = tmp_path / 'target'
    if exists:
        put(target, 'old')
    before = sorted(tmp_path.rglob('*'))
    with pytest.raises(OSError, match='disk full'), atomic_path(target) as partial:
        put(partial, 'new')
        raise OSError('disk full')
    assert sorted(tmp_path.rglob('*')) == before
    with pytest.raises(FileNotFoundError), atomic_path(target):
        pass
    assert sorted(tmp_path.rglob('*')) == before
    with atomic_path(target) as partial:
        put(partial, 'new')
        assert target.exists() == exists
    assert (target / 'a' if folder else target).read_text() == 'new'
    assert len(list(tmp_path.iterdir())) == 1
