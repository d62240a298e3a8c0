"""Mixed precision and ``torch.compile`` by config, against a training in float32 without either."""

import functools

import pytest
import torch

from mmclip4clip.models.backbones.clip import CLIPBackbone

from .conftest import weights

OPTIONS = ['train_cfg.max_epochs=1', 'optim_wrapper.optimizer.type=SGD', 'optim_wrapper.optimizer.lr=0.1']
OPTIONS += ['train_dataloader.num_workers=0']
BFLOAT16 = ['optim_wrapper.dtype=bfloat16', 'optim_wrapper.loss_scale=dynamic']
MICRO = 'model.micro_batch_size=3'


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


def test_the_training_step_is_compiled_with_the_settings_of_the_config(train, monkeypatch):
    plain, whole = train('plain', MICRO)
    compiled = []

    @functools.wraps(torch.compile)  # its arguments are checked
    def record(function, **settings):
        compiled.append((function.__name__, settings))
        return function

    monkeypatch.setattr(torch, 'compile', record)
    losses, weights = train('compiled', MICRO, 'compile.mode=reduce-overhead', 'compile.dynamic=True')
    assert compiled == [('train_step', dict(mode='reduce-overhead', dynamic=True))]
    assert list(losses) == list(plain) and all(torch.equal(weights[k], whole[k]) for k in whole)


@pytest.mark.long
@pytest.mark.parametrize(
    'options, flags, tolerance',
    [([], [], 1e-5), ([MICRO], [], 1e-5), ([MICRO, *BFLOAT16], ['--amp'], 2e-2)],
    ids=['whole', 'micro-batches', 'bfloat16'],
)
def test_a_compiled_training_is_that_without(train, options, flags, tolerance):
    torch._dynamo.reset()
    plain, whole = train('plain', *options, flags=flags)
    losses, compiled = train(
        'compiled', *options, 'compile=True', flags=flags
    )  # by Inductor, which runs a compiler
    assert torch._dynamo.utils.counters['inductor'] and list(losses) == pytest.approx(
        list(plain), rel=tolerance
    )
    for name, value in whole.items():
        torch.testing.assert_close(compiled[name], value, rtol=100 * tolerance, atol=tolerance, msg=name)
