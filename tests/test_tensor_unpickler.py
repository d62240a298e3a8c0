"""The unpickler that torch before 2.6 gets; newer ones take it as ``pickle_module`` too."""

import os
import pickle
import pickletools

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from mmclip4clip.compat import history_buffer_method
from mmclip4clip.safe_pickle import STAND_INS, PlainArray
from mmclip4clip.tensor_unpickler import unpickler_module

from .test_compat import AsksForAnAttribute, ForgesPointers, ReachesThroughGetattr, RunsAFunction

BUFFER = f'{HistoryBuffer.__module__}.HistoryBuffer'
ALLOWED = STAND_INS | {BUFFER: HistoryBuffer, f'{PlainArray.__module__}.PlainArray': PlainArray}
ALLOWED |= {f'{module}.getattr': history_buffer_method for module in ('builtins', '__builtin__')}
MODULE = unpickler_module(ALLOWED)


def load(path):
    return torch.load(path, pickle_module=MODULE, weights_only=False)


@pytest.mark.parametrize('zipped', [True, False])
def test_checkpoints_load_as_with_the_unpickler_of_python(tmp_path, zipped):
    weight = torch.nn.Parameter(torch.arange(6.0).reshape(2, 3)[:, 1:])
    content = dict(
        state_dict=torch.nn.Linear(2, 2).state_dict(),
        weight=weight,
        others=[torch.ones(2, dtype=kind) for kind in (torch.bfloat16, torch.bool, torch.uint8, torch.int64)],
        plain=(1, 2.5, 'x', b'raw', None, True, {3}, torch.float16, torch.Size([2])),
        buffer=HistoryBuffer([1.0, 2.0], [1, 1]),
        best=np.float64(3.0),
    )
    torch.save(content, tmp_path / 'c.pth', _use_new_zipfile_serialization=zipped)
    loaded = load(tmp_path / 'c.pth')
    assert all(torch.equal(loaded['state_dict'][k], v) for k, v in content['state_dict'].items())
    assert torch.equal(loaded['weight'], weight) and type(loaded['weight']) is torch.nn.Parameter
    assert all(torch.equal(a, b) for a, b in zip(loaded['others'], content['others'], strict=True))
    assert loaded['plain'] == content['plain'] and loaded['best'] == 3.0
    assert loaded['buffer'].data[0].tolist() == [1.0, 2.0] and loaded['buffer'].statistics('mean') == 1.5


@pytest.mark.parametrize(
    'harmful', [RunsAFunction, AsksForAnAttribute, ReachesThroughGetattr, ForgesPointers]
)
@pytest.mark.parametrize('zipped', [True, False])
def test_a_malicious_checkpoint_is_refused(tmp_path, monkeypatch, harmful, zipped):
    monkeypatch.chdir(tmp_path)
    torch.save(dict(w=torch.ones(1), extra=harmful()), 'bad.pth', _use_new_zipfile_serialization=zipped)
    with pytest.raises(pickle.UnpicklingError, match='asks for'):
        load('bad.pth')
    assert not os.path.exists('harmed')


def text(module: str, name: str) -> bytes:
    return f'c{module}\n{name}\n'.encode()


REBUILD = text('torch._utils', '_rebuild_tensor_v2')
BUFFERS = text(*BUFFER.rsplit('.', 1))
MKDIR = b'(ios\nmkdir\nX\x06\x00\x00\x00harmed.'
ATTACKS = dict(
    another_call_opcode=MKDIR,
    instance_of_anything=b'(' + text('torch', 'Size') + b'o.',
    newobj_of_a_function=REBUILD + b')\x81.',
    newobj_with_keywords=b'\x80\x04' + BUFFERS + b')}\x92.',
    state_of_a_function=REBUILD + b'}X\x03\x00\x00\x00abcK\x01sb.',
    state_of_a_class=BUFFERS + b'N}X\x04\x00\x00\x00meanK\x01s\x86b.',
    call_of_a_result=text('builtins', 'getattr') + BUFFERS + b'X\x03\x00\x00\x00min\x86R)R.',
    extension=b'\x80\x02\x82\x01.',
    bytes_in_another_encoding=text('_codecs', 'encode') + b'X\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86R.',
)


@pytest.mark.parametrize('attack', ATTACKS.values(), ids=ATTACKS)
def test_forged_opcodes_are_refused(tmp_path, monkeypatch, attack):
    monkeypatch.chdir(tmp_path)
    assert [opcode.name for opcode, *_ in pickletools.genops(attack)][-1] == 'STOP'
    with pytest.raises(pickle.UnpicklingError, match='the file asks for'):
        MODULE.loads(attack)
    assert not os.path.exists('harmed') and callable(HistoryBuffer.mean)
