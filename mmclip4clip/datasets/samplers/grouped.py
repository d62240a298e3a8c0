from collections.abc import Iterator

import torch
from mmaction.registry import DATA_SAMPLERS
from mmengine.dataset import DefaultSampler

from ...random_states import preserve_random_states


@DATA_SAMPLERS.register_module()
class GroupedSampler(DefaultSampler):
    """Shuffle groups instead of items, so that hard negatives share a batch.

    The members of a group (the ``group`` of one annotation file) are consecutive. An item without a group
    forms a group by itself. The items are distributed over the processes in turn, so a group stays within
    one global batch unless the end of the batch splits it. Use groups of equal size that divides the batch.

    Args:
        dataset (VideoCaptionDataset): The dataset.
        first_epoch (int): First epoch, from 0, that keeps groups together. Earlier epochs shuffle single
            items, because a model that cannot yet distinguish groups learns little from their members.
        **kwargs: Arguments of :class:`mmengine.dataset.DefaultSampler`.

    Examples:
        >>> from mmclip4clip.datasets import GroupedSampler
        >>> class Videos(list):
        ...     def get_data_info(self, idx):
        ...         return dict(group=self[idx])
        >>> videos = Videos(['red', 'blue', 'red', 'blue'])
        >>> [videos[i] for i in GroupedSampler(videos, shuffle=False)]
        ['red', 'red', 'blue', 'blue']
    """

    def __init__(self, dataset, first_epoch: int = 0, **kwargs) -> None:
        super().__init__(dataset, **kwargs)
        self.first_epoch = first_epoch
        groups: dict[str, list[int]] = {}
        with preserve_random_states():  # an item may draw a random caption
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
