import copy
import logging
from types import SimpleNamespace

import pytest
import torch
from mmengine.runner.base_loop import BaseLoop

from mmclip4clip.engine import ArchitectureCheckHook
from mmclip4clip.engine.hooks import architecture_check_hook


class Loop(BaseLoop):
    def __init__(self):
        pass

    def run(self):
        pass


def check(model, weights, training=False, resume=False):
    runner = SimpleNamespace(
        model=model, _train_loop=Loop() if training else {}, _resume=resume, _load_from='c.pth'
    )
    ArchitectureCheckHook().after_load_checkpoint(runner, dict(state_dict=weights))


@pytest.fixture
def model():
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))


@pytest.mark.parametrize('training, resume', [(False, False), (True, False), (True, True)])
def test_the_models_own_weights_pass(model, training, resume):
    check(model, model.state_dict(), training, resume)
    check(model, {f'module.{k}': v for k, v in model.state_dict().items()}, training, resume)


@pytest.mark.parametrize('training', [True, False])
def test_wrong_shapes_are_always_refused(model, training):
    weights = dict(model.state_dict(), **{'0.weight': torch.zeros(4, 2)})
    with pytest.raises(
        RuntimeError,
        match=r'(?s)c.pth does not match .*1 keys of wrong shape.*'
        r'0.weight: \(4, 2\) instead of \(3, 2\)',
    ):
        check(model, weights, training)


def test_missing_and_unexpected_keys_are_refused_but_for_training_from_them(model):
    weights = {'0.weight': torch.zeros(3, 2), 'head.weight': torch.zeros(1)}
    with pytest.raises(RuntimeError, match='(?s)3 missing keys, 1 unexpected keys.*0.bias.*head.weight'):
        check(model, weights)
    with pytest.raises(RuntimeError, match='missing'):
        check(model, weights, training=True, resume=True)
    weights['0.bias'] = torch.zeros(3)
    check(model, weights, training=True)


class Parts(torch.nn.Module):
    """A model with the parts of ours."""

    def __init__(self, pretrained=None, layers=2):
        super().__init__()
        self.backbone = torch.nn.Sequential(*(torch.nn.Linear(1, 1) for _ in range(layers)))
        self.backbone.pretrained = pretrained
        self.adapter = torch.nn.ModuleDict(
            dict(transformer=torch.nn.Linear(2, 2), score=torch.nn.Linear(2, 1))
        )
        self.decoder = torch.nn.Linear(3, 3)


@pytest.fixture
def log(monkeypatch):
    log = []
    monkeypatch.setattr(
        architecture_check_hook,
        'print_log',
        lambda message, **kwargs: log.append((kwargs.get('level', logging.INFO), message)),
    )
    return log


@pytest.mark.parametrize(
    'part, key',
    [
        ('backbone', 'backbone.1.bias'),
        ('adapter.transformer', 'adapter.transformer.weight'),
        ('decoder', 'decoder.bias'),
    ],
)
def test_training_from_part_of_a_component_is_refused(log, part, key):
    weights = dict(Parts().state_dict())
    value = weights.pop(key)
    with pytest.raises(RuntimeError, match=rf'c.pth does not .*: 1 missing keys; the first ones:\n  {key} '):
        check(Parts(), weights, training=True)
    with pytest.raises(RuntimeError, match=rf'1 unexpected keys; the first ones:\n  {part}.9.weight \(unex'):
        check(Parts(), {**weights, key: value, f'{part}.9.weight': value}, training=True)
    check(
        Parts(),
        {k: v for k, v in weights.items() if not k.startswith(f'{part}.')}
        | ({k: v for k, v in Parts().state_dict().items() if k.startswith('backbone')}),
        training=True,
    )


def test_what_starts_fresh_and_what_is_not_used_is_one_warning(log):
    weights = {k: v for k, v in Parts().state_dict().items() if 'score' not in k and 'decoder' not in k}
    check(Parts(), weights | {'adapter.lstm.bias': torch.zeros(1)}, training=True)
    assert log[0] == (logging.INFO, '6 of the 10 tensors of the model are loaded from c.pth')
    ((level, message),) = log[1:]
    assert level == logging.WARNING
    assert 'adapter.score (2 tensors), decoder (2 tensors). Not in the model' in message
    assert message.endswith('not used: adapter.lstm (1 tensors)')
    log.clear()
    check(Parts(), dict(Parts().state_dict()), training=True)
    assert log == [(logging.INFO, '10 of the 10 tensors of the model are loaded from c.pth')]


def test_a_backbone_without_weights_from_anywhere_is_refused(log):
    weights = {k: v for k, v in Parts().state_dict().items() if not k.startswith('backbone')}
    with pytest.raises(RuntimeError, match='c.pth has no backbone .* would start from random ones'):
        check(Parts(), weights, training=True)
    check(Parts(pretrained='folder'), weights, training=True)
    assert 'backbone (4 tensors)' in log[-1][1]


def test_lora_may_be_new_in_training_and_is_never_dropped(log):
    adapted = Parts()
    adapted.backbone.lora_A = torch.nn.Linear(1, 1, bias=False)
    check(Parts(), weights := dict(Parts().state_dict()))
    check(adapted, weights, training=True)
    assert 'initial weights: backbone (LoRA) (1 tensors)' in log[-1][1] and log[-1][0] == logging.WARNING
    with pytest.raises(RuntimeError, match=r'1 missing keys; the first ones:\n  backbone.lora_A.weight'):
        check(adapted, weights)
    for training in (False, True):
        with pytest.raises(RuntimeError, match=r'(?s)1 unexpected keys.*It has LoRA: give model'):
            check(Parts(), dict(adapted.state_dict()), training)


@pytest.mark.parametrize('prefix', ['_orig_mod.', 'model.', 'module._orig_mod.'])
@pytest.mark.parametrize('training', [True, False])
def test_keys_that_a_wrapper_has_prefixed_are_refused_with_the_cure(model, prefix, training):
    weights = {prefix + k: v for k, v in model.state_dict().items()}
    inner = prefix.removeprefix('module.')  # mmengine takes that one off
    with pytest.raises(RuntimeError, match=f"4 missing keys, 4 (.|\n)*begin with '{inner}'; without"):
        check(model, weights, training)


def test_training_from_something_else_altogether_is_refused(model):
    with pytest.raises(RuntimeError, match='4 missing keys, 1 unexpected keys'):
        check(model, dict(other=torch.zeros(1)), training=True)


def with_decoder(model):
    model.decoder = torch.nn.Linear(1, 1)
    return model


@pytest.mark.parametrize('training', [False, True])
def test_a_checkpoint_without_a_decoder_is_refused_with_the_cure(model, training):
    weights = dict(model.state_dict())
    with pytest.raises(RuntimeError, match='c.pth has no decoder .*trained for retrieval only.*load_from'):
        check(with_decoder(model), weights, training, resume=training)


def test_training_a_decoder_starts_from_a_checkpoint_without_one(model):
    weights = dict(model.state_dict())
    check(with_decoder(model), weights, training=True)


def test_retrieval_is_tested_with_a_captioners_checkpoint(model):
    weights = with_decoder(copy.deepcopy(model)).state_dict()
    check(model, weights)
    with pytest.raises(RuntimeError, match='1 unexpected keys'):
        check(model, dict(weights, more=torch.zeros(1)))
    with pytest.raises(RuntimeError, match='(?s)2 unexpected keys.*first ones:\n  decoder.weight'):
        check(model, weights, training=True, resume=True)


@pytest.mark.parametrize('frozen, loaded', [(True, False), (True, True), (False, False)])
def test_a_frozen_encoder_into_which_nothing_was_loaded_is_warned_of(model, monkeypatch, frozen, loaded):
    log = []
    monkeypatch.setattr(architecture_check_hook, 'print_log', lambda message, **kwargs: log.append(message))
    model.freeze_encoder = frozen
    ArchitectureCheckHook().before_train(SimpleNamespace(model=model, _has_loaded=loaded))
    assert len(log) == (frozen and not loaded)
    assert all('Set load_from=RETRIEVAL_CHECKPOINT' in message for message in log)
