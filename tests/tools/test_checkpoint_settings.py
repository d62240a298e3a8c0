"""A checkpoint beside the CLIP, tokenizer and pipelines of whoever tests, resumes or fine-tunes it."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from transformers import CLIPConfig, CLIPModel

from mmclip4clip.checkpoints import convert
from mmclip4clip.tokenizers.loading import train_tokenizer
from mmclip4clip.tokenizers.saved_tokenizer import offer_tokenizers


@pytest.fixture(scope='module')
def trained(tmp_path_factory, shapes):
    """A folder for a run that started from a pretrained CLIP and a tokenizer, once for all tests."""
    return tmp_path_factory.mktemp('trained')


@pytest.fixture
def run(tool, config, shapes, trained):
    """Folders clip/ and tokenizer/, a config that names them, and w/ with its checkpoints."""
    cfg = Config.fromfile(config)
    backbone = cfg.model.backbone
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.pipeline[4].tokenizer = 'tokenizer'
        loader.num_workers = 0
    clip = CLIPConfig(**backbone.config)
    cfg.model.backbone = dict(type='CLIPBackbone', pretrained='clip')
    Path('run.py').write_text(cfg.pretty_text)
    if not (trained / 'w').exists():
        torch.manual_seed(0)
        CLIPModel(clip).save_pretrained('clip')
        shutil.copytree(shapes / 'tokenizer', 'tokenizer')
        tool('train.py', 'run.py', '--work-dir', 'w')
        for name in ('clip', 'tokenizer', 'w'):
            shutil.copytree(name, trained / name)
    for name in ('clip', 'tokenizer', 'w'):
        shutil.copytree(trained / name, name, dirs_exist_ok=True)
    yield cfg
    offer_tokenizers({})


def log(folder):
    return max(Path(folder).glob('*/*.log')).read_text()


def figures(folder):
    entry = json.loads(Path(folder, 'metrics.json').read_text())[-1]
    return {key: value for key, value in entry.items() if 'retrieval/' in key}


def test_a_checkpoint_is_tested_where_its_clip_and_tokenizer_are_gone(tool, run):
    (best,) = Path('w').glob('best_*.pth')
    for number, checkpoint in enumerate(('w/epoch_1.pth', best)):
        tool('test.py', 'run.py', checkpoint, '--work-dir', f'before{number}')
        assert 'another way than the checkpoint' not in log(f'before{number}')
    shutil.rmtree('clip')
    shutil.rmtree('tokenizer')
    for number, checkpoint in enumerate(('w/epoch_1.pth', best)):
        tool('test.py', 'run.py', checkpoint, '--work-dir', f'after{number}')
        assert figures(f'after{number}') == figures(f'before{number}')
        assert f"weights of model.backbone come from {checkpoint}: pretrained='clip' is not loaded" in log(
            f'after{number}'
        )
    tool('train.py', 'run.py', '--resume', 'w/epoch_1.pth', '--work-dir', 'on', '--no-validate')
    assert Path('on/epoch_2.pth').exists()
    tool(
        'train.py',
        'run.py',
        '--work-dir',
        'tuned',
        '--no-validate',
        '--cfg-options',
        'load_from=w/epoch_1.pth',
        'train_cfg.max_epochs=1',
    )
    assert Path('tuned/epoch_1.pth').exists()


def test_what_a_checkpoint_tells_is_plain_and_survives_training_from_it(run):
    checkpoint = torch.load('w/epoch_1.pth', weights_only=True)
    entry = checkpoint['meta']['mmclip4clip']
    told = dict(preprocessing=entry['preprocessing'], clip=entry['clip_config'])
    assert json.loads(json.dumps(told)) == told
    assert entry['clip_config']['text_config']['num_attention_heads'] == 2
    preprocessing = entry['preprocessing']
    assert preprocessing['captions']['name'] == 'tokenizer'
    assert preprocessing['mean'] == [122.7709, 116.746, 104.0937]
    assert preprocessing['training'] == [
        dict(
            sampling=[dict(type='SampleAtRate', fps=2, max_frames=4, cut='uniform', reference_times=False)],
            frames=[],
            num_frames=4,
            size=None,
            caption_mode='random',
            cleaning='ftfy, html twice, spaces',
            max_words=24,
            decoder_max_words=None,
        )
    ]
    assert preprocessing['evaluation'] == [dict(preprocessing['training'][0], caption_mode='all')]


@pytest.mark.parametrize('how', ['test', 'resume', 'load_from'])
def test_another_tokenizer_is_refused(tool, run, how):
    train_tokenizer(['my dog eats much food'] * 3, 'tokenizer')
    with pytest.raises(
        RuntimeError,
        match=r'w/epoch_1.pth was trained with another preprocessing(?s:.*)'
        r"captions: tokenizer='tokenizer' \(.* -> tokenizer='tokenizer' .*other tokens",
    ):
        if how == 'test':
            tool('test.py', 'run.py', 'w/epoch_1.pth', '--work-dir', 't')
        elif how == 'resume':
            tool('train.py', 'run.py', '--resume', 'w/epoch_1.pth', '--work-dir', 't')
        else:
            tool('train.py', 'run.py', '--work-dir', 't', '--cfg-options', 'load_from=w/epoch_1.pth')


def test_another_mean_is_refused_and_another_sampling_or_crop_warned_of(tool, run):
    with pytest.raises(RuntimeError, match=r'model.data_preprocessor.mean: \[122.7709, .* -> \[1, 2, 3\]'):
        tool(
            'test.py',
            'run.py',
            'w/epoch_1.pth',
            '--work-dir',
            't',
            '--cfg-options',
            'model.data_preprocessor.type=VideoCaptionPreprocessor',
            'model.data_preprocessor.mean=[1,2,3]',
        )
    pipeline = run.test_dataloader.dataset.pipeline
    pipeline[1] = dict(type='SampleEvenly', num_frames=3)
    pipeline[4].max_words = 20
    pipeline.insert(3, dict(type='CenterCrop', crop_size=64))
    Path('other.py').write_text(run.pretty_text)
    tool('test.py', 'other.py', 'w/epoch_1.pth', '--work-dir', 'o')
    warning = log('o').split('differently from those that the checkpoint w/epoch_1.pth')[1]
    assert [line.strip() for line in warning.splitlines()[1:5]] == [
        'evaluation: SampleAtRate(fps=2, max_frames=4, cut=uniform, reference_times=False) -> none',
        'evaluation: none -> SampleEvenly(num_frames=3)',
        'evaluation: none -> CenterCrop(crop_size=[64, 64], lazy=False)',
        'evaluation: max_words: 24 -> 20',
    ]


def test_a_folder_of_another_clip_is_refused(tool, run):
    config = json.loads(Path('clip/config.json').read_text())
    config['vision_config']['num_attention_heads'] = 4
    Path('clip/config.json').write_text(json.dumps(config))
    with pytest.raises(
        ValueError,
        match="(?s)pretrained='clip' is another CLIP than that of the checkpoint "
        'w/epoch_1.pth.*vision_config.num_attention_heads: 2 -> 4',
    ):
        tool('test.py', 'run.py', 'w/epoch_1.pth', '--work-dir', 't')


def test_heads_that_no_shape_tells_are_compared(tool, config, run):
    """The same weights, read with other heads, would give other features without an error."""
    cfg = Config.fromfile(config)
    cfg.model.backbone.config.text_config.num_attention_heads = 4
    cfg.test_dataloader.dataset.pipeline[4].tokenizer = 'tokenizer'
    Path('heads.py').write_text(cfg.pretty_text)
    with pytest.raises(RuntimeError, match='text_config.num_attention_heads: 2 -> 4'):
        tool('test.py', 'heads.py', 'w/epoch_1.pth', '--work-dir', 't')


def test_an_older_checkpoint_is_taken_as_it_is_and_says_what_it_lacks(tool, run):
    checkpoint = torch.load('w/epoch_1.pth', weights_only=True)
    del checkpoint['meta']['mmclip4clip']
    torch.save(checkpoint, 'old.pth')
    tool('test.py', 'run.py', 'old.pth', '--work-dir', 't')
    assert log('t').count('old.pth does not specify its tokenizer and preprocessing') == 1
    shutil.rmtree('clip')
    with pytest.raises(OSError, match="(?s)pretrained='clip'.*old.pth cannot replace it.*earlier version"):
        tool('test.py', 'run.py', 'old.pth', '--work-dir', 't')


@pytest.mark.parametrize('adapter', [[], ['model.adapter._delete_=True', 'model.adapter.type=MeanAdapter']])
def test_a_converted_clip_of_another_activation_is_refused_where_it_is_loaded(tool, config, adapter):
    cfg = Config.fromfile(config).model.backbone.config
    for tower in ('text_config', 'vision_config'):
        cfg[tower] = dict(cfg[tower], hidden_act='gelu')
    CLIPModel(CLIPConfig(**cfg)).save_pretrained('gelu')
    convert(Path('gelu'), Path('gelu.pth'))
    with pytest.raises(RuntimeError, match='vision_config.hidden_act: gelu -> quick_gelu'):
        tool('train.py', config, '--work-dir', 'w', '--cfg-options', 'load_from=gelu.pth', *adapter)
    if adapter:
        with pytest.raises(RuntimeError, match='text_config.hidden_act: gelu -> quick_gelu'):
            tool('test.py', config, 'gelu.pth', '--work-dir', 't', '--cfg-options', *adapter)
