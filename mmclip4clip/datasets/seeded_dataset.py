from contextlib import nullcontext
from typing import Any

import torch
from mmaction.registry import DATASETS
from torch.utils.data import get_worker_info

from ..random_states import kept_random_states, seed_everything


@DATASETS.register_module()
class SeededDataset:
    """Let what is drawn for an item depend on the seed, the epoch and the item alone.

    Transforms draw from the global random numbers of numpy, Python and torch. In a worker these would depend
    on which items that worker had before. Here they are seeded for each item, and put back afterwards. So an
    item is the same with any number of workers, and in a run that was stopped and resumed.
    :class:`ResumableTrainLoop` wraps the training data in it.

    The epoch lies in shared memory, because persistent workers keep their copy of the dataset.

    Args:
        dataset (dict): Config of the dataset, which may wrap or join others.
    """

    def __init__(self, dataset: dict) -> None:
        self.dataset = DATASETS.build(dataset)
        self._state = torch.zeros(2, dtype=torch.int64).share_memory_()  # seed, epoch

    def set_seed_and_epoch(self, seed: int, epoch: int) -> None:
        """Set the seed of the run and the epoch, from 0, here and in all workers."""
        self._state.copy_(torch.tensor([seed, epoch]))

    def __getitem__(self, index: int) -> Any:
        """Return an item with its own random numbers."""
        # A worker draws nothing else, so there is nothing to put back.
        with kept_random_states() if get_worker_info() is None else nullcontext():
            seed_everything(*self._state.tolist(), index)
            return self.dataset[index]

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.dataset)

    def __getattr__(self, name: str) -> Any:
        """Give what else the dataset has."""
        if name == 'dataset' or name.startswith('__'):  # not there yet, while unpickled; or a way around this
            raise AttributeError(name)
        return getattr(self.dataset, name)
