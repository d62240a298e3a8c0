import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from mmclip4clip.evaluation import read_dump

from .conftest import free_port, query_bank, weights


def same(a, b):
    return all(torch.equal(a[k], b[k]) for k in a)


def test_a_seed_on_the_command_line_wins_and_repeats_bit_by_bit(tool, config):
    for folder, seed in (('a', 0), ('b', 0), ('c', 1)):
        tool('train.py', config, '--seed', seed, '--deterministic', '--work-dir', folder)
    assert same(weights('a/epoch_2.pth'), weights('b/epoch_2.pth'))
    assert not same(weights('a/epoch_2.pth'), weights('c/epoch_2.pth'))
    assert torch.load('a/epoch_2.pth', weights_only=True)['meta']['seed'] == 0


def test_training_reports_each_evaluation(tool, config, tmp_path):
    options = ['default_hooks.report.gallery=2', 'train_dataloader.num_workers=1']
    tool('train.py', config, '--work-dir', 'w', '--cfg-options', *options)
    entries = json.loads((tmp_path / 'w/metrics.json').read_text())
    assert [(e['stage'], e['epoch'], e['iter']) for e in entries] == [('val', 1, 2), ('val', 2, 4)]
    assert 0 <= entries[0]['retrieval/R1'] <= 100 and 'retrieval/v2t_MnR' in entries[0]
    assert (tmp_path / 'w/gallery/val.png').stat().st_size > 10_000
    log = next((tmp_path / 'w').glob('*/*.log')).read_text()
    assert '48 captions, 16 videos' in log and 'metrics.json' in log and '│ text to video │' in log
    assert 'test.json; every caption is a query; video to text by caption_groups: the captions' in log
    scalars = next((tmp_path / 'w').glob('*/vis_data/scalars.json')).read_text()
    assert 'retrieval/R1' in scalars


def test_resuming_goes_on_exactly_where_it_stopped(tool, config, tmp_path):
    tool('train.py', config, '--work-dir', 'whole', '--seed', 0, '--deterministic')
    shutil.copytree('whole', 'stopped')  # as if stopped after the first epoch
    os.remove('stopped/epoch_2.pth')
    (tmp_path / 'stopped/last_checkpoint').write_text('stopped/epoch_1.pth')
    best = torch.load('stopped/epoch_1.pth', weights_only=True)['message_hub']['runtime_info']['best_score']
    (tmp_path / 'stopped/metrics.json').write_text(
        json.dumps(json.loads((tmp_path / 'whole/metrics.json').read_text())[:1])
    )

    tool('train.py', config, '--work-dir', 'stopped', '--resume', '--seed', 0, '--deterministic')
    whole, done = (torch.load(f'{name}/epoch_2.pth', weights_only=True) for name in ('whole', 'stopped'))
    assert same(whole['state_dict'], done['state_dict'])
    assert done['meta']['epoch'] == 2 and done['meta']['iter'] == 4
    assert done['message_hub']['runtime_info']['best_score'] >= best
    assert len(done['message_hub']['log_scalars']['train/loss'].data[0]) == 4
    assert done['param_schedulers'] == whole['param_schedulers']
    assert done['optimizer']['state'][0]['step'] == 4
    entries = [json.loads((tmp_path / name / 'metrics.json').read_text()) for name in ('whole', 'stopped')]
    assert [e['epoch'] for e in entries[1]] == [1, 2]
    assert entries[1][1]['checkpoint'] == 'stopped/epoch_1.pth'  # errors of a resumed run name it too
    assert [e['retrieval/MnR'] for e in entries[0]] == [e['retrieval/MnR'] for e in entries[1]]


def test_other_flags(tool, config, tmp_path):
    tool(
        'train.py',
        config,
        '--no-validate',
        '--auto-scale-lr',
        '--work-dir',
        'w',
        '--cfg-options',
        'train_cfg.max_epochs=1',
    )
    assert not (tmp_path / 'w/metrics.json').exists()
    state = torch.load('w/epoch_1.pth', weights_only=True)
    assert state['optimizer']['param_groups'][0]['initial_lr'] == pytest.approx(5e-4)


def test_amp_does_not_go_with_every_wrapper(tool, config):
    with pytest.raises(ValueError, match="--amp does not support optim_wrapper.type='ApexOptimWrapper'"):
        tool('train.py', config, '--amp', '--cfg-options', 'optim_wrapper.type=ApexOptimWrapper')


def test_auto_scale_lr_needs_a_base(tool, config):
    with pytest.raises(ValueError, match='auto_scale_lr.base_batch_size'):
        tool('train.py', config, '--auto-scale-lr', '--cfg-options', 'auto_scale_lr._delete_=True')


@pytest.mark.parametrize(
    'key, value, message',
    [
        ('ann_file', 'none.json', 'ann_file .*none.json does not exist'),
        ('caption_mode', 'every', "caption_mode must be one of .* got 'every'"),
        ('data_prefix.video', 'elsewhere', '16 of the 16 videos .*train.json do not exist'),
    ],
)
def test_bad_data_is_named_before_training(tool, config, key, value, message):
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        tool('train.py', config, '--cfg-options', f'train_dataloader.dataset.{key}={value}')


def test_an_unwritable_work_dir_is_named(tool, config, tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(OSError, match='work dir file/w cannot be written'):
        tool('train.py', config, '--work-dir', 'file/w')


def test_a_checkpoint_of_another_architecture_is_not_resumed(tool, config):
    tool('train.py', config, '--work-dir', 'w', '--cfg-options', 'train_cfg.max_epochs=1')
    with pytest.raises(RuntimeError, match='w/epoch_1.pth.* does not match .*unexpected keys'):
        tool(
            'train.py',
            config,
            '--work-dir',
            'v',
            '--resume',
            'w/epoch_1.pth',
            '--cfg-options',
            'model.adapter._delete_=True',
            'model.adapter.type=MeanAdapter',
        )


@pytest.mark.long  # test_start_scripts.py: the script, and what its launcher sets for each process
def test_dist_scripts_train_with_several_processes(config, tmp_path):
    script = os.path.join(os.path.dirname(__file__), '..', '..', 'tools', 'dist_train.sh')
    environment = dict(
        os.environ,
        PORT=free_port(),
        OMP_NUM_THREADS='1',
        PATH=os.path.dirname(sys.executable) + os.pathsep + os.environ['PATH'],
    )
    done = subprocess.run(
        [
            'bash',
            script,
            config,
            '2',
            '--work-dir',
            'w',
            '--no-validate',
            '--cfg-options',
            'train_cfg.max_epochs=1',
            'train_dataloader.batch_size=4',
            'train_dataloader.num_workers=1',
        ],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert ', 2 process(es) of ' in done.stdout and (tmp_path / 'w/epoch_1.pth').exists()


def test_three_processes_train_and_evaluate_as_two_and_one(command, config, shapes, tmp_path):
    """Ten steps on twelve videos, six a batch, then thirteen videos that no number divides."""
    for name, count in (('train', 12), ('test', 13)):
        entries = json.loads((shapes / f'{name}.json').read_text())[:count]
        (tmp_path / f'{name}.json').write_text(json.dumps(entries))
    options = [
        f'train_dataloader.dataset.ann_file={tmp_path}/train.json',
        f'val_dataloader.dataset.ann_file={tmp_path}/test.json',
        f'test_dataloader.dataset.ann_file={tmp_path}/test.json',
        'train_cfg.max_epochs=5',
        'train_cfg.val_interval=5',
        # AdamW would move weights by the sign of gradients that are zero but for rounding.
        'optim_wrapper.optimizer.type=SGD',
        'optim_wrapper.optimizer.lr=0.1',
    ]
    trained, metrics, dumps = {}, {}, {}
    for processes in (1, 2, 3):
        name = f'{processes}-processes'
        size = f'train_dataloader.batch_size={6 // processes}'
        args = ['--work-dir', name, '--seed', 0, '--cfg-options', *options, size]
        command('train.py', config, *args, processes=processes)
        trained[processes] = weights(tmp_path / name / 'epoch_5.pth')
        metrics[processes] = read_metrics(tmp_path / name)
    for processes in (1, 3):
        name = f'{processes}-tested'
        args = [
            '--work-dir',
            name,
            '--dump',
            f'{name}.pkl',
            '--cfg-options',
            *options[:3],
            *query_bank(shapes),
        ]
        command('test.py', config, '1-processes/epoch_5.pth', *args, processes=processes)
        dumps[processes] = read_dump(tmp_path / f'{name}.pkl')
    assert metrics[1] == metrics[2] == metrics[3] and metrics[1]['iter'] == 10
    for processes in (2, 3):
        for name, value in trained[1].items():
            torch.testing.assert_close(trained[processes][name], value, rtol=1e-3, atol=1e-5, msg=name)
    tested = read_metrics(tmp_path / '1-tested')
    assert tested == read_metrics(tmp_path / '3-tested') and 'retrieval/qb_R1' in tested
    assert len(dumps[1]) == 13
    for ours, theirs in zip(dumps[3], dumps[1], strict=True):
        assert ours['filename'] == theirs['filename'] and list(ours['ranks']) == list(theirs['ranks'])
        np.testing.assert_allclose(ours['scores'], theirs['scores'], atol=1e-5)
        np.testing.assert_allclose(ours['bank_scores'], theirs['bank_scores'], atol=1e-5)


def read_metrics(work_dir):
    """Return the figures of the only evaluation of a run, and after how many steps it was."""
    (entry,) = json.loads((work_dir / 'metrics.json').read_text())
    return {key: value for key, value in entry.items() if key.startswith('retrieval/') or key == 'iter'}
