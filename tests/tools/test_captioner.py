"""A captioner through the tools: from a retrieval checkpoint, through training, to the tests of both."""

import json
from pathlib import Path

import pytest

from mmclip4clip.evaluation import read_dump

from .conftest import weights

FAST = ('--cfg-options', 'train_cfg.max_epochs=1')


@pytest.fixture
def captioner(config, shapes) -> str:
    """The config of a captioner with the encoder of the tests' retriever."""
    path = Path(config).with_name('captioner.py')
    path.write_text(f"""_base_ = '{config}'
model = dict(type='CLIP4ClipCaptioner', decoder=dict(type='CaptionDecoder', num_layers=1, num_heads=4),
             tokenizer='{shapes}/tokenizer', generation=dict(method='greedy', max_new_tokens=12))
""")
    return str(path)


def figures(folder: Path) -> dict:
    return {k: v for k, v in json.loads((folder / 'metrics.json').read_text())[-1].items() if '/' in k}


def test_one_checkpoint_serves_both_tests(tool, config, captioner, tmp_path):
    tool('train.py', config, '--work-dir', 'r', '--no-validate', *FAST)
    tool(
        'train.py',
        captioner,
        '--work-dir',
        'c',
        *FAST,
        'load_from=r/epoch_1.pth',
        'optim_wrapper.optimizer.lr=0.',
        'optim_wrapper.optimizer.weight_decay=0.',
    )
    before, after = weights(tmp_path / 'r/epoch_1.pth'), weights(tmp_path / 'c/epoch_1.pth')
    assert all((after[k] == v).all() for k, v in before.items())
    assert {k.split('.')[0] for k in set(after) - set(before)} == {'decoder'}
    log = next((tmp_path / 'c').glob('*/*.log')).read_text()
    assert all(f'{name}: ' in log for name in ('loss_caption', 'loss_t2v', 'loss_v2t'))

    tool('test.py', captioner, 'c/epoch_1.pth', '--work-dir', 'as-captioner', '--dump', 'c.pkl')
    tool('test.py', config, 'c/epoch_1.pth', '--work-dir', 'as-retriever')
    tool('test.py', config, 'r/epoch_1.pth', '--work-dir', 'retriever')
    one, two, three = (figures(tmp_path / n) for n in ('as-captioner', 'as-retriever', 'retriever'))
    assert one == pytest.approx(two) and two == pytest.approx(three)
    assert len(read_dump(tmp_path / 'c.pkl')) == 16
    log = next((tmp_path / 'as-retriever').glob('*/*.log')).read_text()
    assert "epoch_1.pth is a captioner's: the " in log

    pets = tmp_path / 'pets.json'
    pets.write_text(json.dumps({'a.mp4': ['my dog eats much food']}))
    tool('train_tokenizer.py', pets, tmp_path / 'pets')
    with pytest.raises(RuntimeError, match='c/epoch_1.pth was trained with another vocabulary than .*pets'):
        tool('test.py', captioner, 'c/epoch_1.pth', '--cfg-options', 'model.tokenizer=pets')
    with pytest.raises(
        ValueError, match='the pipeline tokenizes target captions with .*generates with .*pets'
    ):
        tool('train.py', captioner, '--work-dir', 'p', '--no-validate', *FAST, 'model.tokenizer=pets')
    with pytest.raises(RuntimeError, match='r/epoch_1.pth has no decoder .*retrieval only.*load_from'):
        tool('test.py', captioner, 'r/epoch_1.pth')


def test_a_run_to_be_resumed_begins_from_load_from_and_then_goes_on(tool, config, captioner, tmp_path):
    # Only a schedule that does not depend on the number of epochs goes on with more of them.
    still = [
        *FAST,
        'optim_wrapper.optimizer.lr=0.',
        'optim_wrapper.optimizer.weight_decay=0.',
        'param_scheduler.0.end=4',
    ]
    tool('train.py', config, '--work-dir', 'r', '--no-validate', *FAST)
    tool(
        'train.py',
        captioner,
        '--work-dir',
        'c',
        '--resume',
        '--no-validate',
        *still,
        'load_from=r/epoch_1.pth',
    )
    before, after = weights(tmp_path / 'r/epoch_1.pth'), weights(tmp_path / 'c/epoch_1.pth')
    assert all((after[k] == v).all() for k, v in before.items())
    tool(
        'train.py',
        captioner,
        '--work-dir',
        'c',
        '--resume',
        '--no-validate',
        *still,
        'train_cfg.max_epochs=2',
        'load_from=r/epoch_1.pth',
    )
    again = weights(tmp_path / 'c/epoch_2.pth')
    assert all((after[k] == v).all() for k, v in again.items())  # the decoder's too: it was not drawn anew
