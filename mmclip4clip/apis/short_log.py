"""A runner whose log reaches the first training step after a few lines.

mmengine logs the whole config, the environment, the hooks at each stage, two to three lines for the optimizer
options of each parameter and two for its initialization: 400 lines for a tiny model. ``full_log = True`` in a
config, or ``--cfg-options full_log=True``, brings them back.
"""

import logging
import os.path as osp
import platform
import re
from collections import Counter
from collections.abc import Iterable

import mmengine
import torch
from mmengine.dist import get_world_size
from mmengine.logging import MMLogger
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import nn

# Messages of mmengine that are repeated for each parameter, or that are about mmengine's own code.
LEFT_OUT = re.compile(
    r'paramwise_options -- '
    r'|[\w.]+ is skipped since its requires_grad='
    r'|Distributed training is not used, all SyncBatchNorm'
    r'|"FileClient" will be deprecated in future'
    r'|"HardDiskBackend" is the alias of "LocalBackend"'
)
MAX_SETTINGS = 6  # different settings of parameters to log


class ShortLogFilter(logging.Filter):
    """Filter that drops the messages of :data:`LEFT_OUT`."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log a record."""
        return not LEFT_OUT.match(record.getMessage())


class ShortLogRunner(Runner):
    """Runner that logs one line each for environment, hooks, config and optimizer.

    It trains and tests as :class:`mmengine.runner.Runner`, with the same arguments.
    """

    def build_logger(self, *args, **kwargs) -> MMLogger:
        """Build the logger with a :class:`ShortLogFilter`."""
        logger = super().build_logger(*args, **kwargs)
        logger.addFilter(ShortLogFilter())
        return logger

    def _log_env(self, env_cfg: dict) -> None:
        """Log versions, seed and number of processes, without running compilers to ask for theirs."""
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU'
        self.logger.info(
            f'Python {platform.python_version()}, torch {torch.__version__} on {device}, mmengine '
            f'{mmengine.__version__}, seed {self.seed}, {get_world_size()} process(es) of '
            f'{torch.get_num_threads()} thread(s); tools/doctor.py shows more'
        )

    def get_hooks_info(self) -> str:
        """Return the names of the hooks in the order of their priority."""
        return ', '.join(type(hook).__name__ for hook in self._hooks)

    def dump_config(self) -> None:
        """Write the config to the work dir, and log where."""
        super().dump_config()
        name = osp.basename(self.cfg.filename or f'{self.timestamp}.py')
        self.logger.info(
            f'the full config is in {osp.join(self.work_dir, name)}; full_log=True logs it, the environment '
            'and the settings of each parameter'
        )

    def build_optim_wrapper(self, optim_wrapper):
        """Build the optimizer wrapper, and log how many tensors have which settings."""
        built = super().build_optim_wrapper(optim_wrapper)
        if isinstance(built, OptimWrapper):  # not an OptimWrapperDict, for several optimizers
            self.logger.info(describe_optimizer(built.param_groups, self.model))
        return built

    def _init_model_weights(self) -> None:
        """Initialize the weights without two lines per parameter in the log file."""
        model = self.model.module if is_model_wrapper(self.model) else self.model
        if not hasattr(model, '_dump_init_info'):
            super()._init_model_weights()
            return
        model._dump_init_info = lambda: None
        try:
            super()._init_model_weights()
        finally:
            del model._dump_init_info


def describe_optimizer(groups: Iterable[dict], model: nn.Module) -> str:
    """Describe the parameter groups of an optimizer in one line.

    Args:
        groups (Iterable[dict]): Groups with ``params``, ``lr`` and ``weight_decay``.
        model (nn.Module): The model, whose frozen parameters are counted too.

    Examples:
        >>> model = nn.Linear(2, 2)
        >>> describe_optimizer([dict(params=[model.weight], lr=0.1, weight_decay=0.0)], model)
        'optimized tensors: 1 with lr 0.1, weight_decay 0; 0 are frozen'
    """
    counts: Counter[tuple] = Counter()
    for group in groups:
        counts[group.get('lr', 0), group.get('weight_decay', 0)] += len(group['params'])
    shown = [
        f'{number} with lr {lr:g}, weight_decay {decay:g}'
        for (lr, decay), number in counts.most_common(MAX_SETTINGS)
    ]
    if len(counts) > MAX_SETTINGS:
        shown.append(f'{len(counts) - MAX_SETTINGS} other settings')
    frozen = sum(not parameter.requires_grad for parameter in model.parameters())
    return f'optimized tensors: {"; ".join(shown)}; {frozen} are frozen'
