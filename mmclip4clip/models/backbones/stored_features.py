import math
from typing import Any

import torch
from mmaction.registry import MODELS
from torch import Tensor, nn

from ..features import Features
from ..weight_digest import digest_encoder, find_logit_scale
from .base import BaseBackbone


@MODELS.register_module()
class StoredFeatureBackbone(BaseBackbone):
    """Takes the features of frames and captions from files, in place of a frozen encoder.

    Only the logit scale is a parameter, so that the adapter alone trains. The digest of the encoder is saved
    in checkpoints, because an adapter is of use only with the encoder that it was trained with.

    Args:
        width (int): Width D of the features.
        encoder (str): Digest of the weights of the encoder that the features are from, in hex.
        logit_scale (float): Logarithm of the encoder's factor between similarity and logits.
        max_logit_scale (float, optional): Bound of that factor in training.
        start (dict, optional): Config of the encoder, for adapters that start from its text tower. It is
            built for their initialization only.
        init_cfg (dict, optional): Argument of mmengine's ``BaseModule``.

    Raises:
        ValueError: If the encoder of ``start`` is another one.

    Examples:
        >>> backbone = StoredFeatureBackbone(width=8, encoder='ab' * 16)
        >>> backbone.encode_frames(torch.ones(2, 3, 8), torch.ones(2, 3)).shape
        torch.Size([2, 3, 8])
        >>> backbone.encode_text(torch.ones(5, 8), torch.ones(5, 1)).shape
        torch.Size([5, 8])
    """

    frames_are_independent = True

    def __init__(
        self,
        width: int,
        encoder: str,
        logit_scale: float = math.log(100),
        max_logit_scale: float | None = 100.0,
        start: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self._width, self.max_logit_scale = width, max_logit_scale
        self.logit_scale = nn.Parameter(torch.tensor(float(logit_scale)))
        self.register_buffer('encoder', torch.tensor(list(bytes.fromhex(encoder)), dtype=torch.uint8))
        self._start: tuple[Any, ...] = ()  # not a module of this one: its weights are not saved
        if start is not None:
            self._start = (MODELS.build(start),)
            self._start[0].init_weights()
            found = digest_encoder(self._start[0].state_dict(), find_logit_scale(self._start[0]))
            if found != encoder:
                raise ValueError(
                    f'model.backbone of the config is another encoder (weights {found}) than the one that '
                    f'the features are from ({encoder}), so an adapter cannot start from its text tower'
                )

    @property
    def clip(self) -> Any:
        """The dual encoder of ``start``, until :meth:`init_weights` drops it."""
        if not self.__dict__.get('_start'):
            raise AttributeError(f'{type(self).__name__} has no encoder')
        return self._start[0].clip

    @property
    def width(self) -> int:
        """Width D of the joint embedding space of frames and captions."""
        return self._width

    def init_weights(self) -> None:
        """Drop the encoder of ``start``, which the adapter has been initialized from."""
        self._start = ()

    def encode_frames(self, frames: Tensor, frame_mask: Tensor) -> Tensor:
        """Return the features of frames, (V, T, D), as they are."""
        return frames

    def encode_text(self, tokens: Tensor, text_mask: Tensor, per_token: bool = False) -> Tensor | Features:
        """Return the features of captions as they are.

        Args:
            tokens (Tensor): Features of captions (N, D), or with ``per_token`` of their tokens (N, L, D).
            text_mask (Tensor): 1 for real tokens, (N, L).
            per_token (bool): Whether the features are those of all tokens.

        Returns:
            Tensor | dict[str, Tensor]: See :meth:`BaseBackbone.encode_text`.
        """
        return dict(tokens=tokens, text_mask=text_mask) if per_token else tokens


def digest_of_features(backbone: StoredFeatureBackbone) -> str:
    """Return the digest of the encoder that the features of a backbone are from, in hex."""
    return bytes(backbone.encoder.tolist()).hex()
