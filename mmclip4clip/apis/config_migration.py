"""Config files and command-line keys of earlier versions, and what they are called now."""

import logging
import math
import re
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

MOVED = 'ablations'  # configs that vary one thing have moved into this folder, beside where they were
# The recipes had a list of two schedulers, a warm-up and a cosine, in place of WarmUpCosineLR.
SCHEDULE = {
    'param_scheduler.0.start_factor': 'param_scheduler.start_factor',
    'param_scheduler.0.end': 'param_scheduler.warmup',
    'param_scheduler.1.begin': 'param_scheduler.cosine_begin',
    'param_scheduler.1.end': 'param_scheduler.end',
}
LENGTH = 'param_scheduler.1.T_max'
REPORTS = ('RetrievalReportHook', 'EvaluationReportHook')


def read_config(path: str) -> Config:
    """Read a config, also by the path that it had before it moved.

    Raises:
        FileNotFoundError: If there is no such config, or no such ``_base_`` of it. Of a base that has moved,
            the new path is named.
    """
    if not Path(path).is_file():
        if _moved(path) is None:
            raise FileNotFoundError(f'the config {path} does not exist')
        print_log(
            f'the config {path} has moved: {_moved(path)} is used; give this path from now on',
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
    """Return where a config that is not there has moved to, if it has."""
    moved = Path(path).parent / MOVED / Path(path).name
    return moved if moved.is_file() else None


def rename_options(cfg: Config, options: dict[str, Any]) -> dict[str, Any]:
    """Give the keys of ``--cfg-options`` that a list of two schedulers had the names of the one schedule.

    Args:
        cfg (Config): The config that they shall change.
        options (dict[str, Any]): Values by dotted keys.

    Returns:
        dict[str, Any]: The same, with the keys of today.

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
                f'{key} is called {SCHEDULE[key]} now, as param_scheduler is one WarmUpCosineLR',
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
                f'{key} is no key of this config: its param_scheduler is one WarmUpCosineLR, with '
                f'{", ".join(SCHEDULE.values())}. A config can set param_scheduler to a list of others'
            )
    return renamed


def join_report_hooks(cfg: Config) -> None:
    """Make one ``EvaluationReportHook`` of the two report hooks that configs had in ``default_hooks``.

    ``report`` was a ``RetrievalReportHook`` and ``caption_report`` a ``CaptionReportHook``. A config or
    ``--cfg-options`` may still set arguments of either.
    """
    hooks = cfg.get('default_hooks') or {}
    report = hooks.get('report')
    if not report or report.get('type') not in REPORTS:
        return  # one that is switched off, or the user's own
    if report['type'] == REPORTS[1] and 'caption_report' not in hooks:
        return
    captions = hooks.pop('caption_report', {})
    report['type'] = REPORTS[1]
    report.update({'page': None} if captions is None else {k: captions[k] for k in captions if k != 'type'})
    print_log(
        'default_hooks.report and caption_report are one hook now: default_hooks.report=dict(type='
        "'EvaluationReportHook', gallery=..., top=..., page=..., picture=...)",
        logger='current',
        level=logging.WARNING,
    )


def _check_length(schedule: dict, length: float) -> None:
    """Let the length of the cosine be given where it says nothing new."""
    begin = schedule.get('cosine_begin', schedule['warmup'])
    if not math.isclose(length, schedule['end'] - begin):
        raise ValueError(
            f'{LENGTH}={length}: the cosine of WarmUpCosineLR reaches from cosine_begin, {begin}, to end, '
            f'{schedule["end"]}; set param_scheduler.cosine_begin and param_scheduler.end'
        )
    print_log(
        f'{LENGTH} is not needed any more: the cosine of WarmUpCosineLR reaches from cosine_begin to end',
        logger='current',
        level=logging.WARNING,
    )
