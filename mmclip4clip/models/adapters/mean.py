from mmaction.registry import MODELS

from .base import PooledAdapter


@MODELS.register_module()
class MeanAdapter(PooledAdapter):
    """Average a video's normalized frame features, ignoring padded frames.

    The parameter-free similarity of CLIP4Clip (arXiv:2104.08860, section 3.3),
    the reference's ``meanP``.
    """
