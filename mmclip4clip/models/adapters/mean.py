from mmaction.registry import MODELS

from .base import PooledAdapter


@MODELS.register_module()
class MeanAdapter(PooledAdapter):
    """Average the normalized frame features of a video, ignoring padding.

    The parameter-free similarity of CLIP4Clip (arXiv:2104.08860, section 3.3),
    the reference's ``meanP``.

    Examples:
        >>> import torch
        >>> frames = torch.tensor([[[2.0, 0.0], [0.0, 7.0]]])
        >>> MeanAdapter().encode(frames, torch.tensor([[1, 1]]))
        {'video': tensor([[0.7071, 0.7071]])}
    """
