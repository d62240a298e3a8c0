from collections.abc import Iterator

import torch
from mmaction.registry import DATA_SAMPLERS
from mmengine.dataset import DefaultSampler

from ...random_states import kept_random_states


@DATA_SAMPLERS.register_module()
class GroupedSampler(DefaultSampler):
    """Shuffle whole groups, so that hard negatives meet in one batch.

    The members of a group (the ``group`` of one annotation file) follow one another;
    an item without a group is a group of its own. Processes take turns, so a
    group that is not cut by the end of a batch stays within the batch that they
    form together: give all groups one size, and let it divide the batch.

    Args:
        dataset (VideoCaptionDataset): The dataset.
        first_epoch (int): The first epoch, from 0, with groups together. Before
            it all items are shuffled singly: a model that cannot tell groups
            apart yet learns little from what tells their members apart.
        **kwargs: As for :class:`mmengine.dataset.DefaultSampler`.
    """

    def __init__(self, dataset, first_epoch: int = 0, **kwargs) -> None:
        super().__init__(dataset, **kwargs)
        self.first_epoch = first_epoch
        groups: dict[str, list[int]] = {}
        with kept_random_states():  # an item may draw its caption
            for i in range(len(dataset)):
                item = dataset.get_data_info(i)
                groups.setdefault(item.get('group_key', item.get('group', i)), []).append(i)
        self.groups = list(groups.values())

    def __iter__(self) -> Iterator[int]:
        """Yield the indices of this process for one epoch."""
        if self.shuffle and self.epoch < self.first_epoch:
            return super().__iter__()
        order = list(range(len(self.groups)))
        if self.shuffle:
            generator = torch.Generator().manual_seed(self.seed + self.epoch)
            order = torch.randperm(len(self.groups), generator=generator).tolist()
        indices = [i for g in order for i in self.groups[g]]
        if self.round_up:
            indices = (indices * (self.total_size // len(indices) + 1))[: self.total_size]
        return iter(indices[self.rank : self.total_size : self.world_size])
