from collections.abc import Iterator

import torch
from mmaction.registry import DATA_SAMPLERS
from mmengine.dataset import DefaultSampler
from mmengine.logging import print_log
from torch import Tensor
from torch.utils.data import Sampler

from ...random_states import preserve_random_states


@DATA_SAMPLERS.register_module()
class DistinctVideoBatchSampler(Sampler):
    """Sample batches in which each video occurs at most once, over all processes.

    Use it with ``caption_mode='each'``. Otherwise, captions of one video can share a batch, where they are
    each other's negatives with ``same_video='negative'``, or replace negatives without it. A video is one
    file and window, identified by its ``video_key`` in all concatenated datasets: two windows of a file are
    two videos. This is a batch sampler because mmengine passes the batch size only to batch samplers. Set
    ``batch_sampler=dict(type=...)`` with a ``DefaultSampler``, without ``drop_last`` of the dataloader.

    Every process gets the same number of batches, and each batch is distributed over the processes in turn.
    If the sampler shuffles, the batches are drawn again in each epoch, from its seed.

    Args:
        sampler (DefaultSampler): Provides dataset, seed, epoch and process.
        batch_size (int): Maximum number of items per process and batch.
        drop_last (bool): If False, every item occurs once per epoch. The number of batches suffices for all
            items and is at least the number of captions of any video. Batch sizes differ by at most one,
            also between processes. If True, all batches are full and the remaining items are left out of the
            epoch, different ones each time. The log states their number.

    Raises:
        TypeError: If the sampler is not mmengine's ``DefaultSampler``.
        ValueError: If a process would have an empty batch, or with ``drop_last`` if there are too few videos
            for one batch.

    Examples:
        >>> train_dataloader = dict(  # in a config, beside the dataset
        ...     batch_size=128,
        ...     sampler=dict(type='DefaultSampler', shuffle=True),
        ...     batch_sampler=dict(type='DistinctVideoBatchSampler'))
    """

    def __init__(self, sampler: DefaultSampler, batch_size: int, drop_last: bool = False) -> None:
        if type(sampler) is not DefaultSampler:
            raise TypeError(
                "DistinctVideoBatchSampler needs sampler=dict(type='DefaultSampler'), "
                f'got {type(sampler).__name__}'
            )
        self.sampler, self.batch_size = sampler, batch_size
        videos: dict[str, list[int]] = {}
        with preserve_random_states():  # an item may draw a random caption
            for i in range(len(sampler.dataset)):
                item = sampler.dataset.get_data_info(i)
                videos.setdefault(item.get('video_key', item['video_id']), []).append(i)
        self.videos = [torch.tensor(items) for items in videos.values()]
        self.counts = torch.tensor([len(items) for items in self.videos])
        total, full = int(self.counts.sum()), batch_size * sampler.world_size
        if drop_last:
            self.num_batches = _most_full_batches(self.counts, full)
            self.num_items = self.num_batches * full
        else:
            self.num_batches = max(-(-total // full), int(self.counts.max()))
            self.num_items = total
        self._check(full)
        print_log(
            f'each epoch has {self.num_items} of {total} items in {len(self)} batches of distinct videos; '
            f'there are {len(videos)} videos with at most {self.counts.max()} items each',
            logger='current',
        )

    def _check(self, full: int) -> None:
        if not self.num_batches:
            raise ValueError(
                f'{len(self.videos)} videos do not fill a batch of {full} (batch_size x '
                'processes): lower batch_size, or set drop_last=False'
            )
        if self.num_items // self.num_batches < self.sampler.world_size:
            raise ValueError(
                f'{self.num_items} items in {self.num_batches} batches, which one video needs, leave some of '
                f'the {self.sampler.world_size} processes without items: set drop_last=True'
            )

    def __len__(self) -> int:
        """Return the number of batches per epoch, equal on all processes."""
        return self.num_batches

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the items of this process in each batch of an epoch."""
        epoch = self.sampler.epoch if self.sampler.shuffle else 0
        generator = torch.Generator().manual_seed(self.sampler.seed + epoch)
        queues = [items[torch.randperm(len(items), generator=generator)].tolist() for items in self.videos]
        left = self._draw_counts(generator)
        for remaining in range(self.num_batches, 0, -1):
            # Weighted sampling without replacement: each remaining caption draws an exponential time, and the
            # videos with the earliest times are chosen. A video with as many captions as remaining batches
            # must be chosen now. This always works out: with R captions in T batches, at most R / T videos
            # must be chosen, and the batch has at least R / T places.
            times = torch.empty(len(left)).exponential_(generator=generator) / left
            times[left == remaining] = -1
            batch = times.topk(-(-int(left.sum()) // remaining), largest=False).indices
            left[batch] -= 1
            items = [
                queues[v].pop() for v in batch.tolist()
            ]  # for all processes, so that their queues stay in sync
            yield items[self.sampler.rank :: self.sampler.world_size]

    def _draw_counts(self, generator: torch.Generator) -> Tensor:
        """Draw the number of captions of each video in an epoch, (V,)."""
        counts = self.counts.clamp(max=self.num_batches)
        surplus = int(counts.sum()) - self.num_items
        video_index = torch.arange(len(counts)).repeat_interleave(counts)
        dropped = video_index[torch.randperm(len(video_index), generator=generator)[:surplus]]
        return counts - torch.bincount(dropped, minlength=len(counts))


def _most_full_batches(counts: Tensor, size: int) -> int:
    """Return the maximum number of batches of ``size`` distinct videos, given item ``counts`` (V,).

    B batches can be filled if there are enough items when each video contributes at most B. The search
    decreases B from an upper bound, so the first match is the largest.
    """
    batches, before = int(counts.sum()) // size, -1
    while batches != before:
        batches, before = int(counts.clamp(max=batches).sum()) // size, batches
    return batches
