"""Scores of heads that compare one vector per video, computed whenever they are read."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_reduce
from torch import Tensor

from ..models.adapters.base import PooledAdapter, unit_vectors
from ..models.features import BARE, Features, vectors
from .functional.score_blocks import ComputedScores, row_blocks
from .score_rows import ScoreRows

TILE = 2048  # videos of a tile of scores, 16 MiB with one caption each


class VideoVectors:
    """The vectors that captions are compared with.

    Args:
        vectors (Tensor): Vectors of unit length, (V, D).
        unreadable (Tensor): True for videos that could not be read, (V,).
        last (float): Score of every caption for an unreadable video.

    Examples:
        >>> videos = VideoVectors(torch.eye(2), torch.tensor([False, True]), last=-2.0)
        >>> videos.score(torch.tensor([[0.6, 0.8]]))
        array([[ 0.6, -2. ]], dtype=float32)
    """

    def __init__(self, vectors: Tensor, unreadable: Tensor, last: float = 0.0) -> None:
        self.vectors, self.unreadable, self.last = vectors, unreadable, last
        self.any_unreadable = bool(unreadable.any())

    def score(self, captions: Tensor, videos: slice = slice(None)) -> np.ndarray:
        """Score captions (N, D) of unit length with all videos or some of them, (N, V)."""
        scores = captions @ self.vectors[videos].to(captions.dtype).T
        if self.any_unreadable:
            scores.masked_fill_(self.unreadable[videos], self.last)
        return scores.numpy()


class CosineRows(ScoreRows):
    """The scores of the captions of one video with all videos, (N_i, V), computed whenever they are read.

    Args:
        captions (Tensor): Vectors of unit length, (N_i, D).
        videos (VideoVectors): All videos.

    Examples:
        >>> rows = CosineRows(torch.eye(2)[:1], VideoVectors(torch.eye(2), torch.zeros(2, dtype=torch.bool)))
        >>> rows.shape, np.asarray(rows).tolist()
        ((1, 2), [[1.0, 0.0]])
    """

    def __init__(self, captions: Tensor, videos: VideoVectors) -> None:
        self.captions, self.videos = captions, videos

    @property
    def shape(self) -> tuple[int, int]:
        """Number of captions and of videos."""
        return len(self.captions), len(self.videos.vectors)

    def read(self) -> np.ndarray:
        """Compute the scores, float32, (N_i, V)."""
        return self.videos.score(self.captions)

    @staticmethod
    def stack(rows: Sequence['CosineRows']) -> 'CosineScores':
        """Stack the scores of all videos to a matrix that is computed a block of captions at a time."""
        return CosineScores(torch.cat([part.captions for part in rows]), rows[0].videos)


class CosineScores(ComputedScores):
    """The scores of captions and videos, (N, V), computed a block at a time whenever they are read.

    Args:
        captions (Tensor): Vectors of unit length, (N, D).
        videos (VideoVectors): All videos.

    Examples:
        >>> videos = VideoVectors(torch.eye(2), torch.zeros(2, dtype=torch.bool))
        >>> CosineScores(torch.eye(2), videos)[1:]
        array([[0., 1.]], dtype=float32)
    """

    def __init__(self, captions: Tensor, videos: VideoVectors) -> None:
        self.captions, self.videos = captions, videos
        shape = len(captions), len(videos.vectors)
        super().__init__(lambda index: videos.score(captions[index]), shape, np.dtype(np.float32))

    def ranks(self, video_index: np.ndarray, protocol: str) -> tuple[np.ndarray, np.ndarray]:
        """Rank both ways while each score is computed once, in tiles.

        The ranks are those of :func:`ranks_of_videos` and :func:`ranks_of_captions`, except for scores that
        differ by rounding only.

        Args:
            video_index (np.ndarray): Index of the video of each caption, (N,). Each video has captions.
            protocol (str): See :func:`ranks_of_captions`.

        Returns:
            tuple[np.ndarray, np.ndarray]: Ranks of videos (N,) and of captions (V,).
        """
        order = np.argsort(video_index, kind='stable')
        begins = np.searchsorted(video_index[order], np.arange(self.shape[1] + 1))
        size = max(1, TILE * self.shape[1] // self.shape[0])
        tiles = [slice(i, min(i + size, self.shape[1])) for i in range(0, self.shape[1], size)]
        parts = [order[begins[tile.start] : begins[tile.stop]] for tile in tiles]
        own = np.empty(self.shape[0], np.float32)
        best = np.full(self.shape[1], -np.inf, np.float32)
        for rows, tile in zip(parts, tiles):  # the same tiles as below: the same rounding
            videos = video_index[rows]
            own[rows] = self._tile(rows, tile)[np.arange(len(rows)), videos - tile.start]
            np.maximum.at(best, videos, own[rows])
        to_video, to_caption = np.zeros(self.shape[0], int), np.zeros(self.shape[1], int)
        for rows, group in zip(parts, tiles):
            starts = begins[group] - begins[group.start]
            for tile in tiles:
                scores = self._tile(rows, tile)
                to_video[rows] += np.count_nonzero(scores >= own[rows, None], axis=1)
                if protocol == 'caption_groups' and len(rows) > len(starts):
                    scores = np.maximum.reduceat(scores, starts, axis=0)
                better = scores >= best[tile]
                if protocol != 'caption_groups' and tile == group:
                    better[np.arange(len(rows)), video_index[rows] - tile.start] = (
                        False  # of the video itself
                    )
                to_caption[tile] += np.count_nonzero(better, axis=0)
        return to_video, to_caption if protocol == 'caption_groups' else to_caption + 1

    def _tile(self, rows: np.ndarray, videos: slice) -> np.ndarray:
        return self.videos.score(self.captions[torch.from_numpy(rows)], videos)


def compares_cosines(model: Any, text: Features, videos: Features) -> bool:
    """Return whether the scores of a model are the cosines of one vector per caption and video."""
    adapter = getattr(model, 'adapter', None)
    if not isinstance(adapter, PooledAdapter) or BARE in videos or not len(videos) == len(text) == 1:
        return False
    return type(adapter).similarity is PooledAdapter.similarity


def cosine_rows(text: Features, videos: Features, unreadable: Tensor, counts: list[int]) -> list[CosineRows]:
    """Return the scores of the captions of each video of this process, which are computed when they are read.

    Args:
        text (dict[str, Tensor]): Features of the N captions of this process, (N, D).
        videos (dict[str, Tensor]): Features of all V videos, (V, D).
        unreadable (Tensor): True for videos that could not be read, (V,).
        counts (list[int]): Number of captions of each video of this process.

    Raises:
        ValueError: If a feature is NaN or infinite.
    """
    captions, targets = unit_vectors(vectors(text)), vectors(videos)
    bad = sum((~torch.isfinite(part)).sum() for part in (captions, targets))
    all_reduce(bad)
    if bad:  # raised in every process, so that none waits for another
        raise ValueError(f'{int(bad)} features are NaN or infinite, so their similarities cannot be ranked')
    captions, compared = captions.cpu(), VideoVectors(targets.cpu(), torch.zeros_like(unreadable))
    if unreadable.any():  # the same in all processes
        blocks = row_blocks((len(captions), len(unreadable)))
        lowest = min((float(compared.score(captions[rows]).min()) for rows in blocks), default=float('inf'))
        shared = torch.tensor(lowest)
        all_reduce(shared, 'min')
        compared = VideoVectors(compared.vectors, unreadable, float(shared) - 1)
    # Cloned, because a view is sent between processes with all captions.
    return [CosineRows(part.clone(), compared) for part in captions.split(counts)]
