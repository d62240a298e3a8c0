import pytest
import torch

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


def test_a_flipped_bit_is_refused_at_every_entrance(tool, config, trained, tmp_path):
    last = list(weights(trained).values())[-1].numpy().tobytes()
    raw = bytearray((tmp_path / trained).read_bytes())
    raw[raw.index(last) + 2] ^= 8
    (tmp_path / 'w/bad.pth').write_bytes(raw)
    message = 'bad.pth is damaged: wrong checksum in its entry archive/data/'
    for name, *flags in (
        ('train.py', config, '--resume', 'w/bad.pth'),
        ('train.py', config, '--cfg-options', 'load_from=w/bad.pth'),
        (
            'train.py',
            config,
            '--cfg-options',
            'model.backbone.init_cfg.type=Pretrained',
            'model.backbone.init_cfg.checkpoint=w/bad.pth',
        ),
        ('test.py', config, 'w/bad.pth'),
    ):
        with pytest.raises(RuntimeError, match=message):
            tool(name, *flags, '--work-dir', 'w2')
    with pytest.raises(SystemExit, match=message):
        tool('model_converters/convert.py', 'w/bad.pth', 'out.bin')
