"""Digests of weights, to recognize a model by them."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .weight_check import COUNTING


@torch.no_grad()
def digest_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Digest names and values of tensors, BLAKE2b of 16 bytes in hex.

    Examples:
        >>> digest_tensors(dict(weight=torch.ones(2))) == digest_tensors(dict(weight=torch.zeros(2)))
        False
    """
    digest = hashlib.blake2b(digest_size=16)
    for name, value in sorted(tensors.items()):
        digest.update(f'{name} {tuple(value.shape)} {value.dtype}'.encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def digest_encoder(weights: Mapping[str, Tensor], logit_scale_key: str) -> str:
    """Digest the weights of a backbone without its logit scale, which trains with the adapter.

    Args:
        weights (Mapping[str, Tensor]): State dict of the backbone.
        logit_scale_key (str): Name of the logit scale in it.

    Examples:
        >>> one, other = dict(a=torch.ones(2), s=torch.ones(1)), dict(a=torch.ones(2), s=torch.zeros(1))
        >>> digest_encoder(one, 's') == digest_encoder(other, 's')
        True
    """
    kept = {key: value for key, value in weights.items() if key != logit_scale_key}
    kept = {key: value for key, value in kept.items() if not COUNTING.fullmatch(key)}
    # Versions of transformers name the blocks differently.
    return digest_tensors({key.replace('.encoder.layer.', '.encoder.layers.'): v for key, v in kept.items()})


def find_logit_scale(backbone: nn.Module) -> str:
    """Return the name of the logit scale among the parameters of a backbone."""
    return next(name for name, value in backbone.named_parameters() if value is backbone.logit_scale)
