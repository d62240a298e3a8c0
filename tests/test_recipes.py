"""The recipes in configs/_base_/schedules, built as mmengine's runner builds them."""

import math
import shutil
from pathlib import Path

import mmaction
import pytest
import torch
import transformers
from mmaction.registry import DATASETS, MODELS, PARAM_SCHEDULERS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import OptimWrapper, build_optim_wrapper
from packaging.version import Version

from .tools.conftest import config, tool, weights  # noqa: F401  the fixtures

ROOT = Path(__file__).parents[1]
EPOCH_LENGTH = 4


def recipe(name):
    return Config.fromfile(ROOT / f'configs/_base_/schedules/{name}.py')


def retriever(tiny_clip, frozen_layers=0, **adapter):
    return MODELS.build(
        dict(
            type='CLIP4ClipRetriever',
            adapter=adapter or dict(type='MeanAdapter'),
            backbone=dict(type='CLIPBackbone', config=tiny_clip, frozen_layers=frozen_layers),
        )
    )


def settings(wrapper, model):
    names = {id(p): name for name, p in model.named_parameters()}
    found = {}
    for group in wrapper.optimizer.param_groups:
        rest = {key: value for key, value in group.items() if key != 'params'}
        found.update((names[id(p)], rest) for p in group['params'])
    return found


def rates(schedule, steps, epoch_length=49):
    """The learning rate of each step, and of two after the last one."""
    wrapper = OptimWrapper(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-5))
    schedulers = [
        PARAM_SCHEDULERS.build(dict(part), default_args=dict(optimizer=wrapper, epoch_length=epoch_length))
        for part in (schedule if isinstance(schedule, list) else [schedule])
    ]
    seen = []
    for _ in range(steps + 2):
        seen.append(wrapper.get_lr()['lr'][0])
        wrapper.step()
        for scheduler in schedulers:
            scheduler.step()
    return seen


def test_for_a_mean_modern_is_the_recipe_that_mmaction2_publishes(tiny_clip):
    folder = Path(mmaction.__file__).parent / '.mim/configs/retrieval/clip4clip'
    theirs = Config.fromfile(folder / 'clip4clip_vit-base-p32-res224-clip-pre_8xb16-u12-5e_msrvtt-9k-rgb.py')
    ours, model = recipe('modern'), retriever(tiny_clip)
    found = settings(build_optim_wrapper(model, ours.optim_wrapper), model)
    published = settings(build_optim_wrapper(model, theirs.optim_wrapper), model)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    # mmengine 0.10.0 also lists frozen parameters, which AdamW passes over, because they have no gradient.
    assert found == {name: group for name, group in published.items() if name in trained}
    assert set(found) == trained
    assert rates(ours.param_scheduler, 5 * 49) == rates(theirs.param_scheduler, 5 * 49)
    assert ours.auto_scale_lr == theirs.auto_scale_lr
    assert {k: v for k, v in ours.train_cfg.items() if k != 'type'} == {
        k: v for k, v in theirs.train_cfg.items() if k != 'type'
    }


def test_modern_trains_heads_ten_times_as_fast(tiny_clip):
    model = retriever(tiny_clip, type='SeqLSTMAdapter', width=32)
    for name, group in settings(build_optim_wrapper(model, recipe('modern').optim_wrapper), model).items():
        assert group['lr'] == pytest.approx(1e-5 if name.startswith('backbone.') else 1e-4), name


def plain_reference(start, gradients, total_steps):
    """Train by the reference's formulas, in float64; yield weights and both moments after each step."""
    weight = {name: p.clone() for name, p in start.items()}
    first = {name: torch.zeros_like(p) for name, p in start.items()}
    second = {name: torch.zeros_like(p) for name, p in start.items()}
    for step, grads in enumerate(gradients):
        progress = step / total_steps
        factor = progress / 0.1 if progress < 0.1 else 0.5 * (1 + math.cos(math.pi * progress))
        norm = math.sqrt(sum((g**2).sum().item() for g in grads.values()))
        for name, g in grads.items():
            g = g * min(1, 1 / (norm + 1e-6))
            g = g * min(1, 1 / (math.sqrt((g**2).sum().item()) + 1e-6))
            first[name] = 0.9 * first[name] + 0.1 * g
            second[name] = 0.98 * second[name] + 0.02 * g**2
            decay = 0 if 'bias' in name else 0.2
            rate = 1e-4 * (1e-3 if name.startswith('backbone.clip.') else 1) * factor
            weight[name] = weight[name] - rate * (
                first[name] / (second[name].sqrt() + 1e-6) + decay * weight[name]
            )
        yield dict(weight), dict(first), dict(second)


@pytest.fixture
def inputs(shapes, pipeline):
    dataset = DATASETS.build(
        dict(
            type='VideoCaptionDataset',
            ann_file='test.json',
            data_root=str(shapes),
            data_prefix=dict(video='videos'),
            test_mode=True,
            pipeline=pipeline,
        )
    )
    batch = pseudo_collate([dataset[i] for i in range(4)])
    return MODELS.build(dict(type='VideoCaptionPreprocessor'))(batch, training=True)['inputs']


def far(ours, plain):
    """The largest difference, relative to the largest element."""
    return ((ours.double() - plain).abs().max() / plain.abs().max().clamp(min=1e-300)).item()


def train(model, inputs, wrapper, scheduler, loss_weight):
    """Train three steps; return the gradients of each, and weights and both moments after it."""
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    gradients, seen = [], []
    for _ in range(3):
        losses = model(inputs, mode='loss')
        wrapper.backward(loss_weight * (losses['loss_t2v'] + losses['loss_v2t']))
        gradients.append({name: p.grad.double().clone() for name, p in trained.items()})
        wrapper.step()
        wrapper.zero_grad()
        scheduler.step()
        states = {name: wrapper.optimizer.state[p] for name, p in trained.items()}
        seen.append(
            (
                {name: p.detach().clone() for name, p in trained.items()},
                {name: state['exp_avg'].clone() for name, state in states.items()},
                {name: state['exp_avg_sq'].clone() for name, state in states.items()},
            )
        )
    return gradients, seen


@pytest.fixture
def dtype(request):
    """Give the type of a model, also as torch's default for transformers 4.

    There it is the type of the tensor in which the text's mask gets the least value of the model's type,
    and torch 2.2 refuses to write the least float64 into float32.
    """
    if Version(transformers.__version__).major < 5:
        torch.set_default_dtype(request.param)
    yield request.param
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64], indirect=True)
@pytest.mark.parametrize('loss_weight, clipped', [(10.0, True), (1e-4, False)])
def test_steps_of_reference_are_those_of_its_formulas(tiny_clip, inputs, dtype, loss_weight, clipped):
    model = retriever(
        tiny_clip, type='SeqTransformerAdapter', width=32, num_layers=2, num_heads=2, max_frames=24
    ).to(dtype)
    inputs['frames'] = inputs['frames'].to(dtype)
    cfg = recipe('reference')
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    scheduler = PARAM_SCHEDULERS.build(
        dict(cfg.param_scheduler[0], end=cfg.train_cfg.max_epochs),
        default_args=dict(optimizer=wrapper, epoch_length=EPOCH_LENGTH),
    )
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert len(trained) < len(list(model.parameters()))
    start = {name: p.detach().double().clone() for name, p in model.named_parameters()}
    gradients, seen = train(model, inputs, wrapper, scheduler, loss_weight)
    norm = sum((g**2).sum() for g in gradients[0].values()).sqrt()
    assert (norm > 1) == clipped
    plain = plain_reference(
        {name: start[name] for name in trained}, gradients, cfg.train_cfg.max_epochs * EPOCH_LENGTH
    )
    for step, (ours, theirs) in enumerate(zip(seen, plain)):
        for name in trained:
            assert all(far(a[name], b[name]) < 1e-5 for a, b in zip(ours, theirs)), (step, name)
            if dtype == torch.float64 and step:  # in float32, 1e-7 of a weight is lost in its last digits
                assert far(ours[0][name] - start[name], theirs[0][name] - start[name]) < 1e-5, (step, name)
        assert step or all(torch.equal(ours[0][name].double(), start[name]) for name in trained)
    for name, p in model.named_parameters():
        assert name in trained or torch.equal(p.double(), start[name])


def test_reference_trains_and_resumes_exactly(tool, config, tmp_path):  # noqa: F811
    cfg = Config.fromfile(config)
    for key, value in recipe('reference').items():
        cfg[key] = value
    cfg.train_cfg.max_epochs = 2
    cfg.train_dataloader.sampler = dict(type='DefaultSampler', shuffle=True)
    cfg.train_dataloader.batch_sampler = dict(type='DistinctVideoBatchSampler')
    cfg.dump(tmp_path / 'recipe.py')
    flags = ('--no-validate', '--seed', 0, '--deterministic')
    tool('train.py', 'recipe.py', '--work-dir', 'whole', *flags)
    shutil.copytree('whole', 'stopped')  # as if stopped after the first epoch
    (tmp_path / 'stopped/epoch_2.pth').unlink()
    tool('train.py', 'recipe.py', '--work-dir', 'stopped', '--resume', 'stopped/epoch_1.pth', *flags)
    first, whole, stopped = (
        weights(f'{path}.pth') for path in ('whole/epoch_1', 'whole/epoch_2', 'stopped/epoch_2')
    )
    assert all(torch.equal(whole[key], stopped[key]) for key in whole)
    assert not all(torch.equal(whole[key], first[key]) for key in whole)
