from collections.abc import Iterator
from itertools import islice

from mmaction.registry import DATA_SAMPLERS
from torch.utils.data import BatchSampler, Sampler


@DATA_SAMPLERS.register_module()
class ResumableBatchSampler(Sampler):
    """Resume an epoch in its middle, without preparing the batches before it.

    It also sets the seed and the epoch of a :class:`SeededDataset`.

    Args:
        sampler (Sampler): Sampler with dataset, seed and epoch, such as mmengine's ``DefaultSampler``.
        batch_size (int): Items per process and batch.
        drop_last (bool): Whether to drop an incomplete last batch.
        batch_sampler (dict, optional): Config of a batch sampler that forms the batches.

    Examples:
        >>> from mmengine.dataset import DefaultSampler
        >>> from mmclip4clip.datasets import ResumableBatchSampler
        >>> batches = ResumableBatchSampler(DefaultSampler(range(6), shuffle=False), batch_size=2)
        >>> batches.skip(2)
        >>> list(batches)
        [[4, 5]]
    """

    def __init__(
        self, sampler: Sampler, batch_size: int, drop_last: bool = False, batch_sampler: dict | None = None
    ) -> None:
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last
        self.batches = (
            BatchSampler(sampler, batch_size, drop_last)
            if batch_sampler is None
            else DATA_SAMPLERS.build(batch_sampler, default_args=dict(sampler=sampler, batch_size=batch_size))
        )
        self._skipped = 0

    def skip(self, batches: int) -> None:
        """Skip the first batches of the next epoch only."""
        self._skipped = batches

    def __len__(self) -> int:
        """Return the number of batches of a full epoch."""
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the batches of an epoch, or the remaining ones."""
        skipped, self._skipped = self._skipped, 0
        set_seed_and_epoch = getattr(getattr(self.sampler, 'dataset', None), 'set_seed_and_epoch', None)
        if set_seed_and_epoch is not None:
            set_seed_and_epoch(getattr(self.sampler, 'seed', None) or 0, getattr(self.sampler, 'epoch', 0))
        yield from islice(self.batches, skipped, None)
