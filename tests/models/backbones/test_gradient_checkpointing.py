import copy
import warnings

import pytest
import torch

from mmclip4clip.models import CLIPBackbone
from mmclip4clip.models.backbones.towers import TOWERS, tower_blocks

from ...encoders import KINDS, small_encoder
from .test_families import captions

TOKENS = torch.tensor([[0, 5, 6, 1], [0, 7, 1, 1]])
FRAME_MASK, TEXT_MASK = torch.tensor([[1, 1, 1], [1, 0, 0]]), torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])


def build_backbone(config, **options):
    torch.manual_seed(0)
    return CLIPBackbone(config=config, embedding_std=dict(text=0.5, vision=0.5), **options).train()


def step(backbone, autocast=False):
    """The features and gradients of a step, and the bytes that it keeps for the backward pass."""
    torch.manual_seed(1)
    kept = 0

    def count(tensor):
        nonlocal kept
        kept += tensor.nbytes
        return tensor

    backbone.zero_grad()
    frames = torch.randn(2, 3, 3, 64, 64)
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        with torch.autocast('cpu', torch.bfloat16, enabled=autocast):
            videos = backbone.encode_frames(frames, FRAME_MASK)
            text = backbone.encode_text(TOKENS, TEXT_MASK)
        before = kept
        (videos.float().square().sum() + text.float().square().sum()).backward()
    gradients = {n: p.grad for n, p in backbone.named_parameters() if p.grad is not None}
    return (videos, text), gradients, before


def assert_identical(these, those):
    assert these[1] and these[1].keys() == those[1].keys()
    assert all(torch.equal(a, b) for a, b in zip(these[0], those[0]))
    for name, gradient in those[1].items():
        assert torch.equal(these[1][name], gradient), name


@pytest.mark.parametrize('towers', [True, 'vision', ['text']])
@pytest.mark.parametrize('options', [{}, dict(frozen_layers=1), dict(linear_patch='3d', frozen_layers=0)])
@pytest.mark.parametrize('autocast', [False, True])
def test_gradients_are_bit_identical_and_less_is_kept(tiny_clip, towers, options, autocast):
    plain = step(build_backbone(tiny_clip, **options), autocast)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        checkpointed = step(build_backbone(tiny_clip, gradient_checkpointing=towers, **options), autocast)
    assert_identical(checkpointed, plain)
    assert checkpointed[2] < plain[2]


def test_dropout_draws_the_same_numbers_in_both_forward_passes(tiny_clip):
    for tower in ('text_config', 'vision_config'):
        tiny_clip[tower]['attention_dropout'] = 0.5
    plain = step(build_backbone(tiny_clip))
    assert_identical(step(build_backbone(tiny_clip, gradient_checkpointing=True)), plain)
    assert not torch.equal(plain[0][0], step(build_backbone(tiny_clip).eval())[0][0])


@pytest.mark.parametrize('training', [True, False])
def test_blocks_run_again_in_training_alone_and_only_those_that_get_gradients(tiny_clip, training):
    backbone = build_backbone(tiny_clip, gradient_checkpointing='vision', frozen_layers=1).train(training)
    calls = []
    for tower in TOWERS:
        for number, block in enumerate(tower_blocks(backbone.clip, tower)):
            block.mlp.register_forward_pre_hook(lambda *args, name=(tower, number): calls.append(name))
    step(backbone)
    again = [('vision', 1)] if training else []
    assert sorted(calls) == sorted([(tower, n) for tower in TOWERS for n in (0, 1)] + again)


@pytest.mark.parametrize(
    'options', [{}, dict(retrieval_weight=0.0), dict(retrieval_weight=0.0, freeze_encoder=True)]
)
def test_a_captioner_has_the_gradients_that_it_has_without(build, batch, tiny_clip, options):
    results = []
    for checkpointed in (False, True):
        backbone = dict(type='CLIPBackbone', config=tiny_clip, gradient_checkpointing=checkpointed)
        model = build(backbone=backbone, **options).train()
        torch.manual_seed(2)  # of the decoder's dropout
        losses = model(**model.data_preprocessor(copy.deepcopy(batch)), mode='loss')
        model.parse_losses(losses)[0].backward()
        results.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert results[0] and results[0].keys() == results[1].keys()
    assert all(torch.equal(results[1][name], gradient) for name, gradient in results[0].items())


@pytest.mark.parametrize('kind', KINDS)
def test_every_family_has_the_gradients_that_it_has_without(kind):
    frames, (tokens, mask), gradients = torch.randn(4, 2, 3, 32, 32), captions(), []
    for checkpointed in (False, True):
        torch.manual_seed(0)
        backbone = CLIPBackbone(config=small_encoder(kind), gradient_checkpointing=checkpointed).train()
        torch.manual_seed(1)  # of the dropout of BERT
        videos, text = backbone.encode_frames(frames, torch.ones(4, 2)), backbone.encode_text(tokens, mask)
        (videos.square().sum() + text.square().sum()).backward()
        gradients.append({n: p.grad for n, p in backbone.named_parameters() if p.grad is not None})
    assert len(gradients[0]) > 60 and gradients[0].keys() == gradients[1].keys()
    assert all(torch.equal(gradients[1][name], gradient) for name, gradient in gradients[0].items())


@pytest.mark.parametrize('towers', ['frames', ('vision', 'audio'), 3])
def test_what_is_no_tower_is_refused(tiny_clip, towers):
    with pytest.raises(ValueError, match=r"gradient_checkpointing must .*names of \('vision', 'text'\), got"):
        CLIPBackbone(config=tiny_clip, gradient_checkpointing=towers)
