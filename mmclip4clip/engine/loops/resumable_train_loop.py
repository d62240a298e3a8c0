import copy

import torch
from mmaction.registry import LOOPS
from mmengine.runner import EpochBasedTrainLoop
from torch.utils.data import DataLoader

from ...datasets.samplers import ResumableBatchSampler
from ..resume import evaluation_is_due
from .batch_loading import load_batches


@LOOPS.register_module()
class ResumableTrainLoop(EpochBasedTrainLoop):
    """Train by epochs, with exact resumption within an epoch.

    mmengine's loop restarts the epoch in which a checkpoint was saved. This loop skips the batches that the
    run has already used, without reading their videos. The random transforms of an item depend only on the
    seed, the epoch and the item, see :class:`SeededDataset`, so they do not depend on the workers.

    Args:
        runner (Runner): The runner.
        dataloader (dict | DataLoader): Config of the training data. A ``DataLoader`` object is used as it is.
            Then a run can resume only at the end of an epoch, and items may depend on the workers.
        **kwargs: Arguments of :class:`mmengine.runner.EpochBasedTrainLoop`.

    Examples:
        >>> train_cfg = dict(type='ResumableTrainLoop', max_epochs=5, val_interval=1)  # in a config
    """

    def __init__(self, runner, dataloader: DataLoader | dict, **kwargs) -> None:
        if isinstance(dataloader, dict):
            dataloader = make_resumable(dataloader)
        super().__init__(runner, dataloader, **kwargs)

    def run(self) -> torch.nn.Module:
        """Train, and evaluate every ``val_interval`` epochs and after the last one.

        mmengine 0.10.0 does not evaluate after the last epoch unless the interval divides its number.

        Returns:
            torch.nn.Module: The trained model.
        """
        self.runner.call_hook('before_train')
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            if self.runner.val_loop is not None and evaluation_is_due(self):
                self.runner.val_loop.run()
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_epoch(self) -> None:
        """Train for an epoch, or for its remaining batches.

        Raises:
            RuntimeError: If the epochs of the resumed run had another length.
        """
        done = self._iter - self._epoch * len(self.dataloader)
        if not 0 <= done <= len(self.dataloader):
            raise RuntimeError(
                f'a run at iteration {self._iter} in epoch {self._epoch + 1} cannot have epochs of '
                f'{len(self.dataloader)} iterations: resume with the data, batch size and number of '
                'processes that it started with, or start a new run with load_from=CHECKPOINT'
            )
        if done and not isinstance(self.dataloader.batch_sampler, ResumableBatchSampler):
            raise RuntimeError(
                f'a checkpoint in the middle of an epoch, at iteration {self._iter}, can only '
                'be resumed if train_dataloader is a dict'
            )
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        if done:
            self.dataloader.batch_sampler.skip(done)
        batches = load_batches(self.runner, self.dataloader, 'train_dataloader')
        for number, batch in enumerate(batches, start=done):
            self.run_iter(number, batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1


def make_resumable(dataloader: dict) -> dict:
    """Wrap the dataset and batch sampler of a dataloader config, to resume within an epoch."""
    cfg = copy.deepcopy(dataloader)
    if isinstance(cfg.get('dataset'), dict):
        cfg['dataset'] = dict(type='SeededDataset', dataset=cfg['dataset'])
    cfg['batch_sampler'] = dict(
        type='ResumableBatchSampler',
        drop_last=cfg.pop('drop_last', False),
        batch_sampler=cfg.pop('batch_sampler', None),
    )
    return cfg
