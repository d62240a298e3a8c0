import pytest
import torch
from mmaction.registry import MODELS
from mmengine.optim import build_optim_wrapper


@pytest.fixture
def model(tiny_clip):
    return MODELS.build(
        dict(
            type='CLIP4ClipRetriever',
            backbone=dict(type='CLIPBackbone', config=tiny_clip),
            adapter=dict(type='SeqTransformerAdapter', width=32, num_layers=1, num_heads=2, start='random'),
        )
    )


def build(model, optimizer=None, **paramwise_cfg):
    return build_optim_wrapper(
        model,
        dict(
            constructor='CLIPGroupsOptimWrapperConstructor',
            paramwise_cfg=paramwise_cfg,
            optimizer=optimizer or dict(type='AdamW', lr=1e-3, weight_decay=0.2),
        ),
    )


def settings(wrapper, model):
    """Learning rate and decay of each parameter that the optimizer has."""
    names = {id(p): name for name, p in model.named_parameters()}
    return {
        names[id(p)]: (group['lr'], group['weight_decay'])
        for group in wrapper.optimizer.param_groups
        for p in group['params']
    }


def test_clip_and_heads_have_rates_of_their_own(model):
    found = settings(build(model, clip_lr_mult=0.01, head_lr_mult=3.0), model)
    assert set(found) == {name for name, _ in model.named_parameters()}
    for name, (lr, _) in found.items():
        assert lr == pytest.approx(1e-5 if name.startswith('backbone.clip.') else 3e-3), name


def test_the_references_rule_spares_what_has_bias_in_its_name(model):
    found = settings(build(model, no_decay=['bias']), model)
    for name, (_, decay) in found.items():
        assert decay == (0 if 'bias' in name else 0.2), name
    assert found['backbone.clip.logit_scale'][1] == 0.2
    assert found['backbone.clip.vision_model.pre_layrnorm.weight'][1] == 0.2


def test_by_default_norms_and_biases_do_not_decay(model):
    decays = {name: decay for name, (_, decay) in settings(build(model), model).items()}
    for name, p in model.named_parameters():
        if 'norm' in name or name.endswith('.bias'):
            assert decays[name] == 0, name
        elif p.ndim > 1 or 'class_embedding' in name:
            assert decays[name] == 0.2, name
    assert decays['backbone.clip.logit_scale'] == 0.2
    decays = settings(build(model, no_decay=['logit_scale']), model)
    assert [name for name, (_, decay) in decays.items() if not decay] == ['backbone.clip.logit_scale']


def test_biases_of_an_lstm_are_biases(tiny_clip):
    model = MODELS.build(
        dict(
            type='CLIP4ClipRetriever',
            backbone=dict(type='CLIPBackbone', config=tiny_clip),
            adapter=dict(type='SeqLSTMAdapter', width=32),
        )
    )
    found = settings(build(model), model)
    assert found['adapter.lstm.bias_ih_l0'][1] == 0 and found['adapter.lstm.weight_ih_l0'][1] == 0.2


def test_frozen_parameters_are_left_out(model):
    model.backbone.clip.vision_model.requires_grad_(False)
    found = settings(build(model), model)
    assert set(found) == {name for name, p in model.named_parameters() if p.requires_grad}
    assert len(found) < len(list(model.parameters()))


def test_a_shared_parameter_comes_once(model):
    model.adapter.tied = torch.nn.Linear(32, 24)
    model.adapter.tied.weight = model.backbone.clip.text_model.embeddings.position_embedding.weight
    found = settings(build(model, clip_lr_mult=0.1), model)
    assert found['backbone.clip.text_model.embeddings.position_embedding.weight'][0] == pytest.approx(1e-4)
    assert 'adapter.tied.weight' not in found


def test_there_are_four_groups_and_the_log_shows_the_rate_of_clip(model):
    wrapper = build(model, clip_lr_mult=0.01)
    assert [(g['lr'], g['weight_decay']) for g in wrapper.optimizer.param_groups] == [
        (pytest.approx(1e-5), 0.2),
        (pytest.approx(1e-5), 0),
        (1e-3, 0.2),
        (1e-3, 0),
    ]
    logged = {key: values[0] for key, values in wrapper.get_lr().items()}  # as RuntimeInfoHook takes them
    assert logged == dict(lr=pytest.approx(1e-5), base_lr=1e-3)


@pytest.mark.parametrize(
    'paramwise_cfg, message',
    [
        (dict(norm_decay_mult=0.0), r"may have the keys .*clip_lr_mult.*, got \['norm_decay_mult'\]"),
        (dict(no_decay='bias'), "must be a list .* got 'bias'"),
        (dict(no_decay=['norms']), r"some of \('bias', 'norm', 'logit_scale'\), got \['norms'\]"),
    ],
)
def test_unknown_settings_are_refused(model, paramwise_cfg, message):
    with pytest.raises(ValueError, match=message):
        build(model, **paramwise_cfg)


def test_what_multipliers_refer_to_must_be_there(model):
    with pytest.raises(ValueError, match=r"must have lr and weight_decay, got \['lr', 'type'\]"):
        build(model, optimizer=dict(type='AdamW', lr=1e-3))
    with pytest.raises(ValueError, match=r'Linear has no parameters under backbone, '):
        build(torch.nn.Linear(2, 2))
