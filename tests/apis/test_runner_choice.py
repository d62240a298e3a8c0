from pathlib import Path

import pytest
from mmaction.registry import RUNNERS
from mmengine.config import Config
from mmengine.runner import Runner

from mmclip4clip.apis.runner_choice import runner_class
from mmclip4clip.apis.short_log import ShortLogRunner
from mmclip4clip.apis.strategy_runner import StrategyRunner

ROOT = Path(__file__).parents[2]


@RUNNERS.register_module()
class RunnerOfAUser(Runner):
    """A runner that a config names."""


@pytest.mark.parametrize(
    'settings, expected',
    [
        ({}, ShortLogRunner),
        (dict(runner_type='Runner'), ShortLogRunner),
        (dict(runner_type=Runner, compile=True), ShortLogRunner),
        (dict(full_log=True, compile=dict(backend='eager', mode=None)), Runner),
        (dict(runner_type='RunnerOfAUser', strategy=None), RunnerOfAUser),
    ],
)
def test_the_class_follows_the_config(settings, expected):
    assert runner_class(Config(settings)) is expected


def sharded(**settings):
    """A training in several processes with the base for FSDP."""
    base = Config.fromfile(ROOT / 'configs/_base_/strategies/fsdp.py')
    return Config(dict(base.to_dict(), launcher='pytorch', **settings))


def test_fsdp_trains_with_the_strategy_that_resumes_and_tests_without():
    cfg = sharded(optim_wrapper=dict(type='AmpOptimWrapper', optimizer=dict(type='AdamW')), val_cfg=None)
    assert runner_class(cfg, training=False) is ShortLogRunner
    assert runner_class(cfg) is StrategyRunner
    assert cfg.strategy.type == 'ResumableFSDPStrategy'


@pytest.mark.parametrize(
    'settings, message',
    [
        (dict(launcher='none'), 'launcher: there is one process'),
        (dict(optim_wrapper=dict(clip_grad=dict(max_norm=1.0))), 'clip_grad: each process'),
        (dict(optim_wrapper=dict(accumulative_counts=2)), 'accumulative_counts'),
        (dict(optim_wrapper=dict(optimizer=dict(type='BertAdam'))), 'optimizer.type=BertAdam'),
        (dict(optim_wrapper=dict(type='ApexOptimWrapper')), "optim_wrapper.type='ApexOptimWrapper'"),
        (dict(compile=True), 'compile: the blocks'),
        (dict(model_wrapper_cfg=dict(type='x')), 'belong in strategy.model_wrapper'),
        (dict(strategy=dict(model_wrapper=dict(use_orig_params=False))), 'use_orig_params: it must be True'),
        (dict(custom_hooks=[dict(type='mmengine.EMAHook')]), 'custom_hooks: EMAHook'),
        (dict(model=dict(micro_batch_size=8)), 'model.micro_batch_size'),
        (dict(model=dict(decoder=dict(type='CaptionDecoder'))), 'model.decoder: captions'),
        (dict(val_cfg=dict(query_bank=dict(ann_file='a.json'))), 'val_cfg.query_bank'),
    ],
)
def test_what_does_not_go_with_fsdp_is_refused_with_its_key(settings, message):
    cfg = sharded()
    cfg.merge_from_dict(settings)
    with pytest.raises(ValueError, match=f'strategy FSDPStrategy cannot be used .*\n  .*{message}'):
        runner_class(cfg)


@pytest.mark.parametrize(
    'settings, message',
    [
        (
            dict(runner_type='FlexibleRunner'),
            r"strategy must be dict\(type='FSDPStrategy', ...\), got 'None'",
        ),
        (dict(runner_type='mmengine.FlexibleRunner', strategy=dict(type='DDPStrategy')), "got 'DDPStrategy'"),
        (
            dict(runner_type='FlexibleRunner', strategy=dict(type='DeepSpeedStrategy')),
            "strategy.type='DeepSpeedStrategy' is not supported",
        ),
        (
            dict(strategy=dict(type='FSDPStrategy')),
            "strategy needs runner_type='FlexibleRunner', got 'Runner'",
        ),
        (dict(runner_type='NoRunner'), "runner_type must be 'Runner' .*, got 'NoRunner'"),
        (dict(runner_type=dict), "runner_type must be 'Runner' .*, got 'dict'"),
        (dict(compile='yes'), "compile must be True, False or a dict .*, got 'yes'"),
        (dict(compile=1), 'compile must be True, False or a dict .*, got 1'),
        (dict(compile=dict(bakend='eager')), r"compile has unknown arguments \['bakend'\]"),
    ],
)
def test_settings_that_would_be_ignored_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        runner_class(Config(settings))
