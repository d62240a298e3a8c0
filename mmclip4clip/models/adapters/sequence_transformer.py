import copy
import math
from typing import Any, cast

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from transformers import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPEncoderLayer

from ..backbones import CLIPBackbone


class SequenceTransformer(BaseModule):
    """Positions and pre-norm transformer blocks that can start as the lowest ones of CLIP's text tower.

    What the sequential and the tight similarity of CLIP4Clip have in common
    (arXiv:2104.08860, section 3.3). Blocks are those of CLIP, with the reference's
    epsilon of 1e-12 in their norms, and without a causal mask.

    Args:
        width (int): Width D.
        num_layers (int): Transformer blocks.
        num_heads (int, optional): Attention heads; one every 64 channels if None.
        max_length (int): Positions.
        start (str): What blocks and positions start from: ``'clip_text'``, the
            lowest blocks and the positions of CLIP's text tower, as the
            reference does, with that tower's activation; or ``'random'``, for CLIPs
            trained from nothing: blocks of CLIP's own initialization, with QuickGELU, and
            sinusoidal positions.

    Raises:
        ValueError: If ``width`` does not divide into the heads, or ``start`` is unknown.
    """

    def __init__(
        self, width: int, num_layers: int, num_heads: int | None, max_length: int, start: str
    ) -> None:
        super().__init__()
        num_heads = num_heads or max(1, width // 64)
        if width % num_heads:
            raise ValueError(f'width={width} does not divide into num_heads={num_heads}')
        if start not in ('clip_text', 'random'):
            raise ValueError(f"start must be 'clip_text' or 'random', got {start!r}")
        config = CLIPTextConfig(
            hidden_size=width,
            intermediate_size=4 * width,
            num_attention_heads=num_heads,
            num_hidden_layers=num_layers,
            layer_norm_eps=1e-12,
            **dict[str, Any](attn_implementation='sdpa'),
        )
        self.start = start
        self.positions = nn.Embedding(max_length, width)
        self.blocks = nn.ModuleList(CLIPEncoderLayer(config) for _ in range(num_layers))
        self._draw()

    @property
    def layers(self) -> list[CLIPEncoderLayer]:
        """The blocks, as a list of their type."""
        return cast('list[CLIPEncoderLayer]', list(self.blocks))

    @torch.no_grad()
    def _draw(self) -> None:
        """Draw blocks as OpenAI's CLIP does, and set sinusoidal positions."""
        max_length, width = self.positions.weight.shape
        for block in self.layers:
            narrow = width**-0.5 * (2 * len(self.blocks)) ** -0.5
            attention, mlp = block.self_attn, block.mlp
            for layer in (attention.q_proj, attention.k_proj, attention.v_proj):
                nn.init.normal_(layer.weight, std=width**-0.5)
            for layer in (attention.out_proj, mlp.fc2):
                nn.init.normal_(layer.weight, std=narrow)
            nn.init.normal_(mlp.fc1.weight, std=(2 * width) ** -0.5)
            projections = (attention.q_proj, attention.k_proj, attention.v_proj, attention.out_proj)
            for layer in (*projections, mlp.fc1, mlp.fc2):
                nn.init.zeros_(layer.bias)
        time = torch.arange(max_length)[:, None]
        rate = torch.exp(-math.log(10000) * torch.arange(0, width, 2) / width)
        self.positions.weight[:, 0::2] = torch.sin(time * rate)
        self.positions.weight[:, 1::2] = torch.cos(time * rate)[:, : width // 2]

    @torch.no_grad()
    def init_from_clip(self, backbone: CLIPBackbone) -> None:
        """Copy the lowest blocks, with their activation, and positions of CLIP's text tower, unless random.

        Args:
            backbone (CLIPBackbone): CLIP whose text tower is as wide as the blocks.

        Raises:
            ValueError: If width, depth, heads or number of positions do not fit.
        """
        if self.start != 'clip_text':
            return
        text = backbone.clip.text_model
        source, config = text.embeddings.position_embedding.weight, text.config
        heads = self.layers[0].self_attn.num_heads if len(self.blocks) else 0
        sizes = dict(
            width=(self.positions.embedding_dim, config.hidden_size),
            num_layers=(len(self.blocks), min(len(self.blocks), config.num_hidden_layers)),
            num_heads=(heads, config.num_attention_heads if heads else 0),
            positions=(len(self.positions.weight), min(len(self.positions.weight), len(source))),
        )
        for name, (size, tower_size) in sizes.items():
            if size != tower_size:
                raise ValueError(
                    f"an adapter with {name}={size} cannot start from CLIP's text tower, "
                    f'which has {tower_size}: make them alike (max_frames gives the positions), or give '
                    "start='random'"
                )
        self.positions.weight.copy_(source[: len(self.positions.weight)])
        for block, tower_block in zip(self.layers, text.encoder.layers):
            block.load_state_dict(tower_block.state_dict())
            block.mlp.activation_fn = copy.deepcopy(tower_block.mlp.activation_fn)

    def check_length(self, num_frames: int, others: int = 0) -> None:
        """Refuse more frames than there are positions, beside those of ``others``."""
        if num_frames + others > len(self.positions.weight):
            raise ValueError(
                f'a video of {num_frames} frames does not fit max_frames='
                f'{len(self.positions.weight) - others} of the adapter'
            )

    def forward(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """Add positions and run the blocks, over what the mask keeps.

        Args:
            inputs (Tensor): A sequence a video, (V, T, D).
            mask (Tensor): 1 for what is real, 0 for padding, (V, T).

        Returns:
            Tensor: (V, T, D). At padding it means nothing.

        Raises:
            ValueError: If there are more frames than positions.
        """
        length = inputs.shape[1]
        self.check_length(length)
        hidden = inputs + self.positions.weight[:length]
        keys = mask.bool()[:, None, None, :].expand(-1, 1, length, -1)  # (V, 1, T, T)
        for block in self.blocks:
            hidden = block(hidden, keys)
        return hidden
