import io
import os
import pickle
import random
import zipfile

import pytest
import torch

from mmclip4clip.checkpoint_file import (
    CheckpointFileError,
    DamagedCheckpointError,
    NotACheckpointError,
    verify_checkpoint,
)


def content() -> dict:
    """What a small run saves: weights, moments, counts, text."""
    torch.manual_seed(0)
    return dict(
        meta=dict(epoch=1, seed=3, cfg='model = dict()\n'),
        state_dict={f'w{i}': torch.randn(5, 3) for i in range(3)},
        optimizer=dict(state={0: dict(step=torch.tensor(3.0), exp_avg=torch.randn(4))}),
    )


def saved(what, zipped=True) -> bytes:
    file = io.BytesIO()
    torch.save(what, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def identical(a, b) -> bool:
    """Whether two nested dicts hold the same, bit by bit."""
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(identical(a[k], b[k]) for k in a)
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    return type(a) is type(b) and a == b


def read_flipped(raw: bytes, bit: int) -> object:
    """Read what is left of a file after one of its bits was flipped; None if it is refused."""
    flipped = bytearray(raw)
    flipped[bit // 8] ^= 1 << bit % 8
    try:
        verify_checkpoint(io.BytesIO(flipped))
        return torch.load(io.BytesIO(flipped), weights_only=True)
    except CheckpointFileError:
        return None
    except RuntimeError as error:
        assert 'PytorchStreamReader' in str(error)
        return None


def test_300_flipped_bits_are_refused_or_harmless():
    raw, expected = saved(content()), content()
    bits = random.Random(0).sample(range(8 * len(raw)), 300)
    left = [read_flipped(raw, bit) for bit in bits]
    assert all(got is None or identical(got, expected) for got in left)
    assert sum(got is None for got in left) > 150  # the others hit padding and dates


def test_flipped_bits_of_the_list_of_contents_are_refused_or_harmless():
    raw, expected = saved(content()), content()
    bits = random.Random(0).sample(range(8 * raw.index(b'PK\x01\x02'), 8 * len(raw)), 200)
    assert all(got is None or identical(got, expected) for got in (read_flipped(raw, bit) for bit in bits))


def test_a_tensor_that_is_marked_as_a_folder_is_refused_as_torch_would_not_read_it():
    raw = bytearray(saved(content()))
    entry = raw.rindex(b'PK\x01\x02', 0, raw.rindex(b'archive/data/3'))
    raw[entry + 38] ^= 0x10
    assert not identical(torch.load(io.BytesIO(raw), weights_only=True), content())
    with pytest.raises(DamagedCheckpointError, match='its entry archive/data/3 is marked as a folder'):
        verify_checkpoint(io.BytesIO(raw))


def test_every_flipped_bit_of_a_tensor_is_named():
    raw, weights = saved(dict(w=torch.arange(3.0))), torch.arange(3.0).numpy().tobytes()
    start = raw.index(weights)
    for bit in range(8 * start, 8 * (start + len(weights))):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(
            DamagedCheckpointError,
            match='wrong checksum in its entry archive/data/0, expected [0-9a-f]{8}, got [0-9a-f]{8}',
        ):
            verify_checkpoint(io.BytesIO(flipped))


def test_a_file_cut_short_anywhere_is_called_damaged(tmp_path):
    raw, path = saved(content()), tmp_path / 'epoch_3.pth'
    for size in [0, 1, 4, 30, *range(100, len(raw), 97), len(raw) - 1]:
        path.write_bytes(raw[:size])
        with pytest.raises(DamagedCheckpointError, match='it was cut short' if size else 'it is empty'):
            verify_checkpoint(path)


def test_zeros_where_the_file_system_lost_blocks_are_called_damage(tmp_path):
    raw, path = bytearray(saved(content())), tmp_path / 'epoch_3.pth'
    raw[600:1200] = bytes(600)
    path.write_bytes(raw)
    with pytest.raises(DamagedCheckpointError, match='epoch_3.pth is damaged'):
        verify_checkpoint(path)
    path.write_bytes(bytes(len(raw)))
    with pytest.raises(DamagedCheckpointError, match='its [0-9]+ bytes begin with zeros'):
        verify_checkpoint(path)


def test_whole_files_pass_and_old_ones_have_no_checksums(tmp_path):
    (tmp_path / 'new.pth').write_bytes(saved(content()))
    (tmp_path / 'old.pth').write_bytes(saved(content(), zipped=False))
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), tmp_path / 'script.pt')
    assert verify_checkpoint(tmp_path / 'new.pth') and verify_checkpoint(str(tmp_path / 'script.pt'))
    assert not verify_checkpoint(tmp_path / 'old.pth')


def test_an_open_file_is_left_at_its_start():
    file = io.BytesIO(saved(content()))
    assert verify_checkpoint(file) and file.tell() == 0


@pytest.mark.parametrize(
    'start, what',
    [
        (b'<!DOCTYPE html><html>404</html>', 'a web page'),
        (
            b'version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 3\n',
            'Git LFS: run "git lfs pull"',
        ),
        (b'Not Found', "text that begins with 'Not Found'"),
        (b'\x1f\x8b\x08abc', 'a gzip file'),
        ((40).to_bytes(8, 'little') + b'{"w":{"dtype":"F32"}}', 'a safetensors file'),
        (pickle.dumps(dict(w=1)), 'a pickle that torch.save did not write'),
        (b'\xde\xad\xbe\xef' * 200, 'unknown format'),
    ],
)
def test_what_is_no_checkpoint_is_told_what_it_is(tmp_path, start, what):
    (tmp_path / 'x.pth').write_bytes(start)
    with pytest.raises(NotACheckpointError, match=f'x.pth is not a checkpoint: it is .*{what}'):
        verify_checkpoint(tmp_path / 'x.pth')


def test_folders_pipes_and_nothing_are_named(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    with pytest.raises(NotACheckpointError, match='is a folder'):
        verify_checkpoint(tmp_path)
    with pytest.raises(NotACheckpointError, match='pipe is a pipe or a device'):
        verify_checkpoint(tmp_path / 'pipe')
    with pytest.raises(FileNotFoundError):
        verify_checkpoint(tmp_path / 'none.pth')


def test_torch_alone_would_load_the_flipped_bit():
    raw = bytearray(saved(dict(w=torch.arange(3.0))))
    raw[raw.index(torch.arange(3.0).numpy().tobytes()) + 6] ^= 1
    assert not torch.equal(torch.load(io.BytesIO(raw), weights_only=True)['w'], torch.arange(3.0))
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(raw)).read('archive/data/0')
