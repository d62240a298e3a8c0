"""The families of dual encoders of ``transformers`` that :class:`CLIPBackbone` takes, and how they differ."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
import transformers
from torch import Tensor

from ..features import Features
from .towers import text_projection, vision_projection

CLIP_NORMALIZATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
SYMMETRIC_NORMALIZATION = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
# Keys of config.json that describe a tower. No other key of a folder or checkpoint reaches transformers.
BLOCKS = (
    'hidden_size',
    'intermediate_size',
    'num_hidden_layers',
    'num_attention_heads',
    'hidden_act',
    'layer_norm_eps',
)
DRAW = ('initializer_range', 'initializer_factor')
TOKENS = ('vocab_size', 'max_position_embeddings', 'bos_token_id', 'eos_token_id', 'pad_token_id')
IMAGES = ('num_channels', 'image_size', 'patch_size')
CLIP_TOWER = (*BLOCKS[:4], 'projection_dim', *BLOCKS[4:], 'attention_dropout', *DRAW)
SIGLIP_TOWER = (*BLOCKS, 'attention_dropout')
BERT_TOWER = (
    *BLOCKS,
    'hidden_dropout_prob',
    'attention_probs_dropout_prob',
    'type_vocab_size',
    *DRAW,
)


@dataclass(frozen=True)
class Family:
    """A family of dual encoders: the class that builds it, and what differs between it and the others.

    Args:
        model_type (str): ``model_type`` in its config.json.
        name (str): Its classes in ``transformers`` are ``{name}Model`` and ``{name}Config``.
        text (tuple[str, ...]): Keys of ``text_config`` that describe the text tower.
        vision (tuple[str, ...]): Keys of ``vision_config`` that describe the vision tower.
        both (tuple[str, ...]): Keys of the config that describe both towers.
        pooling (str): Which token has the feature of a caption. ``'last'``: the last one, and the tower is
            causal, so padding has no effect. ``'first'``: the first one, and padding is masked.
            ``'padded'``: the last position, after padding to the full length, which the tower reads.
        normalization (tuple): Mean and standard deviation of RGB in 0 to 1, if a folder does not say.
        keep_ratio (bool): Whether frames are cropped to a square, or else squeezed.
        interpolation (str): How frames are resized, ``'bicubic'`` or ``'bilinear'``.
        max_logit_scale (float, optional): Bound of the factor between similarity and logits in training.
        naflex (bool): Whether the vision tower reads patches, cut in advance from frames of any shape.

    Examples:
        >>> FAMILIES['siglip'].pooling
        'padded'
        >>> sorted(FAMILIES)
        ['altclip', 'chinese_clip', 'clip', 'metaclip_2', 'siglip', 'siglip2']
    """

    model_type: str
    name: str
    text: tuple[str, ...] = (*CLIP_TOWER, *TOKENS)
    vision: tuple[str, ...] = (*CLIP_TOWER, *IMAGES)
    both: tuple[str, ...] = ('projection_dim', 'logit_scale_init_value')
    pooling: str = 'last'
    normalization: tuple[tuple[float, ...], tuple[float, ...]] = CLIP_NORMALIZATION
    keep_ratio: bool = True
    interpolation: str = 'bicubic'
    max_logit_scale: float | None = 100.0
    naflex: bool = False

    @property
    def model_class(self) -> Any:
        """Class of the model in ``transformers``.

        Raises:
            ImportError: If the installed version does not have it yet.
        """
        return self._find('Model')

    @property
    def config_class(self) -> Any:
        """Class of its config in ``transformers``; see :attr:`model_class`."""
        return self._find('Config')

    def _find(self, kind: str) -> Any:
        found = getattr(transformers, self.name + kind, None)
        if found is None:
            raise ImportError(
                f'transformers {transformers.__version__} has no {self.name}{kind} for an encoder with '
                f"model_type={self.model_type!r}: pip install 'transformers>=5.17'"
            )
        return found

    def keys(self, part: str) -> tuple[str, ...]:
        """Return the keys of ``text_config`` or ``vision_config``."""
        return self.text if part == 'text_config' else self.vision

    def encode_images(self, model: Any, images: Tensor) -> Tensor:
        """Encode normalized images (B, 3, H, W) into projected features (B, D)."""
        if self.naflex:
            patches = patchify(images, model.config.vision_config.patch_size)
            pooled = model.vision_model(*patches.values()).pooler_output  # transformers 4 has other names
        else:
            pooled = model.vision_model(pixel_values=images).pooler_output
        return vision_projection(model)(pooled)

    def encode_text(
        self, model: Any, tokens: Tensor, text_mask: Tensor, per_token: bool
    ) -> Tensor | Features:
        """Encode captions.

        Args:
            model (PreTrainedModel): The dual encoder.
            tokens (Tensor): Token ids, (N, L).
            text_mask (Tensor): 1 for real tokens, which come first, (N, L).
            per_token (bool): Whether to return features of all tokens.

        Returns:
            Tensor | dict[str, Tensor]: Projected features (N, D), or ``tokens`` (N, L, D) and ``text_mask``
            (N, L).
        """
        config, length = model.config.text_config, tokens.shape[1]
        if self.pooling == 'last':
            hidden = model.text_model(input_ids=tokens).last_hidden_state
        else:
            tokens = tokens.masked_fill(~text_mask.bool(), config.pad_token_id)
            mask: Tensor | None = text_mask
            if self.pooling == 'padded':
                missing = config.max_position_embeddings - length
                tokens, mask = F.pad(tokens, (0, missing), value=config.pad_token_id), None
            hidden = model.text_model(input_ids=tokens, attention_mask=mask).last_hidden_state
        project = text_projection(model)
        if per_token:
            return dict(tokens=project(hidden[:, :length]), text_mask=text_mask)
        if self.pooling == 'last':
            return project(hidden[torch.arange(hidden.shape[0]), text_mask.sum(dim=1).long() - 1])
        return project(hidden[:, 0 if self.pooling == 'first' else -1])


SIGLIP: dict[str, Any] = dict(
    text=(*SIGLIP_TOWER, *TOKENS, 'projection_size'),
    both=(),
    pooling='padded',
    normalization=SYMMETRIC_NORMALIZATION,
    keep_ratio=False,
    max_logit_scale=None,
)
FAMILIES = {
    family.model_type: family
    for family in (
        Family('clip', 'CLIP'),
        Family('metaclip_2', 'MetaClip2'),
        Family('chinese_clip', 'ChineseCLIP', text=(*BERT_TOWER, *TOKENS), pooling='first'),
        Family('altclip', 'AltCLIP', text=(*BERT_TOWER, *TOKENS, 'project_dim'), pooling='first'),
        Family('siglip', 'Siglip', vision=(*SIGLIP_TOWER, *IMAGES, 'vision_use_head'), **SIGLIP),
        Family(
            'siglip2',
            'Siglip2',
            vision=(*SIGLIP_TOWER, 'num_channels', 'num_patches', 'patch_size', 'vision_use_head'),
            interpolation='bilinear',
            naflex=True,
            **SIGLIP,
        ),
    )
}


def family_of(model_type: object, source: str) -> Family:
    """Return the family of a ``model_type``.

    Args:
        model_type (object): Value in a config.
        source (str): Name of the config in the error message.

    Raises:
        ValueError: If no family has it; lists those that exist.
    """
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise ValueError(f'{source} is of model_type={model_type!r}, expected {" or ".join(FAMILIES)}')
    return FAMILIES[model_type]


def text_length(config: Any) -> int:
    """Return the maximum number of tokens of a caption, start and end included."""
    text = config.text_config
    first = text.pad_token_id + 1 if config.model_type == 'altclip' else 0  # RoBERTa counts from there
    return text.max_position_embeddings - first


def image_size(config: Any) -> tuple[int, int]:
    """Return the height and the width of the images that an encoder of this config reads, in pixels."""
    vision = config.vision_config
    side = getattr(vision, 'image_size', None)
    if side is None:  # SigLIP 2 takes any shape; a square with all its positions has this side
        side = round(vision.num_patches**0.5) * vision.patch_size
    height, width = side if isinstance(side, (list, tuple)) else (side, side)
    return height, width


def patchify(images: Tensor, size: int) -> dict[str, Tensor]:
    """Cut images into patches, the input of SigLIP 2.

    Args:
        images (Tensor): Normalized images, (B, 3, H, W).
        size (int): Side P of a patch, in pixels.

    Returns:
        dict[str, Tensor]: ``pixel_values`` (B, H/P * W/P, P * P * 3), ``pixel_attention_mask``
        (B, H/P * W/P) of ones, and ``spatial_shapes`` (B, 2) with H/P and W/P.
    """
    count, channels, height, width = images.shape
    rows, columns = height // size, width // size
    patches = images.reshape(count, channels, rows, size, columns, size).permute(0, 2, 4, 3, 5, 1)
    return dict(
        pixel_values=patches.reshape(count, rows * columns, -1),
        pixel_attention_mask=images.new_ones(count, rows * columns, dtype=torch.long),
        spatial_shapes=torch.tensor([[rows, columns]]).expand(count, 2),
    )
