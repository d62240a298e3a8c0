from collections.abc import Iterator, Sequence
from typing import Any

from mmaction.registry import DATA_SAMPLERS
from mmengine.dataset import DefaultSampler
from mmengine.dist import all_gather_object
from torch.utils.data import BatchSampler, Sampler


@DATA_SAMPLERS.register_module()
class WindowBatchSampler(Sampler):
    """Put the windows of a video into one batch, so that they are decoded together.

    The order of the batches is another one than that of the sampler; :meth:`in_order` restores it. If no
    video has several windows, the batches are those of the sampler. The loops of the evaluation use it, see
    :class:`VideoTextTestLoop`.

    Args:
        sampler (DefaultSampler): Provides dataset, process and order, without shuffling. The windows are
            ``file_windows`` of the dataset, see :class:`VideoCaptionDataset`; without them, nothing changes.
        batch_size (int): Maximum number of items per process and batch.

    Examples:
        >>> from mmclip4clip.datasets import WindowBatchSampler
        >>> class Windows(list):
        ...     file_windows = property(list)
        >>> windows = Windows([('a.mp4', 0, 5), ('b.mp4', 0, 5), ('a.mp4', 5, 9), ('b.mp4', 2, 4)])
        >>> batches = WindowBatchSampler(DefaultSampler(windows, shuffle=False), batch_size=3)
        >>> list(batches)
        [[0, 2], [1, 3]]
        >>> batches.in_order(['a 0', 'a 5', 'b 0', 'b 2'])
        ['a 0', 'b 0', 'a 5', 'b 2']
    """

    def __init__(self, sampler: DefaultSampler, batch_size: int) -> None:
        self.sampler, self.batch_size = sampler, batch_size
        windows = getattr(sampler.dataset, 'file_windows', [])
        self._mine: list[list[int]] | None = None  # batches of this process
        if len({file for file, *_ in windows}) < len(windows):
            batches = batch_windows(windows, batch_size)
            count = -(-len(batches) // sampler.world_size)  # equal in all processes
            padded = (batches * sampler.world_size)[: count * sampler.world_size]
            self._mine = padded[sampler.rank :: sampler.world_size]

    def __len__(self) -> int:
        """Return the number of batches of this process."""
        return -(-len(self.sampler) // self.batch_size) if self._mine is None else len(self._mine)

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the items of each batch."""
        return iter(BatchSampler(self.sampler, self.batch_size, False) if self._mine is None else self._mine)

    def in_order(self, results: list[Any]) -> list[Any]:
        """Return the results of the items that the sampler gives to this process.

        Args:
            results (list): Results of the items of all batches of this process, in their order.

        Returns:
            list: Results in the order of the sampler. Those of other processes come from there.
        """
        if self._mine is None:
            return results
        items = [item for batch in self._mine for item in batch]
        found = dict(pair for part in all_gather_object(list(zip(items, results))) for pair in part)
        return [found[item] for item in self.sampler]


def batch_windows(windows: Sequence[tuple[str, float, float]], batch_size: int) -> list[list[int]]:
    """Form batches of items, each with all windows of a file, or with the next ones if there are more.

    Args:
        windows (Sequence[tuple]): File, start and end of each item.
        batch_size (int): Maximum number of items in a batch.

    Returns:
        list[list[int]]: Positions of the items of each batch. Files are in the order of their first items,
        windows in that of time.

    Examples:
        >>> batch_windows([('a', 0, 9), ('b', 4, 5), ('c', 0, 1), ('b', 0, 5), ('b', 1, 2)], batch_size=2)
        [[0], [3, 4], [1, 2]]
    """
    files: dict[str, list[int]] = {}
    for number, (file, _, _) in enumerate(windows):
        files.setdefault(file, []).append(number)
    batches: list[list[int]] = [[]]
    for numbers in files.values():
        numbers.sort(key=lambda number: windows[number][1:])
        for first in range(0, len(numbers), batch_size):
            part = numbers[first : first + batch_size]
            if len(batches[-1]) + len(part) > batch_size:
                batches.append([])
            batches[-1] += part
    return [batch for batch in batches if batch]
