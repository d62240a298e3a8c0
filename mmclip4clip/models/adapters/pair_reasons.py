"""Why an adapter gives a caption and a video their score."""

from typing import NamedTuple

from torch import Tensor


class PairReasons(NamedTuple):
    """Parts of the score of one caption and one video, without padding.

    How the parts make up the score depends on the adapter, see :meth:`BaseAdapter.explain`.

    Args:
        score (Tensor): The score of :meth:`BaseAdapter.similarity`, ().
        frame_scores (Tensor): Score of each of the T real frames, (T,).
        frame_weights (Tensor | None): Weight of each frame in the score, (T,); None if frames have none.
        cosines (Tensor | None): Cosine of each of the L real tokens with each frame, (L, T); None if the
            adapter does not compare tokens.
        token_weights (Tensor | None): Weight of each token in the score, (L,); None without ``cosines``.

    Examples:
        >>> import torch
        >>> PairReasons(torch.tensor(0.5), torch.tensor([0.4, 0.6])).frame_weights is None
        True
    """

    score: Tensor
    frame_scores: Tensor
    frame_weights: Tensor | None = None
    cosines: Tensor | None = None
    token_weights: Tensor | None = None


def frames_alone(frames: Tensor, frame_mask: Tensor) -> tuple[Tensor, Tensor]:
    """Turn each real frame of one video into a video of one frame.

    Args:
        frames (Tensor): Frames of one video, (1, T, D).
        frame_mask (Tensor): 1 for the R real frames, 0 for padding, (1, T).

    Returns:
        tuple[Tensor, Tensor]: Videos (R, 1, D), and their mask of ones, (R, 1).

    Raises:
        ValueError: If there are several videos, or there is no real frame.

    Examples:
        >>> import torch
        >>> videos, mask = frames_alone(torch.ones(1, 3, 4), torch.tensor([[1, 1, 0]]))
        >>> videos.shape, mask.tolist()
        (torch.Size([2, 1, 4]), [[1], [1]])
    """
    if len(frames) != 1 or not frame_mask.any():
        raise ValueError(
            'expected the frames of one video (1, T, D), at least one of them real, got '
            f'{tuple(frames.shape)} with {int(frame_mask.sum())} real frames'
        )
    keep = frame_mask[0].bool()
    return frames[0][keep][:, None], frame_mask.new_ones(int(keep.sum()), 1)
