from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from mmaction.registry import DATASETS
from torch.utils.data import get_worker_info

from ..random_states import preserve_random_states, seed_everything


@DATASETS.register_module()
class SeededDataset:
    """Make the random transforms of an item depend only on the seed, the epoch and the item.

    Transforms draw from the global generators of numpy, Python and torch. In a worker, their state depends on
    the items prepared before. This wrapper seeds them for each item and restores them afterwards. As a
    result, an item is the same with any number of workers, and in a run that was stopped and resumed.
    :class:`ResumableTrainLoop` wraps the training data in it.

    The epoch is in shared memory, because persistent workers keep their own copy of the dataset.

    Args:
        dataset (dict): Config of the dataset, which may wrap or concatenate others.

    Examples:
        >>> import numpy as np
        >>> from mmaction.registry import DATASETS
        >>> from mmclip4clip.datasets import SeededDataset
        >>> class Noise:
        ...     def __getitem__(self, index):
        ...         return np.random.rand()
        >>> _ = DATASETS.register_module(module=Noise, force=True)
        >>> dataset = SeededDataset(dict(type='mmaction.Noise'))
        >>> dataset.set_seed_and_epoch(seed=0, epoch=1)
        >>> dataset[3] == dataset[3], dataset[3] == dataset[4]
        (True, False)
    """

    def __init__(self, dataset: dict) -> None:
        self.dataset = DATASETS.build(dataset)
        self._state = torch.zeros(2, dtype=torch.int64).share_memory_()  # seed, epoch

    def set_seed_and_epoch(self, seed: int, epoch: int) -> None:
        """Set the seed of the run and the epoch, from 0, here and in all workers."""
        self._state.copy_(torch.tensor([seed, epoch]))

    def __getitem__(self, index: int) -> Any:
        """Return an item, prepared with its own random seed."""
        # A worker draws nothing else, so there is no state to restore.
        with preserve_random_states() if get_worker_info() is None else nullcontext():
            seed_everything(*self._state.tolist(), index)
            return self.dataset[index]

    def __getitems__(self, indices: Sequence[int]) -> list:
        """Return the items of a batch, for torch's ``DataLoader``."""
        share_windows = getattr(self.dataset, 'share_windows', None)
        with nullcontext() if share_windows is None else share_windows(indices):
            return [self[index] for index in indices]

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.dataset)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the wrapped dataset."""
        if name == 'dataset' or name.startswith('__'):  # not yet set during unpickling, or a special method
            raise AttributeError(name)
        return getattr(self.dataset, name)
