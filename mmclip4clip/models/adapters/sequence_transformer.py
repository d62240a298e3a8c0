import copy
import inspect
import math
from typing import Any, cast

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from transformers import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPEncoderLayer

from ..backbones import CLIPBackbone
from ..backbones.towers import text_embeddings, tower_blocks
from ..lora_weights import merge_lora

# In transformers 4.
HAS_CAUSAL_MASK = 'causal_attention_mask' in inspect.signature(CLIPEncoderLayer.forward).parameters


class SequenceTransformer(BaseModule):
    """Position embeddings and pre-norm transformer blocks, optionally initialized from CLIP's text tower.

    The sequential and the tight similarity of CLIP4Clip share this part (arXiv:2104.08860, section 3.3).
    The blocks are CLIP's, without a causal mask. Their layer norms use an epsilon of 1e-12, as in the
    reference.

    Args:
        width (int): Width D.
        num_layers (int): Transformer blocks.
        num_heads (int, optional): Attention heads; one per 64 channels if None.
        max_length (int): Number of position embeddings.
        start (str): How blocks and positions are initialized. ``'clip_text'`` copies the lowest blocks
            of CLIP's text tower, with their activation, and its positions, as the reference does.
            ``'random'`` is for a CLIP that is trained from scratch: CLIP's initialization of
            blocks, with QuickGELU, and sinusoidal positions.
        intermediate_size (int, optional): Width of the feed-forward layers; 4 D if None.

    Raises:
        ValueError: If ``width`` is not a multiple of ``num_heads``, or ``start`` is unknown.

    Examples:
        >>> import torch
        >>> transformer = SequenceTransformer(64, num_layers=1, num_heads=None, max_length=4, start='random')
        >>> transformer(torch.rand(2, 3, 64), torch.ones(2, 3)).shape
        torch.Size([2, 3, 64])
    """

    def __init__(
        self,
        width: int,
        num_layers: int,
        num_heads: int | None,
        max_length: int,
        start: str,
        intermediate_size: int | None = None,
    ) -> None:
        super().__init__()
        num_heads = num_heads or max(1, width // 64)
        if width % num_heads:
            raise ValueError(f'width={width} does not divide into num_heads={num_heads}')
        if start not in ('clip_text', 'random'):
            raise ValueError(f"start must be 'clip_text' or 'random', got {start!r}")
        self.intermediate_size = intermediate_size or 4 * width
        config = CLIPTextConfig(
            hidden_size=width,
            intermediate_size=self.intermediate_size,
            num_attention_heads=num_heads,
            num_hidden_layers=num_layers,
            layer_norm_eps=1e-12,
            **dict[str, Any](attn_implementation='sdpa'),
        )
        self.start = start
        self.positions = nn.Embedding(max_length, width)
        self.blocks = nn.ModuleList(CLIPEncoderLayer(config) for _ in range(num_layers))
        self._init_random()

    @property
    def layers(self) -> list[CLIPEncoderLayer]:
        """The blocks, as a typed list."""
        return cast('list[CLIPEncoderLayer]', list(self.blocks))

    @torch.no_grad()
    def _init_random(self) -> None:
        """Initialize the blocks as OpenAI's CLIP does, and the positions as sinusoids."""
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
        """Copy the lowest blocks and the positions of CLIP's text tower, unless ``start='random'``.

        Args:
            backbone (CLIPBackbone): CLIP with a text tower of the same width as the blocks.

        Raises:
            ValueError: If there is no CLIP, or the width, depth, number of heads or number of positions
                differs.
        """
        if self.start != 'clip_text':
            return
        if not hasattr(backbone, 'clip'):
            raise ValueError(
                "an adapter with start='clip_text' starts from CLIP's text tower, and "
                f"{type(backbone).__name__} has none (an attribute clip): give start='random'"
            )
        config, tower = backbone.clip.config.text_config, tower_blocks(backbone.clip, 'text')
        source = text_embeddings(backbone.clip)[1].weight
        if not fits(tower[0]):
            raise ValueError(
                f"the blocks of {type(backbone.clip).__name__}'s text tower are not like those of an adapter "
                "(pre-norm, as CLIP's), so it cannot start from them: give start='random'"
            )
        heads = self.layers[0].self_attn.num_heads if len(self.blocks) else 0
        sizes = dict(
            width=(self.positions.embedding_dim, config.hidden_size),
            num_layers=(len(self.blocks), min(len(self.blocks), config.num_hidden_layers)),
            num_heads=(heads, config.num_attention_heads if heads else 0),
            intermediate_size=(
                self.intermediate_size,
                config.intermediate_size if heads else self.intermediate_size,
            ),
            positions=(len(self.positions.weight), min(len(self.positions.weight), len(source))),
        )
        for name, (size, tower_size) in sizes.items():
            if size != tower_size:
                raise ValueError(
                    f"an adapter with {name}={size} cannot start from CLIP's text tower, "
                    f'which has {tower_size}: make them equal (max_frames gives the positions), or give '
                    "start='random'"
                )
        self.positions.weight.copy_(source[: len(self.positions.weight)])
        for block, tower_block in zip(self.layers, tower):
            block.load_state_dict(merge_lora(tower_block.state_dict()))
            block.mlp.activation_fn = copy.deepcopy(cast(Any, tower_block).mlp.activation_fn)

    def check_length(self, num_frames: int, others: int = 0) -> None:
        """Raise ValueError if there are not enough positions for the frames and ``others`` more inputs."""
        if num_frames + others > len(self.positions.weight):
            raise ValueError(
                f'a video of {num_frames} frames does not fit max_frames='
                f'{len(self.positions.weight) - others} of the adapter'
            )

    def forward(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """Add the positions and run the blocks, ignoring masked inputs.

        Args:
            inputs (Tensor): One sequence per video, (V, T, D).
            mask (Tensor): 1 for real inputs, 0 for padding, (V, T).

        Returns:
            Tensor: Outputs, (V, T, D). Those of padding are undefined.

        Raises:
            ValueError: If there are more frames than positions.
        """
        length = inputs.shape[1]
        self.check_length(length)
        hidden = inputs + self.positions.weight[:length]
        keys = mask.bool()[:, None, None, :].expand(-1, 1, length, -1)  # (V, 1, T, T)
        for block in self.blocks:
            hidden = run_block(block, hidden, keys)
        return hidden


def fits(block: nn.Module) -> bool:
    """Return whether a block of a text tower has the parts of a CLIP block, and so the same function."""
    parts = ('self_attn', 'layer_norm1', 'layer_norm2', 'mlp')
    return all(hasattr(block, part) for part in parts) and hasattr(block.mlp, 'activation_fn')


def run_block(block: nn.Module, hidden: Tensor, mask: Tensor | None) -> Tensor:
    """Run a block of CLIP on (B, T, W); transformers 4 wants a second mask, and returns a tuple."""
    return block(hidden, mask, None)[0] if HAS_CAUSAL_MASK else block(hidden, mask)
