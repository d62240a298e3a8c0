"""Small models with each head, and their exports to ONNX."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS

import mmclip4clip
from mmclip4clip.apis import export_onnx

from ..encoders import save_encoder

CAPTIONS = [
    'a red circle goes left',
    'A',
    ' two  spaces\tand caf\u00e9 ' + 'a long sentence about nothing ' * 20,
    'x',
    '<|endoftext|> and, isn\u2019t 3.14 \u65e5\u672c\u8a9e',
]
TIGHT = dict(width=64, num_heads=2, max_frames=12, start='random', pairs_at_once=4)
HEADS_64 = dict(
    Mean=dict(type='MeanAdapter'),
    Seq=dict(
        type='SeqTransformerAdapter', width=64, num_layers=1, num_heads=2, max_frames=12, start='random'
    ),
    LSTM=dict(type='SeqLSTMAdapter', width=64),
    WTI=dict(type='WTIAdapter', width=64, num_layers=1, num_heads=2, max_frames=12, start='random'),
    XPool=dict(type='XPoolAdapter', width=64, num_heads=2),
    Tight=dict(type='TightAdapter', **TIGHT, num_layers=3),
    TightPaper=dict(type='TightAdapter', **TIGHT, num_layers=1, variant='paper'),
)


@pytest.fixture(scope='session')
def encoder(tmp_path_factory) -> Path:
    return save_encoder(tmp_path_factory.mktemp('encoder'), 'clip', CAPTIONS)


def with_head(encoder: Path, name: str):
    """Load an encoder without training, and give it a head with random weights."""
    torch.manual_seed(0)
    model = mmclip4clip.load(encoder, device='cpu')
    model.model.adapter = MODELS.build(HEADS_64[name]).eval()
    for parameter in model.model.adapter.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


@pytest.fixture(scope='module', params=HEADS_64)
def pair(request, encoder, tmp_path_factory):
    """A model of torch, and its export."""
    model = with_head(encoder, request.param)
    folder = export_onnx(model, tmp_path_factory.mktemp('onnx') / request.param)
    return model, mmclip4clip.load(folder)


@pytest.fixture(scope='session')
def exported(encoder, tmp_path_factory) -> Path:
    return export_onnx(with_head(encoder, 'Seq'), tmp_path_factory.mktemp('exported') / 'seq')


@pytest.fixture
def copied(exported, tmp_path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / 'copy'))


def videos(rng: np.random.Generator, *lengths: int) -> list[np.ndarray]:
    return [rng.integers(0, 256, (length, 72, 100, 3)).astype(np.uint8) for length in lengths]


def clips(data: Path) -> list[str]:
    found = [
        str(p) for p in sorted((data / 'clips').rglob('*')) if p.suffix in ('.mp4', '.avi', '.webm', '.mkv')
    ]
    return [name for name in found if 'broken' not in name]


def assert_equal_arrays(found, expected) -> None:
    """Compare vectors, or the parts of features; those of padding may have any values."""
    if not isinstance(expected, dict):
        np.testing.assert_allclose(found, expected, atol=1e-4)
        return
    assert list(found) == list(expected)
    (mask,) = (part.astype(bool) for name, part in expected.items() if name.endswith('_mask'))
    for name, part in expected.items():
        assert found[name].dtype == part.dtype and found[name].shape == part.shape
        np.testing.assert_allclose(found[name][mask], part[mask], atol=1e-4)


def assert_equal_features(model, other, files) -> None:
    for texts in ([CAPTIONS[1]], CAPTIONS, CAPTIONS[:2]):
        assert_equal_arrays(other.encode_text(texts), model.encode_text(texts))
    expected = model.encode_videos(files)
    for size in (1, 3, 16):
        assert_equal_arrays(other.encode_videos(files, batch_size=size), expected)
