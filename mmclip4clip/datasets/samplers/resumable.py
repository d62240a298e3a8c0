from collections.abc import Iterator
from itertools import islice

from mmaction.registry import DATA_SAMPLERS
from torch.utils.data import BatchSampler, Sampler


@DATA_SAMPLERS.register_module()
class ResumableBatchSampler(Sampler):
    """Begin an epoch in its middle, without preparing what came before.

    It also tells a :class:`SeededDataset` which epoch begins.

    Args:
        sampler (Sampler): With dataset, seed and epoch, as mmengine's ``DefaultSampler``.
        batch_size (int): Items of one process in a batch.
        drop_last (bool): Whether to leave out a last batch that is not full.
        batch_sampler (dict, optional): Config of another batch sampler, which forms the batches.
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
        """Leave out the first batches of the next epoch, and of that one alone."""
        self._skipped = batches

    def __len__(self) -> int:
        """Return the number of batches of a whole epoch."""
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the batches of an epoch, or the rest of it."""
        skipped, self._skipped = self._skipped, 0
        tell = getattr(getattr(self.sampler, 'dataset', None), 'set_seed_and_epoch', None)
        if tell is not None:
            tell(getattr(self.sampler, 'seed', None) or 0, getattr(self.sampler, 'epoch', 0))
        yield from islice(self.batches, skipped, None)
