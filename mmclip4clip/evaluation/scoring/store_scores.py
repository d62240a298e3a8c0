"""Score all pairs of a large evaluation in blocks, and write the scores to a temporary file."""

from collections.abc import Callable
from itertools import accumulate

import numpy as np
import torch
from mmengine.dist import all_gather, all_reduce, get_rank, get_world_size
from torch import Tensor

from ..score_file import ScoreFile, StoredRows, share_score_file

AT_ONCE = 2**21  # scores of all processes together in memory, 8 MiB and some copies


def store_scores(
    score: Callable[[slice], Tensor],
    unreadable: Tensor,
    counts: list[int],
    all_counts: list[int],
    folder: str | None = None,
) -> list[StoredRows]:
    """Compute each score once, and return those of each video of this process, which are read from a file.

    All processes score a block of captions each, and send the scores to the main process, which writes them
    in the order of the videos. So no folder needs to be shared between machines.

    Args:
        score (Callable): Scores a slice of the N captions of this process with all V videos, (n, V).
        unreadable (Tensor): True for videos that could not be read, (V,).
        counts (list[int]): Number of captions of each video of this process.
        all_counts (list[int]): Number of captions of each video, V numbers.
        folder (str, optional): Folder of the file, see :meth:`ScoreFile.create`.

    Raises:
        OSError: If the folder has too little space.
        ValueError: If a score is NaN or infinite.
    """
    firsts, total = [0, *accumulate(all_counts)], len(all_counts)
    file = share_score_file((firsts[-1], total), folder)
    step = get_world_size()
    numbers = range(get_rank(), len(counts) * step, step)  # of videos, in the order of the sampler
    rows = [StoredRows(file, firsts[number % total], count) for number, count in zip(numbers, counts)]
    # The sampler repeats the first videos for processes with fewer; they are written once.
    places = [
        np.arange(part.first, part.first + part.count) if number < total else np.full(part.count, -1)
        for number, part in zip(numbers, rows)
    ]
    lowest = _write_blocks(score, torch.from_numpy(np.concatenate(places)), file)
    file.rank_last(unreadable.numpy(), lowest - 1)
    return rows


def _write_blocks(score: Callable[[slice], Tensor], places: Tensor, file: ScoreFile) -> float:
    """Write the scores of all processes, and return the lowest.

    ``places`` (N,) is the row of each caption of this process in the file, and -1 for repeated captions.
    """
    longest, bad, lowest = torch.tensor(len(places)), torch.tensor(0), torch.tensor(float('inf'))
    all_reduce(longest, 'max')
    height = max(1, AT_ONCE // (file.shape[1] * get_world_size()))  # captions of a process at once
    height = min(height, int(longest))
    for start in range(0, int(longest), height):
        block = slice(start, start + height)
        # As many in every process, because they are exchanged.
        rows, scores = torch.full((height,), -1), torch.zeros(height, file.shape[1])
        count = len(places[block])
        if count:
            rows[:count] = places[block]
            scores[:count] = score(block)
            bad += (~torch.isfinite(scores[:count])).sum()
            lowest = torch.minimum(lowest, scores[:count].min())
        for part, found in zip(all_gather(rows), all_gather(scores)):
            if file.file is not None:
                file.write(part[part >= 0].numpy(), found[part >= 0].numpy())
    all_reduce(bad)
    if bad:  # raised in every process, so that none waits for another
        raise ValueError(f'{int(bad)} similarities are NaN or infinite, so they cannot be ranked')
    all_reduce(lowest, 'min')
    return float(lowest)
