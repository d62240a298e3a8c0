import io
import tarfile
from pathlib import Path

import pytest
import torch
from mmengine.fileio import backends
from mmengine.infer import BaseInferencer
from mmengine.runner.checkpoint import CheckpointLoader

from mmclip4clip import checkpoint_guard, compat
from mmclip4clip.checkpoint_file import CheckpointFileError, DamagedCheckpointError, NotACheckpointError
from mmclip4clip.checkpoint_reading import map_checkpoint
from mmclip4clip.checkpoints.io import read_file
from mmclip4clip.models.backbones import CLIPBackbone

from .fresh_process import run_fresh

HARM = "__import__('os').mkdir('harmed')"
TEXTS = dict(
    statement=f'x = 1\n{HARM}\n',
    value=f'model = dict(type={HARM})\n',
    imports='x = 1\nimport antigravity\n',
    base="_base_ = './evil.py'\nx = 1\n",
)


@pytest.fixture(autouse=True)
def _patched():
    compat.apply_patches()


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """Save something in the folder of the test and return its name."""
    monkeypatch.chdir(tmp_path)

    def saved(content, name='c.pth', **options):
        torch.save(content, name, **options)
        return name

    return saved


@pytest.fixture
def flipped(saved):
    """Save a checkpoint with one flipped bit in its last tensor and return its name."""

    def flipped(content, name='c.pth', bit=6):
        saved(content, name)
        with open(name, 'r+b') as file:
            raw = file.read()
            last = list(content['state_dict'].values())[-1].numpy().tobytes()
            position = raw.rindex(last) + bit
            file.seek(position)
            file.write(bytes([raw[position] ^ 1]))
        return name

    return flipped


@pytest.fixture
def log(monkeypatch):
    """Collect what the guard logs."""
    lines = []
    monkeypatch.setattr(checkpoint_guard, 'print_log', lambda text, *_, **__: lines.append(text))
    return lines


@pytest.mark.parametrize('text', TEXTS.values(), ids=TEXTS)
def test_no_config_text_with_code_is_handed_on(saved, tmp_path, text):
    (tmp_path / 'evil.py').write_text(HARM)
    name = saved(
        dict(
            state_dict={},
            meta=dict(cfg=text, config=text, epoch=3),
            message_hub=dict(runtime_info=dict(cfg=text, iter=4)),
        )
    )
    loaded = CheckpointLoader.load_checkpoint(name)
    assert 'config' not in loaded['meta'] and loaded['meta']['epoch'] == 3
    for left in (loaded['meta']['cfg'], loaded['message_hub']['runtime_info']['cfg']):
        assert left in ('x = 1\n', '\n') and 'import' not in left
    assert not (tmp_path / 'harmed').exists()


def test_the_log_names_file_key_and_what_was_left_out(saved, log):
    CheckpointLoader.load_checkpoint(saved(dict(meta=dict(cfg=TEXTS['statement'])), 'evil.pth'))
    assert log == [
        "evil.pth: statements other than plain values in the config text meta['cfg'] were removed and "
        f'not run: {HARM}'
    ]


def test_the_config_that_mmengine_saves_is_handed_on_as_it_is(saved, log):
    text = "model = dict(\n    type='A',\n    keys={'a.b': dict(x=1)})\ncustom_imports = dict(imports=['b'])"
    loaded = CheckpointLoader.load_checkpoint(saved(dict(meta=dict(cfg=text))))
    assert loaded['meta']['cfg'] == text and log == []


@pytest.mark.parametrize(
    'content',
    [
        [],
        {},
        dict(meta=None),
        dict(meta=[1]),
        dict(meta=dict(cfg=7)),
        dict(message_hub=3),
        dict(message_hub=dict(runtime_info=[])),
    ],
)
def test_odd_contents_pass(saved, content):
    CheckpointLoader.load_checkpoint(saved(content))


def test_no_inferencer_builds_a_model_from_the_text_in_a_checkpoint(saved, tmp_path):
    # A plain text is enough: the registry imports and calls any dotted type.
    text = "model = dict(type='os.mkdir', path='harmed')\n"
    name = saved(dict(state_dict={}, meta=dict(cfg=text)))

    class Inferencer(BaseInferencer):
        _init_pipeline = visualize = preprocess = postprocess = None

    with pytest.raises(ValueError, match='give the config of c.pth as model=CONFIG'):
        Inferencer(weights=name, scope='mmaction')
    assert not (tmp_path / 'harmed').exists()


def test_a_flipped_bit_is_refused_by_every_loader(flipped, monkeypatch, tmp_path, tiny_clip):
    weights = dict(w=torch.arange(3.0))
    content = dict(state_dict=weights)
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    (tmp_path / 'hub/checkpoints').mkdir(parents=True)
    flipped(content, 'hub/checkpoints/u.pth')
    monkeypatch.setenv('MMENGINE_HOME', str(tmp_path))
    raw = (tmp_path / flipped(content)).read_bytes()
    monkeypatch.setattr(backends.PetrelBackend, '__init__', lambda self, **_: None)
    monkeypatch.setattr(backends.PetrelBackend, 'get', lambda self, path: raw)
    for name in ('c.pth', 'https://example.org/u.pth', 's3://bucket/c.pth', str(tmp_path / 'c.pth')):
        with pytest.raises(DamagedCheckpointError, match='wrong checksum in its entry .*/data/0, expected'):
            CheckpointLoader.load_checkpoint(name)
    with pytest.raises(DamagedCheckpointError, match='c.pth is damaged: wrong checksum'):
        read_file(tmp_path / 'c.pth')
    backbone = CLIPBackbone(config=tiny_clip, init_cfg=dict(type='Pretrained', checkpoint='c.pth'))
    with pytest.raises(DamagedCheckpointError, match='c.pth is damaged: wrong checksum'):
        backbone.init_weights()


def test_a_flipped_bit_of_a_torchscript_archive_is_refused(saved, tmp_path):
    module = torch.nn.Linear(3, 1)
    torch.jit.save(torch.jit.script(module), tmp_path / 's.pt')
    raw = bytearray((tmp_path / 's.pt').read_bytes())
    raw[raw.index(module.weight.detach().numpy().tobytes()) + 1] ^= 4
    (tmp_path / 's.pt').write_bytes(raw)
    with pytest.raises(DamagedCheckpointError, match=r's.pt is damaged: wrong checksum'):
        read_file(tmp_path / 's.pt')


@pytest.mark.filterwarnings('ignore:.torch.load. received a zip file that looks like a TorchScript')
def test_a_torchscript_archive_is_called_a_program_where_none_is_expected(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), tmp_path / 's.pt')
    with pytest.raises(CheckpointFileError, match='s.pt was refused .* archive, which is a program'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 's.pt'))


def test_old_files_load_and_the_log_says_what_they_lack(saved, log):
    name = saved(dict(w=torch.ones(2)), _use_new_zipfile_serialization=False)
    assert CheckpointLoader.load_checkpoint(name)['w'].tolist() == [1, 1]
    assert 'c.pth is in the format of torch before 1.6, which has no checksums' in log[0]


def test_old_files_that_were_cut_short_are_called_damaged(saved, tmp_path):
    raw = (tmp_path / saved(dict(w=torch.ones(99)), _use_new_zipfile_serialization=False)).read_bytes()
    for size in (20, 60, 200, len(raw) // 2, len(raw) - 1):
        (tmp_path / 'cut.pth').write_bytes(raw[:size])
        with pytest.raises(DamagedCheckpointError, match='cut.pth is damaged, cut short or with other bytes'):
            CheckpointLoader.load_checkpoint('cut.pth')


def test_the_name_of_what_was_refused_is_said(saved):
    name = saved(dict(module=torch.nn.Linear(1, 1)))
    with pytest.raises(CheckpointFileError, match='c.pth was refused .* asks for torch.nn.modules.linear'):
        CheckpointLoader.load_checkpoint(name)


def test_a_folder_is_called_a_folder(tmp_path):
    with pytest.raises(NotACheckpointError, match='is a folder'):
        CheckpointLoader.load_checkpoint(str(tmp_path))


def test_lack_of_memory_is_no_fault_of_the_file(saved, monkeypatch):
    def no_memory(*_, **__):
        raise torch.cuda.OutOfMemoryError('CUDA out of memory')

    name = saved({})
    monkeypatch.setattr(torch, 'load', no_memory)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        CheckpointLoader.load_checkpoint(name)


def test_a_read_of_the_loader_gives_what_was_saved(saved):
    torch.manual_seed(0)
    weights = torch.randn(4, 4)
    assert torch.equal(CheckpointLoader.load_checkpoint(saved(dict(w=weights)))['w'], weights)


@pytest.mark.filterwarnings('ignore:.torch.load. received a zip file that looks like a TorchScript')
def test_no_torchscript_archive_reaches_a_torch_that_would_run_it(tmp_path, monkeypatch):
    """torch before 2.6 hands it to torch.jit.load in spite of weights_only=True."""
    path = str(tmp_path / 's.pt')
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), path)
    monkeypatch.setattr(torch, 'load', torch.jit.load)
    for load in (CheckpointLoader.load_checkpoint, map_checkpoint, checkpoint_guard.VerifiedTorch.load):
        with pytest.raises(CheckpointFileError, match='s.pt was refused .* archive, which is a program'):
            load(path)
    with open(path, 'rb') as file, pytest.raises(CheckpointFileError, match='which is a program'):
        checkpoint_guard.load_plain(file)


def test_a_tar_archive_that_begins_as_an_old_checkpoint_is_refused(tmp_path):
    """torch before 2.6 would unpack it."""
    path = tmp_path / 'c.pth'
    with tarfile.open(path, 'w', format=tarfile.GNU_FORMAT, encoding='latin1') as archive:
        archive.addfile(tarfile.TarInfo('\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.'), io.BytesIO())
    assert path.read_bytes().startswith(b'\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.')
    with pytest.raises(NotACheckpointError, match='c.pth is not a checkpoint: it is'):
        CheckpointLoader.load_checkpoint(str(path))


ONEDL = """
import os, pickle, torch
from mmengine.runner import checkpoint

class RunsAFunction:
    def __reduce__(self):
        return os.mkdir, ('harmed',)

torch.save(dict(state_dict={}, extra=RunsAFunction()), 'bad.pth')
if not hasattr(checkpoint, '_safe_torch_load'):  # as in onedl-mmengine 0.10.12
    def _safe_torch_load(file, map_location=None, weights_only=None):
        try:
            return checkpoint.torch.load(file, map_location=map_location, weights_only=True)
        except pickle.UnpicklingError:
            return torch.load(file, map_location=map_location, weights_only=False)

    def load_from_local(filename, map_location):
        return checkpoint._safe_torch_load(filename, map_location=map_location)

    checkpoint._safe_torch_load = _safe_torch_load
    checkpoint.CheckpointLoader._schemes[''] = load_from_local
    checkpoint.CheckpointLoader._schemes = dict(checkpoint.CheckpointLoader._schemes)
import mmclip4clip

mmclip4clip.compat.apply_patches()
for load in (checkpoint._load_checkpoint, checkpoint._safe_torch_load):
    try:
        load('bad.pth')
    except RuntimeError as error:
        print('refused' if 'was refused' in str(error) else error)
print(os.path.exists('harmed'))
"""


def test_the_loader_of_onedl_mmengine_does_not_fall_back_to_running_code(tmp_path):
    done = run_fresh(ONEDL, folder=tmp_path, package=Path(__file__).parents[1])
    assert done.printed.split()[-3:] == ['refused', 'refused', 'False'], done.printed
