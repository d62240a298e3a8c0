import re
from collections.abc import Mapping

import torch
from mmaction.registry import MODELS
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel

from ...compat import apply_patches
from ..features import Features
from ..weight_check import compare_weights
from .patch3d import Patch3d, with_neighbors
from .pretrained import load_pretrained

# What the reference never freezes, as the keys of transformers' CLIP.
ALWAYS_TRAINED = (
    'logit_scale',
    'text_projection.',
    'visual_projection.',
    'text_model.final_layer_norm.',
    'vision_model.post_layernorm.',
)
NOT_GIVEN = '(not given)'


@MODELS.register_module()
class CLIPBackbone(BaseModule):
    """The two towers of CLIP, from ``transformers``, with their projections.

    Weights come whole or not at all: what ``pretrained``, ``init_cfg`` or a checkpoint has of the backbone
    must have every key, none beyond, in the right shape, even where the caller is not strict.

    Args:
        pretrained (str, optional): Name on the Hugging Face hub, or a local
            folder written by ``save_pretrained``. Without it, weights are random
            and no network is needed. None in its place needs ``config``.
        config (dict, optional): Arguments of :class:`transformers.CLIPConfig`,
            for random weights only. None is the size of ViT-B/32.
        frozen_layers (int): As the reference's ``freeze_layer_num``. -1 trains
            everything. 0 freezes the embeddings, the patch projection and the
            vision tower's first norm. n also freezes the lowest n blocks of both
            towers. Final norms, projections and the logit scale always train,
            and so does the 3d linear patch, which would stay the 2d one.
        linear_patch (str): ``'2d'``, CLIP's own projection of each frame, or
            ``'3d'``, over a frame and its two neighbors, see :class:`Patch3d`. The
            reference's code freezes nothing with the 3d patch, whatever its
            ``freeze_layer_num``: ``frozen_layers=-1`` reproduces that.
        embedding_std (dict, optional): Redraw embeddings of random weights from
            normal distributions of these standard deviations: ``text`` for its
            positions and tokens, ``vision`` for its positions. CLIP's 0.02 tells
            a small model trained from nothing little about where things are.
        init_cfg (dict, optional): ``dict(type='Pretrained', checkpoint=FILE,
            prefix='backbone.')`` starts training from the backbone of a
            checkpoint of this package, which must fit to the last key.

    Raises:
        ValueError: If ``pretrained`` comes together with ``config`` or
            ``embedding_std``, or is None without ``config``, if ``frozen_layers`` is out
            of range, or if ``linear_patch`` or ``init_cfg`` is unknown.
        OSError: If ``pretrained`` is neither a local folder nor on the hub, or not a whole CLIP.
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
        if init_cfg is not None and (init_cfg.get('type') != 'Pretrained' or 'checkpoint' not in init_cfg):
            raise ValueError(
                "init_cfg of CLIPBackbone must be dict(type='Pretrained', checkpoint=FILE, "
                f"prefix='backbone.'), got {init_cfg}"
            )
        super().__init__(init_cfg)
        if pretrained is None and config is None:
            raise ValueError(
                'CLIPBackbone got pretrained=None and no config, so nothing says which CLIP it is: give '
                'config=dict(...) of that CLIP, or config=dict() for a random ViT-B/32, or leave pretrained '
                "as it was. mmaction2's init_recognizer sets pretrained to None: give it a config with "
                'model.backbone.config'
            )
        pretrained = None if pretrained == NOT_GIVEN else pretrained
        if pretrained is not None and (config is not None or embedding_std is not None):
            raise ValueError(
                'CLIPBackbone takes either pretrained or, for random weights, config '
                f'and embedding_std; got pretrained={pretrained!r} with them'
            )
        if pretrained is None:
            self.clip = CLIPModel(CLIPConfig(**{**(config or {}), 'attn_implementation': 'sdpa'}))
            self._redraw_embeddings(**embedding_std or {})
        else:
            self.clip = load_pretrained(pretrained)
        self.pretrained = pretrained
        if linear_patch not in ('2d', '3d'):
            raise ValueError(f"linear_patch must be '2d' or '3d', got {linear_patch!r}")
        self.linear_patch = linear_patch
        if linear_patch == '3d':
            embeddings = self.clip.vision_model.embeddings
            embeddings.patch_embedding = Patch3d(embeddings.patch_embedding)
        self.frozen_layers = frozen_layers
        self._freeze()

    def init_weights(self) -> None:
        """Load what ``init_cfg`` names; else keep the weights, loaded or drawn at construction.

        Raises:
            RuntimeError: If the file does not hold the whole backbone.
        """
        if self.init_cfg is None:
            return
        source = self.init_cfg['checkpoint']
        prefix = self.init_cfg.get('prefix', 'backbone.').rstrip('.') + '.'
        content = CheckpointLoader.load_checkpoint(source, map_location='cpu')
        weights = content.get('state_dict', content)
        weights = {key.removeprefix('module.'): value for key, value in weights.items()}
        own = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
        try:
            self._check_whole(own or weights)
        except RuntimeError as error:
            raise RuntimeError(
                f'init_cfg of CLIPBackbone: {source}, keys that begin with {prefix!r}: {error}'
            ) from error
        own = {key: own[key] for key in self.state_dict()}
        self.load_state_dict(own)
        print_log(
            f'CLIP from {source}: all {len(own)} tensors of {prefix}*, none missing, none left over',
            logger='current',
        )

    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor], prefix: str, *args) -> None:
        """Refuse part of a backbone even where the caller, such as mmengine's, is not strict."""
        own = {key.removeprefix(prefix): value for key, value in state_dict.items() if key.startswith(prefix)}
        if own or (self.pretrained is None and self.init_cfg is None):
            self._check_whole(own)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _check_whole(self, weights: Mapping[str, Tensor]) -> None:
        """Compare weights with the backbone's own.

        Raises:
            RuntimeError: Naming the first keys that are missing, unexpected or of another shape.
        """
        difference = compare_weights(self.state_dict(), weights)
        if difference:
            raise RuntimeError(f'the checkpoint does not hold the CLIP of this CLIPBackbone: {difference}')

    @property
    def width(self) -> int:
        """Width D of the space that frames and captions share."""
        return len(self.clip.text_projection.weight)

    @property
    def logit_scale(self) -> nn.Parameter:
        """Logarithm of the factor from similarity to logits, ()."""
        return self.clip.logit_scale

    def encode_frames(self, frames: Tensor, frame_mask: Tensor) -> Tensor:
        """Encode every real frame; padded frames cost nothing and become zeros.

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
        """Encode captions by the projected hidden state of their last real token, or of all.

        The text tower is causal, so padding after that token changes nothing.

        Args:
            tokens (Tensor): Token ids, (N, L).
            text_mask (Tensor): 1 for real tokens, which come first, (N, L).
            per_token (bool): Whether to return the features of all tokens.

        Returns:
            Tensor | dict[str, Tensor]: Caption features, not normalized, (N, D),
            or ``tokens`` (N, L, D) and ``text_mask`` (N, L).
        """
        hidden = self.clip.text_model(input_ids=tokens).last_hidden_state
        if per_token:
            return dict(tokens=self.clip.text_projection(hidden), text_mask=text_mask)
        last = text_mask.sum(dim=1).long() - 1
        return self.clip.text_projection(hidden[torch.arange(len(hidden)), last])

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
