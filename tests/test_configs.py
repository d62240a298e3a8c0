import math
import re
from pathlib import Path

import pytest
from mmaction.registry import DATA_SAMPLERS, DATASETS, LOOPS, METRICS, MODELS, TRANSFORMS
from mmengine.config import Config

ROOT = Path(__file__).parents[1]
LEAVES = sorted((ROOT / 'configs').glob('[!_]*/*/*.py'))
PUBLISHED = 'clip4clip_vit-base-p32-res224-clip-pre_8xb16-u12-5e_msrvtt-9k-rgb.py'


@pytest.mark.parametrize('path', LEAVES, ids=lambda p: p.stem)
def test_every_config_names_what_is_registered(path):
    cfg = Config.fromfile(path)
    for part in ('train', 'val', 'test'):
        loader = cfg[f'{part}_dataloader']
        assert DATASETS.get(loader.dataset.type) and DATA_SAMPLERS.get(loader.sampler.type)
        for transform in loader.dataset.pipeline:
            assert TRANSFORMS.get(transform.type), transform.type
    assert METRICS.get(cfg.val_evaluator.type) and LOOPS.get(cfg.test_cfg.type)
    for part in ('backbone', 'adapter', 'data_preprocessor'):
        assert MODELS.get(cfg.model[part].type)


@pytest.mark.parametrize('path', LEAVES, ids=lambda p: p.stem)
def test_leaves_are_short_and_named_after_their_batch(path):
    assert len(path.read_text().splitlines()) <= 45
    cfg, name = Config.fromfile(path), path.stem
    gpus, batch = map(int, re.search(r'_(\d+)xb(\d+)-', name).groups())
    assert cfg.train_dataloader.batch_size == batch
    assert f'-{cfg.train_cfg.max_epochs}e_' in name
    assert cfg.auto_scale_lr.base_batch_size == gpus * batch


@pytest.mark.parametrize('path', [p for p in LEAVES if 'vit-tiny' in p.stem], ids=lambda p: p.stem)
def test_demo_models_can_be_built_without_a_network(path):
    model = MODELS.build(Config.fromfile(path).model)
    assert model.backbone.width == 128


def test_the_published_config_has_the_published_recipe():
    cfg = Config.fromfile(ROOT / 'configs/retrieval/clip4clip' / PUBLISHED)
    assert cfg.model.backbone == dict(
        type='CLIPBackbone', pretrained='openai/clip-vit-base-patch32', frozen_layers=0)
    assert cfg.train_dataloader.batch_size == 16 and cfg.auto_scale_lr.base_batch_size == 128
    assert cfg.optim_wrapper.optimizer.lr == 1e-5 and cfg.train_cfg.max_epochs == 5
    segments = [t for t in cfg.test_dataloader.dataset.pipeline if t.type == 'UniformSample']
    assert [t.clip_len for t in segments] == [12] and segments[0].test_mode
    assert 'test_mode' not in [t for t in cfg.train_dataloader.dataset.pipeline
                               if t.type == 'UniformSample'][0]
    assert 'save_best' not in cfg.default_hooks.checkpoint  # there is no validation split


def test_the_schedule_reaches_from_first_to_last_step():
    for path in LEAVES:
        cfg = Config.fromfile(path)
        if cfg.param_scheduler[0].type == 'RawCosineLR':
            # the runner fills in the end
            assert len(cfg.param_scheduler) == 1 and not {'begin', 'end'} & set(cfg.param_scheduler[0])
            continue
        warm_up, cosine = cfg.param_scheduler
        assert math.isclose(warm_up.get('begin', 0), 0) and 0 < warm_up['end'] <= cosine.begin
        assert cosine.end == cfg.train_cfg.max_epochs and cosine.T_max == cosine.end - cosine.begin


def test_the_reference_config_has_the_references_training():
    cfg = Config.fromfile(ROOT / 'configs/retrieval/clip4clip' / PUBLISHED.replace('-5e_', '-reference-5e_'))
    assert cfg.model.gather == 'local_gradient' and cfg.model.loss.same_video == 'negative'
    assert cfg.model.backbone.frozen_layers == 0 and cfg.train_dataloader.drop_last
    assert cfg.optim_wrapper.optimizer.type == 'BertAdam'
    assert 'save_best' not in cfg.default_hooks.checkpoint
