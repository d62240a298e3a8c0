import math
from typing import Optional

import torch
from mmaction.registry import MODELS
from torch import Tensor, nn
from transformers import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPEncoderLayer

from ..backbones import CLIPBackbone
from .base import PooledAdapter


@MODELS.register_module()
class SeqTransformerAdapter(PooledAdapter):
    """Let a small transformer compare the frames of a video, then average them.

    The sequential similarity of CLIP4Clip (arXiv:2104.08860, section 3.3), the
    reference's ``seqTransf``: frame positions, pre-norm transformer blocks, and
    a residual from the input before the mean of :class:`MeanAdapter`.

    Args:
        width (int): Width D of the frame features.
        num_layers (int): Transformer blocks.
        num_heads (int, optional): Attention heads; one every 64 channels if None.
        max_frames (int): Frames that have a position.
        start (str): What blocks and positions start from: ``'clip_text'``, the
            lowest blocks and the positions of CLIP's text tower, as the
            reference does; or ``'random'``, for CLIPs trained from nothing:
            blocks of CLIP's own initialisation and sinusoidal positions.

    Raises:
        ValueError: If ``width`` does not divide into the heads, or ``start`` is unknown.
    """

    def __init__(self,
                 width: int = 512,
                 num_layers: int = 4,
                 num_heads: Optional[int] = None,
                 max_frames: int = 77,
                 start: str = 'clip_text') -> None:
        super().__init__()
        num_heads = num_heads or max(1, width // 64)
        if width % num_heads:
            raise ValueError(f'width={width} does not divide into num_heads={num_heads}')
        if start not in ('clip_text', 'random'):
            raise ValueError(f"start must be 'clip_text' or 'random', got {start!r}")
        # 1e-12: the reference's own norms, not CLIP's 1e-5.
        config = CLIPTextConfig(
            hidden_size=width, intermediate_size=4 * width, num_attention_heads=num_heads,
            num_hidden_layers=num_layers, layer_norm_eps=1e-12, attn_implementation='sdpa')
        self.start = start
        self.positions = nn.Embedding(max_frames, width)
        self.blocks = nn.ModuleList(CLIPEncoderLayer(config) for _ in range(num_layers))
        self._draw()

    def init_weights(self) -> None:
        """Keep the weights: they were drawn or copied at construction."""

    @torch.no_grad()
    def _draw(self) -> None:
        """Draw blocks as OpenAI's CLIP does, and set sinusoidal positions."""
        max_frames, width = self.positions.weight.shape
        for block in self.blocks:
            narrow = width**-0.5 * (2 * len(self.blocks))**-0.5
            attention, mlp = block.self_attn, block.mlp
            for layer in (attention.q_proj, attention.k_proj, attention.v_proj):
                nn.init.normal_(layer.weight, std=width**-0.5)
            for layer in (attention.out_proj, mlp.fc2):
                nn.init.normal_(layer.weight, std=narrow)
            nn.init.normal_(mlp.fc1.weight, std=(2 * width)**-0.5)
            for layer in (*attention.children(), *(mlp.fc1, mlp.fc2)):
                nn.init.zeros_(layer.bias)
        time = torch.arange(max_frames)[:, None]
        rate = torch.exp(-math.log(10000) * torch.arange(0, width, 2) / width)
        self.positions.weight[:, 0::2] = torch.sin(time * rate)
        self.positions.weight[:, 1::2] = torch.cos(time * rate)[:, :width // 2]

    @torch.no_grad()
    def start_from(self, backbone: CLIPBackbone) -> None:
        """Copy the lowest blocks and the positions of CLIP's text tower.

        Args:
            backbone (CLIPBackbone): CLIP whose text tower is as wide as this adapter.

        Raises:
            ValueError: If width, depth, heads or number of positions do not fit.
        """
        if self.start != 'clip_text':
            return
        text = backbone.clip.text_model
        source, config = text.embeddings.position_embedding.weight, text.config
        heads = self.blocks[0].self_attn.num_heads if len(self.blocks) else 0
        fits = dict(
            width=(self.positions.embedding_dim, config.hidden_size),
            num_layers=(len(self.blocks), min(len(self.blocks), config.num_hidden_layers)),
            num_heads=(heads, config.num_attention_heads if heads else 0),
            max_frames=(len(self.positions.weight), min(len(self.positions.weight), len(source))))
        for name, (ours, theirs) in fits.items():
            if ours != theirs:
                raise ValueError(
                    f"SeqTransformerAdapter with {name}={ours} cannot start from CLIP's text tower, "
                    f"which has {theirs}: give {name}={theirs}, or start='random'")
        self.positions.weight.copy_(source[:len(self.positions.weight)])
        for ours, theirs in zip(self.blocks, text.encoder.layers):
            ours.load_state_dict(theirs.state_dict())

    def contextualise(self, frames: Tensor, frame_mask: Tensor) -> Tensor:
        """Add to each frame (V, T, D) what the blocks make of the whole sequence.

        Raises:
            ValueError: If there are more frames than positions.
        """
        num_frames = frames.shape[1]
        if num_frames > len(self.positions.weight):
            raise ValueError(f'a video of {num_frames} frames does not fit max_frames='
                             f'{len(self.positions.weight)} of SeqTransformerAdapter')
        hidden = frames + self.positions.weight[:num_frames]
        keys = frame_mask.bool()[:, None, None, :].expand(-1, 1, num_frames, -1)  # (V, 1, T, T)
        for block in self.blocks:
            hidden = block(hidden, keys)
        return frames + hidden
