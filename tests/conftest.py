import gc
import json
import os
from pathlib import Path

import hypothesis
import pytest
import torch
from mmengine.config import config as mmengine_config
from mmengine.registry import init_default_scope

import mmclip4clip  # noqa: F401  registers the modules
from mmclip4clip.moving_shapes.generator import split_combinations, write_split
from mmclip4clip.tokenizers.loading import train_tokenizer
from mmclip4clip.tokenizers.saved_tokenizer import offer_tokenizers

ROOT = Path(__file__).parents[1]


_format, _formatted = getattr(mmengine_config, 'FormatCode', None), {}  # onedl-mmengine has none


def _format_once(text: str, **style) -> tuple:
    """Format a config as mmengine does, which takes seconds and comes nine times a training and its test."""
    if text not in _formatted:
        _formatted[text] = _format(text, **style)
    return _formatted[text]


if _format:
    mmengine_config.FormatCode = _format_once


hypothesis.settings.register_profile('any-machine', deadline=None)  # a loaded one takes its time
hypothesis.settings.load_profile('any-machine')


# What takes longest, above all trainings and new processes, while this process is still small.
FIRST = (
    'tests/tools/',
    'tests/engine/resume/',
    'tests/models/test_gathering.py',
    'tests/models/test_ten_steps.py',
    'tests/test_contributing.py',
    'tests/test_import_hooks.py',
    'tests/test_package.py',
    'tests/test_readme.py',
    'tests/test_registration.py',
    'tests/test_upstream_imports.py',
    'tests/apis/test_killed_index.py',
)


def pytest_collection_modifyitems(items):
    """Put the slowest first: one that is left for the end is waited for by the other processes of xdist."""
    items.sort(key=lambda item: not item.nodeid.startswith(FIRST))


def pytest_collection_finish(session):
    gc.freeze()  # what is imported is no rubbish: each dataset would look through all of it
    gc.enable()


@pytest.fixture(autouse=True)
def _scope_and_seed():
    init_default_scope('mmaction')
    offer_tokenizers({})  # what an earlier test's checkpoint held
    torch.manual_seed(0)


@pytest.fixture
def tiny_clip() -> dict:
    """A CLIP of width 32 with two blocks a tower, for 64-pixel frames."""
    tower = dict(hidden_size=32, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2)
    return dict(
        text_config=dict(
            **tower,
            vocab_size=1000,
            max_position_embeddings=24,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
        ),
        vision_config=dict(**tower, image_size=64, patch_size=32),
        projection_dim=32,
    )


@pytest.fixture(scope='session')
def shapes(tmp_path_factory) -> Path:
    """A folder of moving shapes: 16 videos in train.json and test.json each, and a tokenizer."""
    root = tmp_path_factory.mktemp('shapes')
    splits = split_combinations(0, num_val=30, num_test=8)
    for split, combinations in (('train', splits['train'][:8]), ('test', splits['test'])):
        assert len(list(write_split(root, split, combinations, 0, 1, 3))) == 16
    entries = json.loads((root / 'train.json').read_text())
    train_tokenizer((c for e in entries for c in e['captions']), root / 'tokenizer')
    return root


@pytest.fixture
def pipeline(shapes) -> list:
    """The pipeline of the moving shapes."""
    return [
        dict(type='DecordInit'),
        dict(type='SampleAtRate', fps=2, max_frames=4),
        dict(type='DecordDecode'),
        dict(type='FormatShape', input_format='NCHW'),
        dict(type='TokenizeCaptions', tokenizer=str(shapes / 'tokenizer'), max_words=24),
        dict(type='PackVideoCaptions'),
    ]


@pytest.fixture(scope='session')
def data() -> Path:
    """Official annotations and real clips, which are not part of the project."""
    folder = os.environ.get('MMCLIP4CLIP_DATA')
    if not folder:
        pytest.skip('MMCLIP4CLIP_DATA is unset: it names a folder of real clips and annotations')
    return Path(folder)
