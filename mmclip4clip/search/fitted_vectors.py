"""Vectors whose cosine approximates the score of any head, fitted to its scores of random captions."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..models import CLIP4ClipRetriever
from ..models.adapters import RerankableAdapter
from ..models.features import Features, count_features

RIDGE = 10.0  # relative to the mean square of the inputs; chosen on validation videos of moving shapes
EXAMPLES = 64  # artificial videos that tell the size of the vectors
MARGIN = 2.0  # how much larger than those a video's vector may be


class FittedVectors:
    """Vectors of texts and videos whose cosine approximates the score of a head.

    The cosine of a caption with the mean frame misses what only the head sees, such as the order of frames.
    For a fixed video, however, the score is nearly a linear function of the caption's cheap vector u:
    w u + b. Its coefficients, by ridge regression on the head's scores of probe captions, are the video's
    vector. A last element, the square root of ``bound``^2 - w^2 - b^2, gives all videos the same length, so
    that the cosine with (u, 1, 0) ranks videos as w u + b does.

    Probes need not describe videos: captions of random words, from :func:`random_captions`, do. They cost as
    much as scoring a video with all of them, when it is indexed.

    Args:
        model (CLIP4ClipRetriever): The model, in evaluation mode, with a :class:`RerankableAdapter`.
        probes (dict[str, Tensor]): Features of P captions, from ``model.encode_text``, on the model's device.

    Raises:
        TypeError: If the adapter is no :class:`RerankableAdapter`.

    Examples:
        >>> from types import SimpleNamespace
        >>> from mmclip4clip.models import WTIAdapter
        >>> adapter = WTIAdapter(width=8, num_layers=0).eval()
        >>> model = SimpleNamespace(adapter=adapter, similarity=adapter.similarity, pool=adapter.pool)
        >>> captions = dict(tokens=torch.randn(20, 4, 8), text_mask=torch.ones(20, 4))
        >>> vectors = FittedVectors(model, captions)
        >>> vectors.of_videos(adapter.encode(torch.randn(2, 3, 8), torch.ones(2, 3))).shape
        torch.Size([2, 10])
        >>> vectors.of_texts(captions).shape
        torch.Size([20, 10])
    """

    @torch.no_grad()
    def __init__(self, model: CLIP4ClipRetriever, probes: Features) -> None:
        if not isinstance(model.adapter, RerankableAdapter):
            raise TypeError(f'fitted vectors need a RerankableAdapter, got {type(model.adapter).__name__}')
        self.model, self.probes = model, probes
        inputs = self._inputs(probes).double()  # (P, D + 1)
        ridge = RIDGE * inputs.square().mean() * torch.eye(inputs.shape[1]).to(inputs)
        self._solver = torch.linalg.solve(inputs.T @ inputs + ridge, inputs.T)  # (D + 1, P)
        self.bound = MARGIN * float(self._coefficients(self._examples()).norm(dim=1).max())

    def _inputs(self, text: Features) -> Tensor:
        """Return the inputs of the regression, cheap vectors and 1, (N, D + 1)."""
        return F.pad(self.model.adapter.cheap_text(text), (0, 1), value=1.0)

    def _examples(self) -> Features:
        """Return the features of artificial videos, whose frames are what the head gets of captions."""
        rows = self.probes['tokens'][self.probes['text_mask'].bool()] if 'tokens' in self.probes else None
        rows = next(iter(self.probes.values())) if rows is None else rows
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[: 2 * EXAMPLES]
        frames = rows[order[: len(order) // 2 * 2]].unflatten(0, (-1, 2))
        mask = torch.ones(frames.shape[:2], dtype=torch.long, device=frames.device)
        return self.model.pool(self.model.adapter.contextualize(frames, mask), mask)

    def _coefficients(self, videos: Features) -> Tensor:
        """Return w and b of each video, (V, D + 1)."""
        return self.model.similarity(self.probes, videos).double().T @ self._solver.T

    @torch.no_grad()
    def of_texts(self, text: Features) -> Tensor:
        """Return the vectors of texts, of unit length, (N, D + 2).

        Args:
            text (dict[str, Tensor]): Features of N texts from ``model.encode_text``.
        """
        return F.normalize(F.pad(self._inputs(text), (0, 1)), dim=1)

    @torch.no_grad()
    def of_videos(self, videos: Features) -> Tensor:
        """Return the vectors of videos, of unit length, (V, D + 2).

        Args:
            videos (dict[str, Tensor]): Features of V videos from ``model.encode_videos``.
        """
        found = self._coefficients(videos)
        rest = (self.bound**2 - found.square().sum(dim=1, keepdim=True)).clamp(min=0).sqrt()
        return F.normalize(torch.cat([found, rest], dim=1), dim=1).float()
