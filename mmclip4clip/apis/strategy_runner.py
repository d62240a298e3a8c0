"""mmengine's runner with strategies, with the checks and the exact resumption of this package."""

import copy
from typing import Any

from mmengine.fileio import join_path
from mmengine.registry import DefaultScope
from mmengine.runner import FlexibleRunner

from ..engine.runner_access import with_whole_weights
from .short_log import ShortLogFilter, ShortLogRunner


class StrategyRunner(FlexibleRunner):
    """Runner for ``strategy`` of a config, which trains as :class:`mmengine.runner.Runner` does.

    mmengine's ``FlexibleRunner`` loads a checkpoint before hooks can see which, and records other numbers of
    epochs and iterations than the runner in a checkpoint that is saved after an evaluation. This class does
    neither, so that the hooks of this package work with it. Its log is short, see :class:`ShortLogRunner`.
    """

    def build_strategy(self, strategy: Any = None, **kwargs) -> Any:
        """Build the strategy from a copy of its config, to which mmengine adds the settings of the run."""
        with DefaultScope.overwrite_default_scope('mmengine'):  # mmaction2 has no strategies, and warns of it
            return super().build_strategy(copy.deepcopy(strategy), **kwargs)

    def load_or_resume(self) -> None:
        """Call ``before_run`` of the hooks, which may choose the checkpoint, and then load it."""
        with with_whole_weights(self.model):  # hooks compare their shapes with the data
            super().call_hook('before_run')
        super().load_or_resume()

    def call_hook(self, fn_name: str, **kwargs) -> None:
        """Call all hooks, except for ``before_run``, which was called earlier."""
        if fn_name != 'before_run':
            super().call_hook(fn_name, **kwargs)

    def save_checkpoint(
        self,
        out_dir: str,
        filename: str,
        file_client_args: dict | None = None,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        meta: dict | None = None,
        by_epoch: bool = True,
        backend_args: dict | None = None,
    ) -> None:
        """Save a checkpoint as :meth:`mmengine.runner.Runner.save_checkpoint` does, in all processes.

        Args:
            out_dir (str): Folder.
            filename (str): Name of the file.
            file_client_args (dict, optional): Not supported.
            save_optimizer (bool): Whether to save the optimizer's state.
            save_param_scheduler (bool): Whether to save the state of the schedules.
            meta (dict, optional): Metadata. Its ``epoch`` and ``iter`` are kept if given.
            by_epoch (bool): Whether the call is at the end of an epoch, else after a step.
            backend_args (dict, optional): Arguments of mmengine's file backend.

        Raises:
            ValueError: If ``file_client_args`` is given.
        """
        if file_client_args is not None:
            raise ValueError(f'file_client_args={file_client_args} is not supported: use backend_args')
        meta = dict(meta or {})
        meta.setdefault('epoch', self.epoch + by_epoch)
        meta.setdefault('iter', self.iter + (not by_epoch))
        meta.update(cfg=self.cfg.pretty_text, experiment_name=self.experiment_name)
        if hasattr(self.train_dataloader.dataset, 'metainfo'):
            meta.update(dataset_meta=self.train_dataloader.dataset.metainfo)
        self.strategy.save_checkpoint(
            filename=join_path(out_dir, filename, backend_args=backend_args),
            save_optimizer=save_optimizer,
            save_param_scheduler=save_param_scheduler,
            extra_ckpt=dict(meta=meta, message_hub=self.message_hub.state_dict()),
            callback=lambda checkpoint: self.call_hook('before_save_checkpoint', checkpoint=checkpoint),
        )

    def _log_env(self) -> None:
        """Log versions, seed and number of processes."""
        self.logger.addFilter(ShortLogFilter())
        ShortLogRunner._log_env(self, {})

    def get_hooks_info(self) -> str:
        """Return the names of the hooks in the order of their priority."""
        return ShortLogRunner.get_hooks_info(self)
