from collections.abc import Iterator

import torch
from mmaction.registry import DATA_SAMPLERS
from mmengine.dataset import DefaultSampler
from mmengine.logging import print_log
from torch import Tensor
from torch.utils.data import Sampler

from ...random_states import kept_random_states


@DATA_SAMPLERS.register_module()
class DistinctVideoBatchSampler(Sampler):
    """Let no video come twice in one batch, taken over all processes.

    For ``caption_mode='each'``, where captions of one video meet otherwise: as each
    other's negatives with ``same_video='negative'``, in place of a negative without.
    A video is what has one ``video_key``, that is one file and window, in all datasets that are joined:
    two windows of a file are two videos. It is a batch sampler because mmengine tells those, and no
    other sampler, the batch size: ``batch_sampler=dict(type=...)`` beside a ``DefaultSampler``, and no
    ``drop_last`` of the dataloader.

    Every process gets as many batches, and the processes take turns within each.
    What comes together is drawn anew each epoch, from the sampler's seed, if it shuffles.

    Args:
        sampler (DefaultSampler): Has the dataset, seed, epoch and process.
        batch_size (int): Items of one process in a batch, at most.
        drop_last (bool): False: every item comes once an epoch. There are as many
            batches as hold all items, but never fewer than the captions of any one
            video, and their sizes differ by one at most, also between processes.
            True: all batches are full, and what is left over stays out of the
            epoch, other items each time. The log says how many.

    Raises:
        TypeError: If the sampler is not mmengine's ``DefaultSampler``.
        ValueError: If a process would have an empty batch, or with ``drop_last``
            if there are too few videos for one batch.
    """

    def __init__(self, sampler: DefaultSampler, batch_size: int, drop_last: bool = False) -> None:
        if type(sampler) is not DefaultSampler:
            raise TypeError(
                "DistinctVideoBatchSampler needs sampler=dict(type='DefaultSampler'), "
                f'got {type(sampler).__name__}'
            )
        self.sampler, self.batch_size = sampler, batch_size
        videos: dict[str, list[int]] = {}
        with kept_random_states():  # an item may draw its caption
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
            f'{self.num_items} of {total} items come in each epoch, in {len(self)} batches without a '
            f'video twice; there are {len(videos)} videos with at most {self.counts.max()} items each',
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
                f'{self.num_items} items in {self.num_batches} batches, which one video needs, leave nothing '
                f'to some of {self.sampler.world_size} processes: set drop_last=True'
            )

    def __len__(self) -> int:
        """Return the number of batches of an epoch, the same on every process."""
        return self.num_batches

    def __iter__(self) -> Iterator[list[int]]:
        """Yield this process's part of each batch of an epoch."""
        epoch = self.sampler.epoch if self.sampler.shuffle else 0
        generator = torch.Generator().manual_seed(self.sampler.seed + epoch)
        queues = [items[torch.randperm(len(items), generator=generator)].tolist() for items in self.videos]
        left = self._draw_counts(generator)
        for remaining in range(self.num_batches, 0, -1):
            # The captions that are left run a race, and those videos come whose first is soonest; but a
            # video with as many captions as there are batches must come now. Then all fit: of R captions
            # in T batches, at most R / T videos must come, and there are R / T to come at least.
            race = torch.empty(len(left)).exponential_(generator=generator) / left
            race[left == remaining] = -1
            batch = race.topk(-(-int(left.sum()) // remaining), largest=False).indices
            left[batch] -= 1
            items = [queues[v].pop() for v in batch.tolist()]  # for all processes, to keep step with them
            yield items[self.sampler.rank :: self.sampler.world_size]

    def _draw_counts(self, generator: torch.Generator) -> Tensor:
        """Draw how many captions of each video come in an epoch, (V,)."""
        counts = self.counts.clamp(max=self.num_batches)
        surplus = int(counts.sum()) - self.num_items
        owner = torch.arange(len(counts)).repeat_interleave(counts)
        out = owner[torch.randperm(len(owner), generator=generator)[:surplus]]
        return counts - torch.bincount(out, minlength=len(counts))


def _most_full_batches(counts: Tensor, size: int) -> int:
    """Count the batches of ``size`` distinct videos that videos with ``counts`` (V,) items allow.

    B batches can be filled if the items that B of them can take, at most B of a
    video, are enough. Coming from above, the first such B is the largest.
    """
    batches, before = int(counts.sum()) // size, -1
    while batches != before:
        batches, before = int(counts.clamp(max=batches).sum()) // size, batches
    return batches
