"""Score a shortlist of videos by the head itself, from stored features."""

from collections.abc import Sequence

import numpy as np
import torch

from ..models import CLIP4ClipRetriever
from ..models.features import Features, count_features, move_features
from .feature_layout import FeatureLayout
from .stored_features import unpack_features


@torch.no_grad()
def score_stored(
    model: CLIP4ClipRetriever,
    text: Features,
    layout: FeatureLayout,
    contents: Sequence[bytes],
    weights: Sequence[float] | None = None,
    videos_at_once: int = 256,
) -> np.ndarray:
    """Score the stored videos of a shortlist for a query, with the similarity of the model's head.

    Args:
        model (CLIP4ClipRetriever): The model, in evaluation mode.
        text (dict[str, Tensor]): Features of the N texts of the query, from ``model.encode_text``.
        layout (FeatureLayout): Layout of the stored features.
        contents (Sequence[bytes]): Stored features of K videos.
        weights (Sequence[float], optional): Weight of each text, negative to move away from it. By default 1.
        videos_at_once (int): Videos to read and score at once, which bounds memory.

    Returns:
        np.ndarray: Sum of the weighted similarities, without the logit scale, of each video, (K,) float32.

    Raises:
        ValueError: If there is not one weight per text, stored features are damaged, or a score is not
            finite.

    Examples:
        >>> from mmclip4clip.models import WTIAdapter
        >>> from mmclip4clip.search.stored_features import pack_features
        >>> adapter = WTIAdapter(width=8, num_layers=0)
        >>> model = torch.nn.Linear(1, 1)
        >>> model.similarity = adapter.similarity
        >>> videos = adapter.encode(torch.rand(2, 3, 8), torch.ones(2, 3))
        >>> layout = FeatureLayout.of(videos)
        >>> text = dict(tokens=torch.rand(1, 4, 8), text_mask=torch.ones(1, 4))
        >>> score_stored(model, text, layout, pack_features(layout, videos)).shape
        (2,)
    """
    number = count_features(text)
    if weights is not None and len(weights) != number:
        raise ValueError(f'expected one weight for each of the {number} texts, got {len(weights)}')
    device = next(model.parameters()).device
    factors = torch.ones(number) if weights is None else torch.tensor(weights, dtype=torch.float32)
    text, factors = move_features(text, device), factors.to(device)
    scores = [torch.empty(0)]
    for start in range(0, len(contents), videos_at_once):
        videos = unpack_features(layout, contents[start : start + videos_at_once], device)
        scores.append((factors @ model.similarity(text, videos).float()).cpu())
    joined = torch.cat(scores)
    if not torch.isfinite(joined).all():
        raise ValueError(f'{int((~torch.isfinite(joined)).sum())} scores are NaN or infinite')
    return joined.numpy()
