from abc import ABCMeta, abstractmethod
from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from ..features import Features


class BaseBackbone(BaseModule, metaclass=ABCMeta):
    """Base class of backbones: dual encoders that map frames and captions into one space of width D.

    A model needs what is abstract here. A module with the same members works too, without this base class.
    Adapters and decoders that start from CLIP's text tower also need the attribute ``clip``, a dual encoder
    of ``transformers``; others do not, see ``start`` and ``tie_embeddings``. With ``frame_format``, a
    :class:`FrameFormat`, frames are normalized as it says. ``max_logit_scale`` is the bound of the factor
    between similarity and logits in training, 100 by default, and None for no bound. With
    ``frames_are_independent``, the features of a frame do not depend on the other frames, so that segments
    of a video that share frames can share their features.

    Examples:
        >>> import torch
        >>> from mmaction.registry import MODELS
        >>> @MODELS.register_module()
        ... class BagOfColors(BaseBackbone):
        ...     def __init__(self, width, vocab_size):
        ...         super().__init__()
        ...         self.frame_proj, self.words = nn.Linear(3, width), nn.Embedding(vocab_size, width)
        ...         self.logit_scale = nn.Parameter(torch.zeros(()))
        ...     width = property(lambda self: self.words.embedding_dim)
        ...     def encode_frames(self, frames, frame_mask):
        ...         return self.frame_proj(frames.mean(dim=(-2, -1)))
        ...     def encode_text(self, tokens, text_mask, per_token=False):
        ...         return (self.words(tokens) * text_mask[..., None]).sum(dim=1)
        >>> model = MODELS.build(dict(
        ...     type='CLIP4ClipRetriever',
        ...     backbone=dict(type='BagOfColors', width=8, vocab_size=99),
        ...     adapter=dict(type='MeanAdapter'),
        ... ))
        >>> videos = model.encode_videos(torch.rand(2, 4, 3, 16, 16), torch.ones(2, 4))
        >>> text = model.encode_text(torch.ones(5, 7, dtype=torch.long), torch.ones(5, 7))
        >>> model.similarity(text, videos).shape
        torch.Size([5, 2])
    """

    logit_scale: nn.Parameter  # logarithm of the factor between similarity and logits, one element

    @property
    @abstractmethod
    def width(self) -> int:
        """Width D of the joint embedding space of frames and captions."""

    @abstractmethod
    def encode_frames(self, frames: Tensor, frame_mask: Tensor) -> Tensor:
        """Encode frames one by one.

        Args:
            frames (Tensor): Normalized RGB frames, (V, T, 3, H, W).
            frame_mask (Tensor): 1 for real frames, 0 for padding, (V, T).

        Returns:
            Tensor: Frame features, not normalized, (V, T, D). Those of padding are finite.
        """

    @abstractmethod
    def encode_text(self, tokens: Tensor, text_mask: Tensor, per_token: bool = False) -> Tensor | Features:
        """Encode captions.

        Args:
            tokens (Tensor): Token ids, (N, L).
            text_mask (Tensor): 1 for real tokens, which come first, (N, L).
            per_token (bool): Whether to return features of all tokens, for adapters that use them.

        Returns:
            Tensor | dict[str, Tensor]: Caption features, not normalized, (N, D), or ``tokens`` (N, L, D) and
            ``text_mask`` (N, L).
        """

    def frame_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that :meth:`encode_frames` uses, which train without a retrieval loss too.

        By default all. Return only those to train such a captioner on several GPUs.
        """
        return list(self.parameters())


def check_backbone(backbone: nn.Module) -> None:
    """Check that a backbone has the members that models use.

    Raises:
        TypeError: If some are missing; names them and what they are.
    """
    name = type(backbone).__name__
    missing = [
        f'{method}({arguments})'
        for method, arguments in dict(
            encode_frames='frames, frame_mask', encode_text='tokens, text_mask, per_token=False'
        ).items()
        if not callable(getattr(backbone, method, None))
    ]
    scale = getattr(backbone, 'logit_scale', None)
    if not isinstance(scale, nn.Parameter) or scale.numel() != 1:
        missing.append(f'logit_scale, a parameter with one element (got {describe(scale)})')
    if not isinstance(getattr(backbone, 'width', None), int):
        missing.append(f'width, an int (got {getattr(backbone, "width", None)!r})')
    if missing:
        raise TypeError(
            f'model.backbone={name} is not a backbone of videos and captions, it lacks '
            f'{"; ".join(missing)}: see mmclip4clip.models.BaseBackbone'
        )


def check_output(backbone: nn.Module, method: str, value: object, shape: Sequence[int]) -> None:
    """Check the shape of features.

    Args:
        backbone (nn.Module): The backbone that returned them.
        method (str): Its method.
        value (object): The features.
        shape (Sequence[int]): Expected shape without the last dimension, which is the backbone's width.

    Raises:
        ValueError: If ``value`` is not a tensor of that shape.
    """
    expected = (*shape, backbone.width)
    if not isinstance(value, Tensor) or tuple(value.shape) != expected:
        raise ValueError(
            f'{type(backbone).__name__}.{method} must return a tensor of shape {expected}, '
            f'got {describe(value)}'
        )


def describe(value: object) -> str:
    """Describe a value by its shape or its type."""
    return f'shape {tuple(value.shape)}' if isinstance(value, Tensor) else type(value).__name__
