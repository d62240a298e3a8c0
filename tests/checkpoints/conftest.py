import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config

from mmclip4clip.checkpoints import convert, model_config

from . import plain


@pytest.fixture
def saved(tmp_path):
    """Save something with torch.save and return the path."""

    def save(content, name='in.pt'):
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return save


@pytest.fixture
def build():
    """Build the model that the config of a checkpoint describes, and load the checkpoint strictly."""

    def build(checkpoint):
        model = MODELS.build(Config.fromstring(model_config(checkpoint), '.py').model)
        model.load_state_dict(checkpoint.state_dict, strict=True)
        return model.eval()

    return build


@pytest.fixture
def there_and_back(saved, tmp_path):
    """Convert tensors to native and back, through files; return the tensors and the notes of the way back."""

    def there_and_back(tensors, kind, **options):
        convert(saved(tensors), tmp_path / 'native.pth', **options)
        done = convert(tmp_path / 'native.pth', tmp_path / 'back', kind)
        return torch.load(tmp_path / 'back', weights_only=True), done.checkpoint.notes

    return there_and_back


@pytest.fixture
def batch():
    """Two videos, the second of one frame and two that are padded, and three captions."""
    frames = torch.randn(2, 3, 3, plain.IMAGE, plain.IMAGE)
    mask = torch.tensor([[1, 1, 1], [1, 0, 0]])
    last = plain.VOCAB - 1
    tokens = torch.tensor([[58, 4, 7, last, 0], [58, 9, last, 0, 0], [58, 3, 3, 20, last]])
    return frames * mask[..., None, None, None], mask, tokens, (tokens != 0).long()


@pytest.fixture
def close():
    """Compare with a float64 result, relative to its largest value."""

    def close(native, source):
        return (native.double() - source).abs().max() <= 1e-5 * source.abs().max()

    return close


def identical(these, those):
    """Whether two state dicts have the same keys, values and dtypes."""
    return these.keys() == those.keys() and all(
        these[k].dtype == those[k].dtype and torch.equal(these[k], those[k]) for k in these
    )
