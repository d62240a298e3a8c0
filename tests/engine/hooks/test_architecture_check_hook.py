import copy
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
    runner = SimpleNamespace(model=model, _train_loop=Loop() if training else {}, _resume=resume,
                             _load_from='c.pth')
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
    with pytest.raises(RuntimeError, match=r'(?s)c.pth does not fit .*1 keys of wrong shape.*'
                       r'0.weight: \(4, 2\) instead of \(3, 2\)'):
        check(model, weights, training)


def test_missing_and_unexpected_keys_are_refused_but_for_training_from_them(model):
    weights = {'0.weight': torch.zeros(3, 2), 'head.weight': torch.zeros(1)}
    with pytest.raises(RuntimeError, match='(?s)3 missing keys, 1 unexpected keys.*0.bias.*head.weight'):
        check(model, weights)
    with pytest.raises(RuntimeError, match='missing'):
        check(model, weights, training=True, resume=True)
    check(model, weights, training=True)


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
    assert all('Give load_from=RETRIEVAL_CHECKPOINT' in message for message in log)
