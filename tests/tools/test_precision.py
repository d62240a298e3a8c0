"""Mixed precision and ``torch.compile`` by config, against a training in float32 without either."""

import pytest
import torch

from mmclip4clip.models.backbones.clip import CLIPBackbone

from .conftest import weights

OPTIONS = ['train_cfg.max_epochs=1', 'optim_wrapper.optimizer.type=SGD', 'optim_wrapper.optimizer.lr=0.1']
BFLOAT16 = ['optim_wrapper.dtype=bfloat16', 'optim_wrapper.loss_scale=dynamic']
MICRO = 'model.micro_batch_size=3'
COMPILE = 'compile.backend=eager'


@pytest.fixture
def train(tool, config):
    """Train an epoch of two steps, and return the losses and the weights."""

    def train(folder, *options, flags=()):
        options = ['--cfg-options', *OPTIONS, *options]
        tool('train.py', config, '--no-validate', '--seed', 0, *flags, '--work-dir', folder, *options)
        saved = torch.load(f'{folder}/epoch_1.pth', weights_only=True)
        return saved['message_hub']['log_scalars']['train/loss'].data[0], weights(f'{folder}/epoch_1.pth')

    return train


@pytest.fixture
def seen(monkeypatch):
    """The types of the frames' features that CLIP has returned."""
    found, encode = set(), CLIPBackbone.encode_frames

    def noted(self, *args):
        features = encode(self, *args)
        found.add(features.dtype)
        return features

    monkeypatch.setattr(CLIPBackbone, 'encode_frames', noted)
    return found


def test_mixed_precision_has_the_losses_of_float32_up_to_its_rounding(train, seen):
    plain, whole = train('plain')
    assert seen == {torch.float32}
    for folder, options, flags in (('amp', BFLOAT16, ['--amp']), ('micro', [*BFLOAT16, MICRO], ['--amp'])):
        seen.clear()
        losses, mixed = train(folder, *options, flags=flags)
        assert torch.cuda.is_available() or seen == {torch.bfloat16}
        assert list(losses) != list(plain)  # bfloat16 has 8 bits
        assert list(losses) == pytest.approx(list(plain), rel=2e-2)
        assert {value.dtype for value in mixed.values()} == {value.dtype for value in whole.values()}
        assert not any(torch.equal(mixed[k], 0 * mixed[k] + whole[k]) for k in whole if 'proj.weight' in k)


@pytest.mark.skipif(torch.cuda.is_available(), reason='a GPU has float16')
def test_float16_needs_a_gpu(train):
    with pytest.raises(ValueError, match="optim_wrapper.dtype='float16' needs a GPU; on the CPU"):
        train('w', 'optim_wrapper.dtype=float16', flags=['--amp'])


@pytest.mark.parametrize(
    'option', [COMPILE, pytest.param('compile=True', marks=pytest.mark.long)], ids=['dynamo', 'inductor']
)
def test_a_compiled_training_is_that_without(train, option):
    for options in ([], [MICRO]):
        torch._dynamo.reset()
        (plain, whole), (losses, compiled) = (
            train(f'{name}{len(options)}', *options, *more) for name, more in (('p', []), ('c', [option]))
        )
        counted = torch._dynamo.utils.counters
        assert counted['stats']['unique_graphs'] > 0  # something was compiled
        assert list(losses) == pytest.approx(list(plain), rel=1e-5)
        for name, value in whole.items():
            torch.testing.assert_close(compiled[name], value, rtol=1e-3, atol=1e-5, msg=name)
