import json
import re

import pytest
import torch

from ..extras import needs_peft
from .conftest import weights

pytestmark = needs_peft


@pytest.fixture
def lora_config(config, tmp_path):
    path = tmp_path / 'lora.py'
    path.write_text(
        f"_base_ = '{config}'\n"
        'model = dict(backbone=dict(lora=dict(r=4, alpha=8), gradient_checkpointing=True))\n'
    )
    return str(path)


def scores(folder):
    return json.loads((folder / 'metrics.json').read_text())[-1]


def test_a_training_with_lora_resumes_is_tested_and_is_merged(tool, config, lora_config, tmp_path, capfd):
    whole, stopped = tmp_path / 'whole', tmp_path / 'stopped'
    tool('train.py', lora_config, '--work-dir', whole)
    log = capfd.readouterr()
    log = log.out + log.err
    counts = re.search(r'trained parameters: ([\d,]+) of ([\d,]+) \((\d+\.\d+)%\)', log)
    trained, total = (int(count.replace(',', '')) for count in counts.groups()[:2])
    lora = 2 * 2 * 2 * 4 * (32 + 32)  # towers, blocks, layers; r; in and out
    adapter = sum(v.numel() for k, v in weights(whole / 'epoch_2.pth').items() if k.startswith('adapter.'))
    assert trained == lora + adapter + 1 and counts[3] == f'{100 * trained / total:.2f}'
    assert len(re.findall('trained parameters', log)) == len(re.findall('peak memory of', log)) == 1

    first, last = (weights(whole / f'epoch_{epoch}.pth') for epoch in (1, 2))
    moved = {key for key in last if not torch.equal(first[key], last[key])}
    assert moved and {key for key in moved if 'lora_' not in key and not key.startswith('adapter.')} <= {
        'backbone.clip.logit_scale'
    }
    stopped.mkdir()
    tool('train.py', lora_config, '--work-dir', stopped, '--resume', whole / 'epoch_1.pth')
    resumed = weights(stopped / 'epoch_2.pth')
    assert resumed.keys() == last.keys() and all(torch.equal(resumed[key], last[key]) for key in last)

    tool('model_converters/convert.py', whole / 'epoch_2.pth', tmp_path / 'merged.pth')
    for options in (lora_config, whole / 'epoch_2.pth'), (config, tmp_path / 'merged.pth'):
        folder = tmp_path / options[1].stem
        tool('test.py', *options, '--work-dir', folder)
    results = [
        {k: v for k, v in scores(tmp_path / name).items() if k.startswith('retrieval/')}
        for name in ('epoch_2', 'merged')
    ]
    assert results[0] and results[0] == results[1]
