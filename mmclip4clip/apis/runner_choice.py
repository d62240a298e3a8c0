"""The runner class of a config."""

import inspect

import torch
from mmaction.registry import RUNNERS
from mmengine.config import Config
from mmengine.runner import Runner

from .short_log import ShortLogRunner
from .strategy_choice import use_fsdp
from .strategy_runner import StrategyRunner


def runner_class(cfg: Config, training: bool = True) -> type[Runner] | type[StrategyRunner]:
    """Return the class that runs a config, after checking ``runner_type``, ``strategy`` and ``compile``.

    Args:
        cfg (Config): Config with ``runner_type`` (default ``'Runner'``), which may name a subclass of
            mmengine's ``Runner`` in the registry ``RUNNERS``, ``strategy`` and ``full_log``.
        training (bool): Whether the runner is for training. A test needs no strategy, as its checkpoints are
            whole, and uses mmengine's ``Runner``.

    Returns:
        type: :class:`ShortLogRunner`, mmengine's runner with ``full_log``, :class:`StrategyRunner`
        with a strategy, or the registered class.

    Raises:
        ValueError: If a setting could only be ignored; names the key.
    """
    kind = cfg.get('runner_type') or 'Runner'
    if isinstance(kind, str):
        name, found = kind, RUNNERS.get(kind)
    else:
        name, found = getattr(kind, '__name__', str(kind)), kind
    check_compile(cfg.get('compile'))
    if name.rsplit('.')[-1] == 'FlexibleRunner':
        if training:
            use_fsdp(cfg)
            return StrategyRunner
        found = Runner
    elif cfg.get('strategy') is not None:
        raise ValueError(f"strategy needs runner_type='FlexibleRunner', got {name!r}")
    if not (inspect.isclass(found) and issubclass(found, Runner)):
        raise ValueError(f"runner_type must be 'Runner' or a registered subclass of it, got {name!r}")
    if found is not Runner:
        return found
    return Runner if cfg.get('full_log') else ShortLogRunner


def check_compile(setting: object) -> None:
    """Check the value of ``compile``, which mmengine's runner passes to ``torch.compile``.

    Raises:
        ValueError: If it is neither a bool nor a dict of arguments, or has an unknown backend.
    """
    if setting is None or isinstance(setting, bool):
        return
    if not isinstance(setting, dict):
        raise ValueError(
            f'compile must be True, False or a dict of arguments of torch.compile, got {setting!r}'
        )
    known = set(inspect.signature(torch.compile).parameters) - {'model'}
    unknown = sorted(set(setting) - known)
    if unknown:
        raise ValueError(f'compile has unknown arguments {unknown}; torch.compile takes {sorted(known)}')
