import io
import os
import zipfile
from pathlib import Path

import pytest
import torch
from mmengine.logging import HistoryBuffer

from mmclip4clip.checkpoint_file import CheckpointFileError, DamagedCheckpointError, RefusedCheckpointError
from mmclip4clip.checkpoint_reading import load_checkpoint, map_checkpoint


class RunsAFunction:
    def __reduce__(self):
        return os.mkdir, ('harmed',)


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A checkpoint as mmengine saves it."""
    monkeypatch.chdir(tmp_path)
    content = dict(
        state_dict=dict(w=torch.arange(1000.0)),
        meta=dict(epoch=3),
        message_hub=dict(log_scalars={'train/loss': HistoryBuffer([1.0, 2.0], [1, 1])}),
    )
    torch.save(content, 'c.pth')
    return Path('c.pth')


def replace_pickle(path: Path, data: bytes) -> None:
    """Replace what a checkpoint describes, with correct checksums."""
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as old, zipfile.ZipFile(path, 'w') as new:
        for name in old.namelist():
            new.writestr(name, data if name.endswith('data.pkl') else old.read(name))


@pytest.mark.parametrize('read', [load_checkpoint, map_checkpoint])
def test_what_mmengine_saves_is_read(path, read):
    content = read(path)
    assert torch.equal(content['state_dict']['w'], torch.arange(1000.0))
    assert content['meta'] == dict(epoch=3)
    assert content['message_hub']['log_scalars']['train/loss'].mean() == 1.5


def test_only_a_mapped_checkpoint_leaves_its_tensors_in_the_file(path):
    loaded = load_checkpoint(path)
    assert 'c.pth' not in Path('/proc/self/maps').read_text()
    mapped = map_checkpoint(path)
    assert 'c.pth' in Path('/proc/self/maps').read_text()
    assert torch.equal(mapped['state_dict']['w'], loaded['state_dict']['w'])


def test_only_a_loaded_checkpoint_is_verified(path):
    raw = bytearray(path.read_bytes())
    raw[raw.index(torch.arange(1000.0).numpy().tobytes()) + 402] ^= 1
    path.write_bytes(raw)
    assert map_checkpoint(path)['state_dict']['w'][100] != 100
    with pytest.raises(DamagedCheckpointError, match='c.pth is damaged: wrong checksum'):
        load_checkpoint(path)


@pytest.mark.parametrize('read', [load_checkpoint, map_checkpoint])
def test_code_is_refused_and_not_run(path, read):
    torch.save(dict(state_dict=RunsAFunction()), path)
    with pytest.raises(RefusedCheckpointError, match='c.pth was refused .* asks for posix.mkdir') as error:
        read(path)
    assert not Path('harmed').exists() and 'weights_only' not in str(error.value)


# Errors without a message, with a message of several lines, and of each type that an unpickler raises.
PICKLES = dict(
    empty=b'', no_stack=b'.', no_mark=b'(', no_memo=b'h\x05.', no_list=b'}]s.', cut_number=b'\x80\x02J\1'
)


@pytest.mark.parametrize('data', PICKLES.values(), ids=PICKLES)
@pytest.mark.parametrize('read', [load_checkpoint, map_checkpoint])
def test_a_file_that_describes_nothing_is_named(path, read, data):
    replace_pickle(path, data)
    with pytest.raises(CheckpointFileError, match='c.pth could not be loaded as a checkpoint: .'):
        read(path)


@pytest.mark.parametrize('size', [0, 1, 100, 1000])
@pytest.mark.parametrize('read', [load_checkpoint, map_checkpoint])
def test_a_truncated_file_is_named(path, read, size):
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CheckpointFileError, match='c.pth (is damaged|could not be loaded)'):
        read(path)


@pytest.mark.parametrize('read', [load_checkpoint, map_checkpoint])
def test_a_missing_file_is_called_missing(path, read):
    with pytest.raises(FileNotFoundError, match='none.pth'):
        read('none.pth')
