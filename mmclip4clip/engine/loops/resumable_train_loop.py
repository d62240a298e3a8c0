import copy

from mmaction.registry import LOOPS
from mmengine.runner import EpochBasedTrainLoop
from torch.utils.data import DataLoader

from ...datasets.samplers import ResumableBatchSampler
from .batch_loading import load_batches


@LOOPS.register_module()
class ResumableTrainLoop(EpochBasedTrainLoop):
    """Training by epochs that goes on in the middle of one, and whose items do not depend on the workers.

    mmengine's loop begins a whole epoch anew after a checkpoint that was saved within it. This one leaves
    out the batches that the run has had, without reading their videos. What is drawn for an item depends on
    the seed, the epoch and the item alone, see :class:`SeededDataset`.

    Args:
        runner (Runner): The runner.
        dataloader (dict | DataLoader): Config of the training data. A finished ``DataLoader`` is used as it
            is: then none of this holds, but for runs that resume at the end of an epoch.
        **kwargs: As for :class:`mmengine.runner.EpochBasedTrainLoop`.
    """

    def __init__(self, runner, dataloader: DataLoader | dict, **kwargs) -> None:
        if isinstance(dataloader, dict):
            dataloader = make_resumable(dataloader)
        super().__init__(runner, dataloader, **kwargs)

    def run_epoch(self) -> None:
        """Train for an epoch, or for what is left of it.

        Raises:
            RuntimeError: If the run that is resumed had epochs of another length.
        """
        done = self._iter - self._epoch * len(self.dataloader)
        if not 0 <= done <= len(self.dataloader):
            raise RuntimeError(
                f'a run that is at iteration {self._iter} in epoch {self._epoch + 1} had no epochs of '
                f'{len(self.dataloader)} iterations: resume with the data, batch size and number of '
                'processes that it began with, or begin a new run with load_from=CHECKPOINT'
            )
        if done and not isinstance(self.dataloader.batch_sampler, ResumableBatchSampler):
            raise RuntimeError(
                f'a checkpoint in the middle of an epoch, at iteration {self._iter}, can only '
                'be resumed where train_dataloader is a dict'
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
    """Wrap dataset and batches of a dataloader's config so that an epoch can begin in its middle."""
    cfg = copy.deepcopy(dataloader)
    if isinstance(cfg.get('dataset'), dict):
        cfg['dataset'] = dict(type='SeededDataset', dataset=cfg['dataset'])
    cfg['batch_sampler'] = dict(
        type='ResumableBatchSampler',
        drop_last=cfg.pop('drop_last', False),
        batch_sampler=cfg.pop('batch_sampler', None),
    )
    return cfg
