"""Warnings about misspelt top-level keys of a config."""

import difflib
import inspect
import logging
import re
from collections.abc import Iterable

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import FlexibleRunner, Runner

# What mmengine, mmaction2 and this package read beside the arguments of the runners.
OTHER_KEYS = {
    'activation_checkpointing',
    'backend_args',
    'custom_imports',
    'default_scope',
    'efficient_conv_bn_eval',
    'find_unused_parameters',
    'full_log',
    'init_weights_for_test_or_val',
    'model_wrapper_cfg',
    'runner_type',
    'sync_bn',
    'tta_model',
}
KNOWN_KEYS = OTHER_KEYS | (
    {*inspect.signature(Runner).parameters, *inspect.signature(FlexibleRunner).parameters} - {'cfg'}
)
SIMILARITY = (
    0.8  # of 'optim_wraper' and 'optim_wrapper': 0.96; of 'train_dataset' and 'train_dataloader': 0.76
)


def misspelt_keys(cfg: Config, options: Iterable[str] = ()) -> dict[str, str]:
    """Return the top-level keys that look like misspelt settings, with the names that were probably meant.

    Configs may define variables of any name. So a key is only reported if its name is close to a known one
    and nothing in the config's files uses it.

    Args:
        cfg (Config): Config with the text of its files.
        options (Iterable[str]): Keys of ``--cfg-options``, with dots.

    Examples:
        >>> misspelt_keys(Config(dict(model=dict())), ['optim_wraper.optimizer.lr'])
        {'optim_wraper': 'optim_wrapper'}
    """
    text = cfg.text or ''
    given = {option.partition('.')[0] for option in options}
    found = {}
    for key in [*cfg.keys(), *(given - set(cfg.keys()))]:
        if key in KNOWN_KEYS or key.startswith('_'):
            continue
        meant = difflib.get_close_matches(key, KNOWN_KEYS, n=1, cutoff=SIMILARITY)
        assigned = len(re.findall(rf'^{re.escape(key)}\s*=(?!=)', text, re.MULTILINE))
        used = len(re.findall(rf'(?<![\w]){re.escape(key)}\b', text)) > assigned
        if meant and not used and (assigned or key in given):
            found[key] = meant[0]
    return found


def warn_of_misspelt_keys(cfg: Config, options: Iterable[str] = ()) -> None:
    """Log a warning for each key of :func:`misspelt_keys`."""
    for key, meant in misspelt_keys(cfg, options).items():
        print_log(
            f'the config sets {key!r}, which nothing reads: is {meant!r} meant?',
            logger='current',
            level=logging.WARNING,
        )
