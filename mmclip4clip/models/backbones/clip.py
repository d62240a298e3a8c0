import re
from collections.abc import Mapping

import torch
from mmaction.registry import MODELS
from mmengine.logging import print_log
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel

from ...compat import apply_patches
from ..features import Features
from ..weight_check import compare_weights
from .base import BaseBackbone
from .patch3d import Patch3d, with_neighbors
from .pretrained import load_pretrained

# Parameters that the reference never freezes, by their keys in transformers' CLIP.
ALWAYS_TRAINED = (
    'logit_scale',
    'text_projection.',
    'visual_projection.',
    'text_model.final_layer_norm.',
    'vision_model.post_layernorm.',
)
NOT_GIVEN = '(not given)'


@MODELS.register_module()
class CLIPBackbone(BaseBackbone):
    """CLIP's vision and text towers from ``transformers``, with their projections.

    Weights are loaded completely or not at all. The backbone's part of ``pretrained``, ``init_cfg`` or a
    checkpoint must have exactly the expected keys and shapes, even if ``strict=False``.

    Args:
        pretrained (str, optional): Name on the Hugging Face hub, or a local folder written by
            ``save_pretrained``. If it is not given, weights are random, and no network is needed. An
            explicit None needs ``config``.
        config (dict, optional): Arguments of :class:`transformers.CLIPConfig`, for random weights only.
            Defaults to ViT-B/32.
        frozen_layers (int): The reference's ``freeze_layer_num``. -1 trains everything. 0 freezes the
            embeddings, the patch projection and the first norm of the vision tower. n also freezes
            the lowest n blocks of both towers. The final norms, the projections, the logit scale and a
            3d linear patch always train.
        linear_patch (str): ``'2d'``, CLIP's patch projection of each frame, or ``'3d'``, over a frame and
            its two neighbors, see :class:`Patch3d`. The reference freezes nothing with the 3d patch,
            whatever its ``freeze_layer_num``; ``frozen_layers=-1`` reproduces that.
        embedding_std (dict, optional): Standard deviations for redrawing random embeddings: ``text`` for
            token and position embeddings, ``vision`` for position embeddings. CLIP's 0.02 is too small to
            give positions much effect in a small model that is trained from scratch.
        init_cfg (dict, optional): ``dict(type='Pretrained', checkpoint=FILE, prefix='backbone.')`` loads
            the backbone of a checkpoint of this package.

    Raises:
        ValueError: If ``pretrained`` is given with ``config`` or ``embedding_std``, or is None without
            ``config``, if ``frozen_layers`` is out of range, or if ``linear_patch`` or ``init_cfg`` is
            unknown.
        OSError: If ``pretrained`` is neither a local folder nor on the hub, or not a complete CLIP.

    Examples:
        >>> import torch
        >>> tower = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)
        >>> backbone = CLIPBackbone(config=dict(
        ...     text_config=dict(tower, vocab_size=99),
        ...     vision_config=dict(tower, image_size=32, patch_size=16),
        ...     projection_dim=16,
        ... ))
        >>> frame_mask = torch.tensor([[1, 1, 1], [1, 0, 0]])
        >>> backbone.encode_frames(torch.rand(2, 3, 3, 32, 32), frame_mask).shape
        torch.Size([2, 3, 16])
        >>> backbone.encode_text(torch.ones(5, 7, dtype=torch.long), torch.ones(5, 7)).shape
        torch.Size([5, 16])
    """

    def __init__(
        self,
        pretrained: str | None = NOT_GIVEN,
        config: dict | None = None,
        frozen_layers: int = -1,
        linear_patch: str = '2d',
        embedding_std: dict[str, float] | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        apply_patches()  # a checkpoint may be loaded into the model next
        check_arguments(pretrained, config, linear_patch, embedding_std, init_cfg)
        super().__init__(init_cfg)
        pretrained = None if pretrained == NOT_GIVEN else pretrained
        if pretrained is None:
            self.clip = CLIPModel(CLIPConfig(**{**(config or {}), 'attn_implementation': 'sdpa'}))
            self._redraw_embeddings(**embedding_std or {})
        else:
            self.clip = load_pretrained(pretrained)
        self.pretrained = pretrained
        self.linear_patch = linear_patch
        if linear_patch == '3d':
            embeddings = self.clip.vision_model.embeddings
            embeddings.patch_embedding = Patch3d(embeddings.patch_embedding)
        self.frozen_layers = frozen_layers
        self._freeze()

    def init_weights(self) -> None:
        """Load the checkpoint of ``init_cfg``, if any; otherwise keep the weights from ``__init__``.

        Raises:
            RuntimeError: If the file does not contain the complete backbone.
        """
        if self.init_cfg is None:
            return
        source = self.init_cfg['checkpoint']
        prefix = self.init_cfg.get('prefix', 'backbone.').rstrip('.') + '.'
        content = CheckpointLoader.load_checkpoint(source, map_location='cpu')
        weights = content.get('state_dict', content)
        weights = {key.removeprefix('module.'): value for key, value in weights.items()}
        found = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
        try:
            self._check_complete(found or weights)
        except RuntimeError as error:
            raise RuntimeError(
                f'init_cfg of CLIPBackbone: {source}, keys that begin with {prefix!r}: {error}'
            ) from error
        found = {key: found[key] for key in self.state_dict()}
        self.load_state_dict(found)
        print_log(
            f'CLIP from {source}: all {len(found)} tensors of {prefix}*, none missing, none left over',
            logger='current',
        )

    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor], prefix: str, *args) -> None:
        """Raise an error for an incomplete backbone, even if ``strict=False`` as in mmengine."""
        found = {
            key.removeprefix(prefix): value for key, value in state_dict.items() if key.startswith(prefix)
        }
        if found or (self.pretrained is None and self.init_cfg is None):
            self._check_complete(found)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _check_complete(self, weights: Mapping[str, Tensor]) -> None:
        """Compare keys and shapes of weights with those of the backbone.

        Raises:
            RuntimeError: If keys are missing, unexpected or of another shape; lists the first ones.
        """
        difference = compare_weights(self.state_dict(), weights)
        if difference:
            raise RuntimeError(f'the checkpoint does not contain the CLIP of this CLIPBackbone: {difference}')

    @property
    def width(self) -> int:
        """Width D of the joint embedding space of frames and captions."""
        return len(self.clip.text_projection.weight)

    @property
    def logit_scale(self) -> nn.Parameter:  # type: ignore[override]
        """Logarithm of the factor between similarity and logits, ()."""
        return self.clip.logit_scale

    def encode_frames(self, frames: Tensor, frame_mask: Tensor) -> Tensor:
        """Encode the real frames; padded frames are skipped and become zeros.

        Args:
            frames (Tensor): Normalized RGB frames, (V, T, 3, H, W).
            frame_mask (Tensor): 1 for real frames, 0 for padding, (V, T).

        Returns:
            Tensor: Projected frame features, not normalized, (V, T, D).
        """
        keep = frame_mask.bool()
        if self.linear_patch == '3d':
            frames = with_neighbors(frames, frame_mask)
        pooled = self.clip.vision_model(pixel_values=frames[keep]).pooler_output
        real = self.clip.visual_projection(pooled)
        features = real.new_zeros(*keep.shape, real.shape[-1])
        features[keep] = real
        return features

    def encode_text(self, tokens: Tensor, text_mask: Tensor, per_token: bool = False) -> Tensor | Features:
        """Encode captions into the projected hidden state of the last token, or of all tokens.

        The text tower is causal, so padding after the last token has no effect.

        Args:
            tokens (Tensor): Token ids, (N, L).
            text_mask (Tensor): 1 for real tokens, which come first, (N, L).
            per_token (bool): Whether to return features of all tokens.

        Returns:
            Tensor | dict[str, Tensor]: Caption features, not normalized, (N, D),
            or ``tokens`` (N, L, D) and ``text_mask`` (N, L).
        """
        hidden = self.clip.text_model(input_ids=tokens).last_hidden_state
        if per_token:
            return dict(tokens=self.clip.text_projection(hidden), text_mask=text_mask)
        last = text_mask.sum(dim=1).long() - 1
        return self.clip.text_projection(hidden[torch.arange(len(hidden)), last])

    def frame_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the vision tower and its projection."""
        return [*self.clip.vision_model.parameters(), *self.clip.visual_projection.parameters()]

    @torch.no_grad()
    def _redraw_embeddings(self, text: float = 0.0, vision: float = 0.0) -> None:
        words, patches = self.clip.text_model.embeddings, self.clip.vision_model.embeddings
        for std, embeddings in (
            (text, (words.token_embedding, words.position_embedding)),
            (vision, (patches.position_embedding,)),
        ):
            for embedding in embeddings:
                if std:
                    embedding.weight.normal_(std=std)

    def _freeze(self) -> None:
        towers = self.clip.text_model, self.clip.vision_model
        depth = max(tower.config.num_hidden_layers for tower in towers)
        if not -1 <= self.frozen_layers <= depth:
            raise ValueError(
                f'frozen_layers must lie between -1 (train everything) and {depth} '
                f'(all blocks), got {self.frozen_layers}'
            )
        if self.frozen_layers == -1:
            return
        for name, parameter in self.clip.named_parameters():
            block = re.search(r'\.encoder\.layers\.(\d+)\.', name)
            above = block is not None and int(block[1]) >= self.frozen_layers
            patch3d = self.linear_patch == '3d' and '.patch_embedding.' in name
            parameter.requires_grad = above or patch3d or name.startswith(ALWAYS_TRAINED)


def check_arguments(
    pretrained: str | None,
    config: dict | None,
    linear_patch: str,
    embedding_std: dict[str, float] | None,
    init_cfg: dict | None,
) -> None:
    """Check the arguments of :class:`CLIPBackbone` before anything is loaded.

    Raises:
        ValueError: If one is unknown, or they contradict each other.
    """
    if init_cfg is not None and (init_cfg.get('type') != 'Pretrained' or 'checkpoint' not in init_cfg):
        raise ValueError(
            "init_cfg of CLIPBackbone must be dict(type='Pretrained', checkpoint=FILE, "
            f"prefix='backbone.'), got {init_cfg}"
        )
    if linear_patch not in ('2d', '3d'):
        raise ValueError(f"linear_patch must be '2d' or '3d', got {linear_patch!r}")
    if pretrained is None and config is None:
        raise ValueError(
            'CLIPBackbone got pretrained=None and no config, so nothing says which CLIP it is: give '
            'config=dict(...) of that CLIP, or config=dict() for a random ViT-B/32, or leave pretrained '
            "as it was. mmaction2's init_recognizer sets pretrained to None: give it a config with "
            'model.backbone.config'
        )
    if pretrained not in (None, NOT_GIVEN) and (config is not None or embedding_std is not None):
        raise ValueError(
            'CLIPBackbone takes either pretrained or, for random weights, config '
            f'and embedding_std; got pretrained={pretrained!r} with them'
        )
