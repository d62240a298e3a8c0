import copy
import sys

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.optim import build_optim_wrapper
from mmengine.runner.checkpoint import get_state_dict, load_state_dict

from mmclip4clip.models import CLIPBackbone
from mmclip4clip.models.backbones.towers import TOWERS, tower_blocks
from mmclip4clip.models.lora_weights import is_lora, merge_lora

from ...encoders import KINDS, small_encoder
from ...extras import needs_peft
from .test_families import captions

FRAMES, FRAME_MASK = torch.randn(2, 3, 3, 64, 64), torch.tensor([[1, 1, 1], [1, 0, 0]])
TOKENS, TEXT_MASK = torch.tensor([[0, 5, 6, 1], [0, 7, 1, 1]]), torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])


@pytest.fixture
def build_backbone(tiny_clip):
    def build_backbone(lora=None, **options):
        torch.manual_seed(0)
        return CLIPBackbone(
            config=tiny_clip, embedding_std=dict(text=0.5, vision=0.5), lora=lora, **options
        ).eval()

    return build_backbone


def features(backbone):
    return backbone.encode_frames(FRAMES, FRAME_MASK), backbone.encode_text(TOKENS, TEXT_MASK)


def train(model):
    """Give LoRA an effect, as training does."""
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if 'lora_B' in name:
            torch.nn.init.normal_(parameter, std=0.5)
    return model


def trained(model):
    return {n for n, p in model.named_parameters() if p.requires_grad}


def equal(these, those):
    return all(map(torch.equal, these, those))


@needs_peft
@pytest.mark.parametrize(
    'lora', [{}, dict(towers='vision', dropout=0.5), dict(target_modules='all-linear', r=3, alpha=1)]
)
@pytest.mark.parametrize('linear_patch', ['2d', '3d'])
def test_fresh_lora_changes_no_feature_and_no_later_random_number(build_backbone, lora, linear_patch):
    plain = build_backbone(linear_patch=linear_patch)
    number = torch.rand(1)
    adapted = build_backbone(lora, linear_patch=linear_patch)
    assert torch.equal(torch.rand(1), number)
    assert equal(features(adapted), features(plain)) and equal(features(adapted.train()), features(plain))
    assert not equal(features(train(adapted.eval())), features(plain))


@needs_peft
@pytest.mark.parametrize('towers', [['vision'], 'text', TOWERS])
@pytest.mark.parametrize('frozen', [-1, 0, 1])
def test_only_lora_of_the_unfrozen_blocks_trains_in_its_towers(build_backbone, towers, frozen):
    options = dict(linear_patch='3d', frozen_layers=frozen)
    before = trained(build_backbone(**options))
    backbone = build_backbone(dict(towers=towers), **options)
    chosen = (towers,) if isinstance(towers, str) else towers
    parts = [
        part for t in chosen for part in (f'clip.{t}_model.', f'clip.{t.replace("vision", "visual")}_pro')
    ]
    others = {name for name in before if not name.startswith(tuple(parts))}
    lora = {
        f'clip.{tower}_model.encoder.layers.{block}.self_attn.{layer}_proj.lora_{side}.default.weight'
        for tower in chosen
        for block in range(max(0, frozen), 2)
        for layer in 'qv'
        for side in 'AB'
    }
    patch = {'clip.vision_model.embeddings.patch_embedding.weight'}
    assert trained(backbone) == others | lora | patch and 'clip.logit_scale' in others


@needs_peft
def test_lora_that_is_frozen_altogether_is_refused(build_backbone):
    with pytest.raises(
        ValueError, match='frozen_layers=2 freezes all blocks .*leave model.backbone.lora out'
    ):
        build_backbone({}, frozen_layers=2)


@needs_peft
def test_a_layer_computes_the_formula_and_drops_inputs_in_training_alone(build_backbone):
    lora = dict(towers='text', r=4, alpha=6, dropout=0.5, target_modules=['mlp.fc1'])
    backbone = train(build_backbone(lora))
    layer = backbone.clip.text_model.encoder.layers[1].mlp.fc1
    start = 'clip.text_model.encoder.layers.1.mlp.fc1.'
    weights = {k.removeprefix(start): v for k, v in backbone.state_dict().items() if k.startswith(start)}
    inputs = torch.randn(7, 32)
    expected = inputs @ weights['weight'].T + weights['bias']
    product = 1.5 * inputs @ weights['lora_A.weight'].T @ weights['lora_B.weight'].T
    torch.testing.assert_close(layer(inputs), expected + product)
    assert torch.equal(layer(inputs), layer(inputs))
    backbone.train()
    assert not torch.allclose(layer(inputs), layer(inputs))
    mean = torch.stack([layer(inputs) for _ in range(3000)]).mean(0)
    torch.testing.assert_close(mean, expected + product, rtol=0, atol=0.2 * product.abs().max())


@needs_peft
def test_keys_are_those_without_lora_and_three_more_a_layer(build_backbone):
    plain, adapted = build_backbone().state_dict(), build_backbone({}).state_dict()
    layers = [
        f'clip.{tower}_model.encoder.layers.{block}.self_attn.{name}_proj.'
        for tower in TOWERS
        for block in (0, 1)
        for name in 'qv'
    ]
    more = {
        f'{layer}{part}' for layer in layers for part in ('lora_A.weight', 'lora_B.weight', 'lora_scaling')
    }
    assert set(adapted) == set(plain) | more
    assert {float(adapted[f'{layer}lora_scaling']) for layer in layers} == {2}  # alpha / r
    assert all(torch.equal(adapted[key], value) for key, value in plain.items())


def own(model):
    return model.state_dict(), lambda weights: model.load_state_dict(weights)


def mmengines(model):
    return get_state_dict(model), lambda weights: load_state_dict(model, weights, strict=True)


@needs_peft
@pytest.mark.parametrize('way', [own, mmengines])
def test_a_state_dict_loads_again_whole_and_in_no_other_model(build_backbone, tiny_clip, way):
    lora = dict(r=4, target_modules=['q_proj', 'fc2'])
    saved = train(build_backbone(lora))
    weights = dict(way(saved)[0])
    assert weights.keys() == saved.state_dict().keys()
    fresh = copy.deepcopy(build_backbone(lora))
    way(fresh)[1](weights)
    assert equal(features(fresh), features(saved))
    for others, message in (
        (
            dict(lora, alpha=8),
            r'alpha / r = 4 in clip.*, and model.backbone.lora has 2: give the r and alpha',
        ),
        (dict(lora, r=2, alpha=8), 'keys of wrong shape'),
        (dict(lora, towers='text'), 'unexpected keys'),
        (dict(lora, target_modules='all-linear'), 'missing keys'),
        (None, '(?s)unexpected keys.*It has LoRA: give model.backbone.lora as in its training, or merge it'),
    ):
        with pytest.raises(RuntimeError, match=message):
            way(build_backbone(others))[1](weights)
    del weights[next(filter(is_lora, weights))]
    with pytest.raises(RuntimeError, match='1 missing keys'):
        way(fresh)[1](weights)


@needs_peft
@pytest.mark.parametrize('way', [own, mmengines])
def test_lora_starts_from_weights_without_it(build_backbone, way):
    torch.manual_seed(5)
    plain, adapted = build_backbone(), build_backbone({})
    for parameter in plain.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    drawn = {key: value for key, value in adapted.state_dict().items() if is_lora(key)}
    way(adapted)[1](plain.state_dict())
    assert equal(features(adapted), features(plain))
    assert drawn and all(torch.equal(adapted.state_dict()[key], value) for key, value in drawn.items())


@needs_peft
def test_init_cfg_takes_a_checkpoint_with_or_without_lora(build_backbone, tiny_clip, tmp_path):
    for source in (train(build_backbone({})), build_backbone()):
        weights = {f'backbone.{key}': value for key, value in source.state_dict().items()}
        torch.save(dict(state_dict=weights), tmp_path / 'a.pth')
        torch.manual_seed(3)
        init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'a.pth'))
        backbone = CLIPBackbone(config=tiny_clip, lora={}, init_cfg=init_cfg).eval()
        backbone.init_weights()
        assert equal(features(backbone), features(source))


@needs_peft
@pytest.mark.parametrize('autocast', [False, True])
def test_checkpointed_lora_has_the_same_gradients(build_backbone, autocast):
    gradients = []
    for towers in (False, True):
        lora = dict(dropout=0.3)
        backbone = train(build_backbone(lora, gradient_checkpointing=towers)).train()
        torch.manual_seed(2)
        with torch.autocast('cpu', torch.bfloat16, enabled=autocast):
            outputs = features(backbone)
        sum(x.float().square().sum() for x in outputs).backward()
        gradients.append({n: p.grad for n, p in backbone.named_parameters() if p.grad is not None})
    assert set(gradients[0]) == trained(backbone) - {'clip.logit_scale'}
    assert equal(gradients[0].values(), gradients[1].values())


@needs_peft
@pytest.mark.parametrize(
    'options', [{}, dict(retrieval_weight=0.0), dict(adapter=dict(type='SeqTransformerAdapter', width=32))]
)
@pytest.mark.parametrize('towers', ['text', TOWERS])
def test_all_that_trains_in_a_captioner_gets_a_gradient(build, batch, tiny_clip, options, towers):
    model = build(
        backbone=dict(type='CLIPBackbone', config=tiny_clip, lora=dict(towers=towers)),
        **{
            key: dict(v, max_frames=8, num_layers=1, num_heads=2) if key == 'adapter' else v
            for key, v in options.items()
        },
    ).train()
    train(model)
    losses = model(**model.data_preprocessor(copy.deepcopy(batch)), mode='loss')
    model.parse_losses(losses)[0].backward()
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    assert {n for n in frozen if n.startswith('decoder.')} == set()


@needs_peft
def test_an_adapter_starts_from_the_blocks_that_lora_has_changed(build_backbone):
    backbone = train(build_backbone(dict(target_modules='all-linear')))
    adapter = MODELS.build(
        dict(type='SeqTransformerAdapter', width=32, num_layers=2, num_heads=2, max_frames=8)
    )
    adapter.init_from_clip(backbone)
    merged = merge_lora(backbone.clip.text_model.encoder.state_dict())
    blocks = {
        key.replace('blocks', 'layers'): v for key, v in adapter.transformer.blocks.state_dict().items()
    }
    assert blocks and all(torch.equal(merged[f'layers.{key}'], value) for key, value in blocks.items())


@needs_peft
@pytest.mark.parametrize(
    'wrapper, rates',
    [
        (
            dict(constructor='CLIPGroupsOptimWrapperConstructor', paramwise_cfg=dict(clip_lr_mult=0.1)),
            (0.1, 0.1),
        ),
        (
            dict(paramwise_cfg=dict(custom_keys={'layers.0.': dict(lr_mult=0.5), 'lora_': dict(lr_mult=2)})),
            (0.5, 2),
        ),
    ],
)
def test_learning_rates_by_part_and_by_layer_reach_lora(tiny_clip, wrapper, rates):
    backbone = dict(type='CLIPBackbone', config=tiny_clip, lora={})
    model = MODELS.build(dict(type='CLIP4ClipRetriever', backbone=backbone, adapter=dict(type='MeanAdapter')))
    built = build_optim_wrapper(
        model, dict(optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.2), **wrapper)
    )
    names = {parameter: name for name, parameter in model.named_parameters()}
    found = {
        names[p]: group['lr'] for group in built.param_groups for p in group['params'] if p.requires_grad
    }
    assert set(found) == trained(model)
    for block, rate in enumerate(rates):
        assert {lr for name, lr in found.items() if f'layers.{block}.' in name} == {rate}


@needs_peft
@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('targets', [None, 'all-linear'])
def test_every_family_takes_lora_and_checkpointing_and_merges_back(kind, targets):
    # Frozen too, because torch's own attention, by which SigLIP pools, then rounds in another way.
    plain = CLIPBackbone(config=small_encoder(kind)).eval().requires_grad_(False)
    lora = dict(target_modules=targets, r=2)
    model = CLIPBackbone(config=small_encoder(kind), lora=lora, gradient_checkpointing=True).eval()
    model.load_state_dict(plain.state_dict())
    frames, (tokens, mask) = torch.randn(4, 2, 3, 32, 32), captions()

    def outputs(backbone):
        return backbone.encode_frames(frames, torch.ones(4, 2)), backbone.encode_text(tokens, mask)

    assert equal(outputs(model), outputs(plain))
    names = trained(model) - {'clip.logit_scale'}
    assert names and all('lora_' in name for name in names)
    for tower in TOWERS:
        found = {n.split('.lora_')[0] for n in names if n.startswith(f'clip.{tower}_model.')}
        linear = [m for m in tower_blocks(plain.clip, tower).modules() if isinstance(m, torch.nn.Linear)]
        assert len(found) == (len(linear) if targets else 2 * 2)  # query and value of both blocks
    sum(x.square().sum() for x in outputs(train(model).train())).backward()
    assert all(p.grad is not None for n, p in model.named_parameters() if n in names)
    expected = outputs(model.eval())
    assert not any(map(torch.allclose, expected, outputs(plain)))
    plain.load_state_dict(merge_lora(model.state_dict()))
    for output, value in zip(outputs(plain), expected):
        torch.testing.assert_close(output, value, rtol=0, atol=1e-5 * float(value.abs().max()))


@pytest.mark.parametrize(
    'lora, message',
    [
        (dict(rank=4), r"lora may have the keys \['towers', 'r', 'alpha', .*got \['rank'\]"),
        (dict(r=0), 'r and alpha above 0.*got r=0'),
        (dict(r=2.5, alpha=-1), 'got r=2.5, alpha=-1'),
        (dict(dropout=1.0), 'got dropout=1.0'),
        (dict(towers=()), r'at least one tower.*got towers=\(\)'),
        (dict(towers='audio'), 'lora.towers must be .*got .audio'),
        (dict(target_modules=[]), r'got target_modules=\[\]'),
        (
            dict(target_modules=['q_proj', 'proj_q']),
            r"names \['proj_q'\], which no block has; .*'self_attn.k_proj'",
        ),
        (dict(target_modules='self_attn'), r"names \['self_attn'\], which no block has"),
    ],
)
def test_options_that_mean_nothing_are_refused(build_backbone, lora, message):
    with pytest.raises(ValueError, match=message):
        build_backbone(lora)


def test_without_peft_the_error_says_how_to_install_it(build_backbone, monkeypatch):
    monkeypatch.setitem(sys.modules, 'peft', None)
    with pytest.raises(ImportError, match=r"lora needs peft .*: pip install 'mmclip4clip\[lora\]'"):
        build_backbone({})
    build_backbone()
