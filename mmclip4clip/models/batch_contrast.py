"""The contrastive loss of a batch that several processes share."""

from collections.abc import Callable

from mmengine.model import BaseModule
from torch import Tensor

from .adapters.base import BaseAdapter, PooledAdapter, unit_vectors
from .features import Features, vectors
from .losses import gather_video_index, gather_with_grad, offset_video_index

GATHER = ('exact', 'local_gradient', 'none')


def check_loss(loss: BaseModule, adapter: BaseAdapter, gather: str) -> None:
    """Check that a loss, an adapter and a way to combine processes go together.

    Raises:
        ValueError: If ``gather`` is unknown, or does not allow a loss in blocks, or the adapter does not.
    """
    if gather not in GATHER:
        raise ValueError(f"gather must be 'exact', 'local_gradient' or 'none', got {gather!r}")
    block_size = getattr(loss, 'block_size', None)
    if block_size is None:
        return
    if not isinstance(adapter, PooledAdapter):
        raise ValueError(
            f'block_size={block_size} of {type(loss).__name__} needs an adapter that compares one vector per '
            f'video by the cosine, such as MeanAdapter, got {type(adapter).__name__}'
        )
    if gather == 'local_gradient':
        raise ValueError(
            f"block_size={block_size} of {type(loss).__name__} needs gather='exact' or 'none', got {gather!r}"
        )


def contrast_batch(
    loss: BaseModule,
    similarity: Callable[[Features, Features], Tensor],
    text: Features,
    videos: Features,
    scale: Tensor | float,
    video_index: Tensor,
    video_key: Tensor,
    gather: str,
) -> dict[str, Tensor]:
    """Compare captions and videos, those of all processes unless ``gather='none'``.

    Args:
        loss (BaseModule): The contrastive loss.
        similarity (Callable): Scores captions and videos, (N, V).
        text (dict[str, Tensor]): Features of the N captions of this process.
        videos (dict[str, Tensor]): Features of the V videos of this process.
        scale (Tensor | float): Factor on the similarity.
        video_index (Tensor): The video of each caption, (N,).
        video_key (Tensor): A number per video, equal for items of the same video, (V,).
        gather (str): See :class:`CLIP4ClipRetriever`.

    Returns:
        dict[str, Tensor]: The losses.
    """
    if getattr(loss, 'block_size', None) is not None:
        return _contrast_in_blocks(loss, text, videos, scale, video_index, video_key, gather)
    if gather == 'none':
        return loss(scale * similarity(text, videos), video_index, video_key)
    if gather == 'local_gradient':
        compared = similarity(gather_with_grad(text, exact=False), gather_with_grad(videos, exact=False))
    else:  # each process scores its captions only, which shares the work
        compared = gather_with_grad(similarity(text, gather_with_grad(videos)))
    return loss(
        scale * compared, gather_video_index(video_index, len(video_key)), gather_with_grad(video_key)
    )


def _contrast_in_blocks(
    loss: BaseModule,
    text: Features,
    videos: Features,
    scale: Tensor | float,
    video_index: Tensor,
    video_key: Tensor,
    gather: str,
) -> dict[str, Tensor]:
    """Compare the captions of this process with the videos of all, a block of captions at a time."""
    captions = unit_vectors(vectors(text))
    compared = vectors(videos).to(captions.dtype)  # of unit length up to rounding, as in cosine()
    if gather == 'none':
        return loss.forward_in_blocks(captions, compared, scale, video_index, video_key)
    video_index = offset_video_index(video_index, len(video_key))
    compared, video_key = gather_with_grad(compared), gather_with_grad(video_key)
    return loss.forward_in_blocks(captions, compared, scale, video_index, video_key, gathered=True)
