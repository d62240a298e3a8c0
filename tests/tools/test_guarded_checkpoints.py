import os

import pytest
import torch

import mmclip4clip

from .conftest import weights

HARM = "__import__('os').mkdir('harmed')"


@pytest.fixture
def trained(tool, config):
    """Train and return the checkpoint of the first epoch."""
    tool('train.py', config, '--work-dir', 'w', '--no-validate')
    return 'w/epoch_1.pth'


def test_resuming_runs_nothing_and_passes_nothing_on(tool, config, trained, tmp_path):
    content = torch.load(trained, weights_only=True)
    hostile = {'config': f'{HARM}\n', 'cfg': f'model = dict()\n{HARM}\n'}
    content['meta'].update(hostile)
    content['message_hub']['runtime_info']['cfg'] = "_base_ = './evil.py'\n"
    (tmp_path / 'w/evil.py').write_text(HARM)
    torch.save(content, trained)
    tool('train.py', config, '--work-dir', 'w', '--no-validate', '--resume', trained)
    tool('test.py', config, trained, '--work-dir', 't')
    assert not (tmp_path / 'harmed').exists()
    after = torch.load('w/epoch_2.pth', weights_only=True)
    assert after['meta']['epoch'] == 2 and 'mkdir' not in after['meta']['cfg']
    assert 'evil' not in after['message_hub']['runtime_info']['cfg']


def refuse_everywhere(tool, config: str, file: str, message: str) -> None:
    """Check that each way of a checkpoint into a run, a conversion and the API ends with the message."""
    pretrained = 'model.backbone.init_cfg.type=Pretrained', f'model.backbone.init_cfg.checkpoint={file}'
    for name, *flags in (
        ('train.py', config, '--resume', file),
        ('train.py', config, '--cfg-options', f'load_from={file}'),
        ('train.py', config, '--cfg-options', *pretrained),
        ('test.py', config, file),
    ):
        with pytest.raises(RuntimeError, match=message):
            tool(name, *flags, '--work-dir', 'w2')
    with pytest.raises(SystemExit, match=message):
        tool('model_converters/convert.py', file, 'out.bin')
    for given in (None, config):
        with pytest.raises(RuntimeError, match=message):
            mmclip4clip.load(file, config=given)


def test_a_flipped_bit_is_refused_at_every_entrance(tool, config, trained, tmp_path):
    last = list(weights(trained).values())[-1].numpy().tobytes()
    raw = bytearray((tmp_path / trained).read_bytes())
    raw[raw.index(last) + 2] ^= 8
    (tmp_path / 'w/bad.pth').write_bytes(raw)
    message = 'bad.pth is damaged: wrong checksum in its entry archive/data/'
    refuse_everywhere(tool, config, 'w/bad.pth', message)


class RunsAFunction:
    def __reduce__(self):
        return os.mkdir, ('harmed',)


@pytest.mark.parametrize('is_zip', [True, False])
def test_a_file_that_would_run_code_is_refused_at_every_entrance(tool, config, tmp_path, is_zip):
    content = dict(state_dict={}, meta=dict(epoch=1, iter=2), extra=RunsAFunction())
    torch.save(content, tmp_path / 'bad.pth', _use_new_zipfile_serialization=is_zip)
    refuse_everywhere(tool, config, 'bad.pth', 'bad.pth was refused')
    assert not (tmp_path / 'harmed').exists()
