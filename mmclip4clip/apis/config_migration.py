"""Accept paths of configs and keys of ``--cfg-options`` from earlier versions."""

import logging
import math
import re
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

MOVED = 'ablations'  # subfolder into which configs that vary one setting have moved
# Recipes had a list of two schedulers, a warm-up and a cosine, before WarmUpCosineLR.
SCHEDULE = {
    'param_scheduler.0.start_factor': 'param_scheduler.start_factor',
    'param_scheduler.0.end': 'param_scheduler.warmup',
    'param_scheduler.1.begin': 'param_scheduler.cosine_begin',
    'param_scheduler.1.end': 'param_scheduler.end',
}
LENGTH = 'param_scheduler.1.T_max'
REPORTS = ('RetrievalReportHook', 'EvaluationReportHook')


def read_config(path: str) -> Config:
    """Read a config from its current or former path.

    Raises:
        FileNotFoundError: If the config or one of its ``_base_`` files does not exist. If the base has moved,
            the message contains its new path.

    Examples:
        >>> import tempfile
        >>> from mmclip4clip.apis import read_config
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, 'config.py')
        ...     _ = path.write_text('train_cfg = dict(max_epochs=5)')
        ...     read_config(str(path)).train_cfg.max_epochs
        5
    """
    if not Path(path).is_file():
        if _moved(path) is None:
            raise FileNotFoundError(f'the config {path} does not exist')
        print_log(
            f'the config {path} has moved: {_moved(path)} is used; please use the new path',
            logger='current',
            level=logging.WARNING,
        )
        path = str(_moved(path))
    try:
        return Config.fromfile(path)
    except FileNotFoundError as error:
        if error.filename and _moved(error.filename):
            raise FileNotFoundError(
                f'{path} inherits {error.filename}, which has moved: write '
                f'{_moved(error.filename)} in its _base_'
            ) from error
        raise


def _moved(path: str) -> Path | None:
    """Return the new path of a config that has moved, or None."""
    moved = Path(path).parent / MOVED / Path(path).name
    return moved if moved.is_file() else None


def rename_options(cfg: Config, options: dict[str, Any]) -> dict[str, Any]:
    """Convert keys of ``--cfg-options`` for a list of two schedulers to those of ``WarmUpCosineLR``.

    Args:
        cfg (Config): Config that the options change.
        options (dict[str, Any]): Values by dotted keys.

    Returns:
        dict[str, Any]: Values by current keys.

    Raises:
        ValueError: If a key has no counterpart, or ``T_max`` is not the length of the cosine.
    """
    schedule = cfg.get('param_scheduler')
    if not isinstance(schedule, dict) or schedule.get('type') != 'WarmUpCosineLR':
        return options
    renamed = {SCHEDULE.get(key, key): value for key, value in options.items() if key != LENGTH}
    for key in options:
        if key in SCHEDULE:
            print_log(
                f'{key} is now called {SCHEDULE[key]}, because param_scheduler is a single WarmUpCosineLR',
                logger='current',
                level=logging.WARNING,
            )
        elif key == LENGTH:
            _check_length(
                dict(
                    schedule,
                    **{k.rpartition('.')[2]: v for k, v in renamed.items() if k in SCHEDULE.values()},
                ),
                options[LENGTH],
            )
        elif re.match(r'param_scheduler\.\d', key):
            raise ValueError(
                f'{key} is not a key of this config: its param_scheduler is a single WarmUpCosineLR with '
                f'{", ".join(SCHEDULE.values())}. A config can set param_scheduler to a list of schedulers'
            )
    return renamed


def join_report_hooks(cfg: Config) -> None:
    """Join the two report hooks of older configs into one ``EvaluationReportHook``.

    ``default_hooks.report`` was a ``RetrievalReportHook`` and ``default_hooks.caption_report`` a
    ``CaptionReportHook``. Configs and ``--cfg-options`` may still set arguments of either.
    """
    hooks = cfg.get('default_hooks') or {}
    report = hooks.get('report')
    if not report or report.get('type') not in REPORTS:
        return  # disabled, or a hook of the user
    if report['type'] == REPORTS[1] and 'caption_report' not in hooks:
        return
    captions = hooks.pop('caption_report', {})
    report['type'] = REPORTS[1]
    report.update({'page': None} if captions is None else {k: captions[k] for k in captions if k != 'type'})
    print_log(
        'default_hooks.report and caption_report are now one hook: default_hooks.report=dict(type='
        "'EvaluationReportHook', gallery=..., top=..., page=..., picture=...)",
        logger='current',
        level=logging.WARNING,
    )


def _check_length(schedule: dict, length: float) -> None:
    """Accept the length of the cosine only if it follows from the other settings."""
    begin = schedule.get('cosine_begin', schedule['warmup'])
    if not math.isclose(length, schedule['end'] - begin):
        raise ValueError(
            f'{LENGTH}={length}: the cosine of WarmUpCosineLR lasts from cosine_begin={begin} to '
            f'end={schedule["end"]}; set param_scheduler.cosine_begin and param_scheduler.end'
        )
    print_log(
        f'{LENGTH} is no longer needed: the cosine of WarmUpCosineLR lasts from cosine_begin to end',
        logger='current',
        level=logging.WARNING,
    )
