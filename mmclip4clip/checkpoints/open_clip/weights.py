"""Weights of open_clip, and those of this package."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from .. import openai
from ..checkpoint import CLIP, Checkpoint
from ..renaming import narrow_dtypes, rename_from_native, rename_to_native
from .keys import SIGLIP, TEXT, fold_siglip, has_text_module, is_siglip, unfold_siglip
from .model_config import apply_config

SIGLIP_RULES = [rule.under('', CLIP) for rule in SIGLIP]
# Keys of CustomTextCLIP that are not under ``text.``.
TOP = ('visual.', 'logit_scale')


def to_native(tensors: Mapping[str, Tensor], name: str, config: Path | None) -> Checkpoint:
    """Read a CLIP or a SigLIP of open_clip.

    Args:
        tensors (Mapping[str, Tensor]): State dict.
        name (str): Name of the file in error messages.
        config (Path, optional): Its model config, which SigLIP needs. A CLIP's is applied later.

    Raises:
        ValueError: If keys are missing or unknown, or the config is missing or contradicts the weights.
    """
    layout: dict[str, bool] = {}
    if has_text_module(tensors):
        layout['custom_text'] = True
    if 'logit_scale' in tensors and tensors['logit_scale'].shape == (1,):
        layout['nonscalar_logit_scale'] = True
    if not is_siglip(tensors):
        checkpoint = openai.to_native(_plain(tensors), name)
        if layout:
            checkpoint.origin, checkpoint.settings['open_clip'] = 'open_clip', layout
        return checkpoint
    if config is None:
        raise ValueError(
            f'{name} is a SigLIP of open_clip, whose heads and activation are in its model config: give it '
            'with --model-config FILE.json, or put it next to the file as open_clip_config.json'
        )
    folded = fold_siglip(tensors)
    checkpoint = Checkpoint(
        rename_to_native(folded, SIGLIP_RULES, name),
        'open_clip',
        narrow_dtypes(folded),
        settings=dict(open_clip=layout),
    )
    apply_config(checkpoint, config)
    return checkpoint


def from_native(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Return the state dict of open_clip's model, in the precision of a file that came from there.

    Raises:
        ValueError: If keys are missing or unknown.
    """
    layout = checkpoint.settings.get('open_clip', {})
    nonscalar = bool(layout.get('nonscalar_logit_scale'))
    dtypes = checkpoint.dtypes if checkpoint.origin in ('openai', 'open_clip') else {}
    if checkpoint.family.model_type == 'siglip':
        tensors = rename_from_native(checkpoint.state_dict, SIGLIP_RULES, 'the checkpoint', dtypes)
        return unfold_siglip(tensors, nonscalar)
    tensors = rename_from_native(checkpoint.state_dict, openai.clip_rules(), 'the checkpoint', dtypes)
    if nonscalar:
        tensors['logit_scale'] = tensors['logit_scale'].reshape(1)
    if layout.get('custom_text'):
        tensors = {key if key.startswith(TOP) else TEXT + key: value for key, value in tensors.items()}
    return tensors


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a CLIP's tensors with the keys and shapes of OpenAI's."""
    own = has_text_module(tensors)
    plain = {key.removeprefix(TEXT) if own else key: value for key, value in tensors.items()}
    if 'logit_scale' in plain:
        plain['logit_scale'] = plain['logit_scale'].squeeze()
    return plain
