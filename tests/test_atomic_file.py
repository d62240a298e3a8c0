import os
import resource
import signal

import pytest
import torch
from mmengine.fileio import get_file_backend
from mmengine.runner.checkpoint import save_checkpoint

from mmclip4clip.atomic_file import atomic_file, remove_unfinished


@pytest.fixture
def full_disk():
    """Let no file grow over 1,000 bytes, as on a disk that is full."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_leaves_the_old_file_and_is_named(tmp_path, full_disk):
    path = tmp_path / 'epoch_1.pth'
    path.write_bytes(b'whole')
    with pytest.raises(OSError, match='that was there before is untouched: .*epoch_1.pth'):
        save_checkpoint(dict(w=torch.ones(5000)), str(path))
    assert path.read_bytes() == b'whole' and os.listdir(tmp_path) == ['epoch_1.pth']


def test_a_file_takes_its_name_only_when_it_is_whole(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('old')
    with atomic_file(path, 'w') as file:
        file.write('größer')
        file.flush()
        assert path.read_text() == 'old'
    assert path.read_text(encoding='utf-8') == 'größer'
    with pytest.raises(KeyError), atomic_file(path, 'w') as file:
        file.write('half')
        raise KeyError
    assert path.read_text(encoding='utf-8') == 'größer' and os.listdir(tmp_path) == ['a.txt']


def test_only_unfinished_files_are_removed(tmp_path):
    for name in ('epoch_1.pth', 'epoch_2.pth.unfinished', 'notes.tmp'):
        (tmp_path / name).touch()
    (tmp_path / 'metrics.json.unfinished').touch()
    assert [path.name for path in remove_unfinished(tmp_path, keep=['metrics.json'])] == [
        'epoch_2.pth.unfinished'
    ]
    assert [path.name for path in remove_unfinished(tmp_path)] == ['metrics.json.unfinished']
    assert sorted(os.listdir(tmp_path)) == ['epoch_1.pth', 'notes.tmp']


def test_mmengine_saves_in_new_folders_and_into_what_is_no_file(tmp_path):
    save_checkpoint(dict(w=torch.ones(5)), str(tmp_path / 'new/deep/c.pth'))
    assert torch.load(tmp_path / 'new/deep/c.pth', weights_only=True)['w'].sum() == 5
    get_file_backend('/dev/null').put(b'gone', '/dev/null')
    assert not os.path.isfile('/dev/null')
