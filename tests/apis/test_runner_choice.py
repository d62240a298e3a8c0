import pytest
from mmaction.registry import RUNNERS
from mmengine.config import Config
from mmengine.runner import Runner

from mmclip4clip.apis.runner_choice import runner_class
from mmclip4clip.apis.short_log import ShortLogRunner


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


@pytest.mark.parametrize(
    'settings, message',
    [
        (dict(runner_type='FlexibleRunner'), "runner_type='FlexibleRunner' is not supported"),
        (dict(runner_type='mmengine.FlexibleRunner'), 'is not supported'),
        (dict(strategy=dict(type='DeepSpeedStrategy')), 'strategy is a setting of FlexibleRunner'),
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
