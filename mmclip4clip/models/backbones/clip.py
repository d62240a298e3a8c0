from collections.abc import Mapping, Sequence

from mmaction.registry import MODELS
from mmengine.logging import print_log
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from ...compat import apply_patches
from ..features import Features
from ..lora_weights import without_fresh_lora
from ..weight_check import compare_weights, is_sharded
from .arguments import NOT_GIVEN, check_arguments
from .base import BaseBackbone
from .class_token_tower import read_class_token
from .families import image_size, text_length
from .frame_format import with_fields
from .freezing import freeze_layers
from .gradient_checkpointing import checkpoint_towers
from .lora import add_lora
from .patch3d import Patch3d, with_neighbors
from .pretrained import load_pretrained
from .quick_gelu import replace_quick_gelu
from .random_encoder import build_random, redraw_embeddings
from .towers import check_features, text_projection, vision_projection


@MODELS.register_module()
class CLIPBackbone(BaseBackbone):
    """A dual encoder of ``transformers``: vision and text tower with their projections.

    It takes CLIP (of OpenAI, LAION, DataComp, MetaCLIP and others), SigLIP, SigLIP 2, MetaCLIP 2,
    Chinese-CLIP and AltCLIP. ``model_type`` in the folder's config.json decides, or in ``config``. For each
    family, the model is the attribute ``clip``, and keys of checkpoints begin with ``backbone.clip.``.

    Weights are loaded completely or not at all. The backbone's part of ``pretrained``, ``init_cfg`` or a
    checkpoint must have exactly the expected keys and shapes, even if ``strict=False``.

    Args:
        pretrained (str, optional): Name on the Hugging Face hub, or a local folder written by
            ``save_pretrained``. If it is not given, weights are random, and no network is needed. An
            explicit None needs ``config``.
        config (dict, optional): Arguments of :class:`transformers.CLIPConfig`, for random weights only.
            Defaults to ViT-B/32. With ``model_type``, arguments of the config of that family.
        image_size (int, optional): Height and width of the frames, if they are not those of ``pretrained``,
            in pixels. Its positions are interpolated.
        text_length (int, optional): Maximum number of tokens of a caption, if it is larger than that of
            ``pretrained``. Its positions are stretched by Long-CLIP's rule, :func:`stretch_text_positions`.
        frame_format (dict, optional): Fields of :class:`FrameFormat` that ``pretrained`` or the family do
            not have, such as ``mean`` and ``std``.
        frozen_layers (int): The reference's ``freeze_layer_num``. -1 trains everything. 0 freezes the
            embeddings, the patch projection and the first norm of the vision tower. n also freezes
            the lowest n blocks of both towers. The final norms, the projections, the logit scale and a
            3d linear patch always train.
        linear_patch (str): ``'2d'``, CLIP's patch projection of each frame, or ``'3d'``, over a frame and
            its two neighbors, see :class:`Patch3d`. SigLIP 2 has only ``'2d'``. The reference freezes nothing
            with the 3d patch, whatever its ``freeze_layer_num``; ``frozen_layers=-1`` reproduces that.
        embedding_std (dict, optional): Standard deviations for redrawing random embeddings: ``text`` for
            token and position embeddings, ``vision`` for position embeddings. CLIP's 0.02 is too small to
            give positions much effect in a small model that is trained from scratch.
        gradient_checkpointing (bool | str | Sequence[str]): Towers whose blocks are computed again in the
            backward pass, which takes less memory and more time: True for both, or ``'vision'``, ``'text'``.
        lora (dict, optional): LoRA in the blocks of one or both towers, whose other weights are then frozen,
            see :func:`add_lora` and :class:`LoRAOptions`. Needs ``peft``.
        token_merging (dict, optional): ``dict(r=n)`` lets each block of the vision tower merge n patches into
            others that are like them, which takes less time and memory, see :func:`read_merging`.
        init_cfg (dict, optional): ``dict(type='Pretrained', checkpoint=FILE, prefix='backbone.')`` loads
            the backbone of a checkpoint of this package.

    Raises:
        ValueError: If arguments contradict each other, are out of range or unknown.
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
        image_size: int | None = None,
        text_length: int | None = None,
        frame_format: dict | None = None,
        gradient_checkpointing: bool | str | Sequence[str] = False,
        lora: dict | None = None,
        token_merging: dict | None = None,
    ) -> None:
        apply_patches()  # a checkpoint may be loaded into the model next
        check_arguments(pretrained, config, linear_patch, embedding_std, init_cfg, image_size or text_length)
        super().__init__(init_cfg)
        self.pretrained = None if pretrained == NOT_GIVEN else pretrained
        if self.pretrained is None:
            self.family, self.clip, format = build_random(config or {})
            redraw_embeddings(self.clip, **embedding_std or {})
        else:
            self.family, self.clip, format = load_pretrained(self.pretrained, image_size, text_length)
        self.frame_format = with_fields(format, frame_format)
        check_features(self.clip)
        replace_quick_gelu(self.clip)
        self.linear_patch, self.frozen_layers = linear_patch, frozen_layers
        if linear_patch == '3d':
            embeddings = self.clip.vision_model.embeddings
            embeddings.patch_embedding = Patch3d(embeddings.patch_embedding)
        self.token_merging = read_class_token(self.clip, token_merging)
        freeze_layers(self.clip, frozen_layers, linear_patch)
        if hasattr(self.clip, 'logit_bias'):  # only a sigmoid loss uses it, and DDP fails without gradients
            self.clip.logit_bias.requires_grad = False
        add_lora(self.clip, lora, frozen_layers)
        checkpoint_towers(self.clip, gradient_checkpointing)

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
        found = {key: found[key] for key in without_fresh_lora(self.state_dict(), found)}
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
        if not is_sharded(prefix) and (found or (self.pretrained is None and self.init_cfg is None)):
            self._check_complete(found)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _check_complete(self, weights: Mapping[str, Tensor]) -> None:
        """Compare keys and shapes of weights with those of the backbone.

        Raises:
            RuntimeError: If keys are missing, unexpected or of another shape; lists the first ones.
        """
        difference = compare_weights(without_fresh_lora(self.state_dict(), weights), weights)
        if difference:
            raise RuntimeError(f'the checkpoint does not contain the CLIP of this CLIPBackbone: {difference}')

    @property
    def frames_are_independent(self) -> bool:
        """Whether the features of a frame do not depend on the other frames."""
        return self.linear_patch == '2d'

    @property
    def width(self) -> int:
        """Width D of the joint embedding space of frames and captions."""
        return text_projection(self.clip).out_features

    @property
    def logit_scale(self) -> nn.Parameter:  # type: ignore[override]
        """Logarithm of the factor between similarity and logits, ()."""
        return self.clip.logit_scale

    @property
    def max_logit_scale(self) -> float | None:
        """Bound of the factor between similarity and logits in training; None if there is none."""
        return self.family.max_logit_scale

    def encode_frames(self, frames: Tensor, frame_mask: Tensor) -> Tensor:
        """Encode the real frames; padded frames are skipped and become zeros.

        Args:
            frames (Tensor): Normalized RGB frames, (V, T, 3, H, W).
            frame_mask (Tensor): 1 for real frames, 0 for padding, (V, T).

        Returns:
            Tensor: Projected frame features, not normalized, (V, T, D).

        Raises:
            ValueError: If the frames have another size than the encoder's.
        """
        expected = image_size(self.clip.config)
        if tuple(frames.shape[-2:]) != expected:
            raise ValueError(
                f'the frames have (H, W) = {tuple(frames.shape[-2:])}, but {self.family.name} expects '
                f'{expected}: leave size out of ResizeCenterCrop, or set model.backbone.image_size'
            )
        keep = frame_mask.bool()
        if self.linear_patch == '3d':
            frames = with_neighbors(frames, frame_mask)
        real = self.family.encode_images(self.clip, frames[keep])
        features = real.new_zeros(*keep.shape, real.shape[-1])
        features[keep] = real
        return features

    def encode_text(self, tokens: Tensor, text_mask: Tensor, per_token: bool = False) -> Tensor | Features:
        """Encode captions into the projected hidden state of the token that pools them, or of all tokens.

        Padding has no effect, or the effect that it had in the encoder's training; see :class:`Family`.

        Args:
            tokens (Tensor): Token ids, (N, L).
            text_mask (Tensor): 1 for real tokens, which come first, (N, L).
            per_token (bool): Whether to return features of all tokens.

        Returns:
            Tensor | dict[str, Tensor]: Caption features, not normalized, (N, D),
            or ``tokens`` (N, L, D) and ``text_mask`` (N, L).

        Raises:
            ValueError: If there are more tokens than text positions.
        """
        most = text_length(self.clip.config)
        if tokens.shape[1] > most:
            raise ValueError(
                f'captions of {tokens.shape[1]} tokens do not fit the {most} text positions of '
                f'{self.family.name}: lower max_words of TokenizeCaptions, or set model.backbone.text_length'
            )
        return self.family.encode_text(self.clip, tokens, text_mask, per_token)

    def frame_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the vision tower and its projection."""
        return [*self.clip.vision_model.parameters(), *vision_projection(self.clip).parameters()]
