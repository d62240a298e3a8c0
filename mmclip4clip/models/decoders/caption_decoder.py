from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn
from transformers import GPT2Config, GPT2Model

from ..backbones import BaseBackbone, towers
from .generation import Generated, generate
from .generation_options import GenerationOptions, check_integer
from .language_model import CaptionLanguageModel


@MODELS.register_module()
class CaptionDecoder(BaseModule):
    """Transformer decoder that predicts the next token of a caption from the frames of the video.

    The pre-norm blocks are those of GPT-2 in ``transformers``: causal self-attention, cross-attention to the
    frames and a feed-forward layer. CLIP4Clip's decoder is not public; the default depth and the tied
    embeddings follow the related UniVL and CLIP4IDC. A layer norm is applied to the frames first, because
    the contrastive loss does not constrain their length. The decoder adds no frame positions, so
    only the adapter can encode the order of frames.

    Args:
        backbone (BaseBackbone): The model's backbone, set by :class:`CLIP4ClipCaptioner`. It has the width D
            of the frames and, if it is CLIP, the shared embeddings.
        num_layers (int): Number of blocks, at least 1.
        width (int, optional): Width W of the blocks. Defaults to the width of CLIP's text tower, or D.
        num_heads (int): Number of attention heads.
        dropout (float): Dropout of the embeddings, the attention weights, and the outputs of attention
            and feed-forward layers.
        tie_embeddings (bool): Whether to share the token embedding, for input and output, and the position
            embedding with CLIP's text tower. They are trained together and saved once, with CLIP.
        vocab_size (int, optional): Size K of the vocabulary, set by :class:`CLIP4ClipCaptioner` to that of
            the tokenizer. Defaults to CLIP's, with tied embeddings only.
        max_positions (int, optional): Maximum number of tokens of a caption, including the start token.
            Defaults to CLIP's, which is the only choice with tied embeddings.

    Raises:
        ValueError: If arguments contradict each other or CLIP.

    Examples:
        >>> import torch
        >>> from mmclip4clip.models import CLIPBackbone
        >>> tower = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)
        >>> clip = dict(
        ...     text_config=dict(tower, vocab_size=99),
        ...     vision_config=dict(tower, image_size=32, patch_size=16),
        ...     projection_dim=16,
        ... )
        >>> decoder = CaptionDecoder(CLIPBackbone(config=clip), num_layers=1)
        >>> tokens = torch.tensor([[97, 5, 6, 98]])
        >>> decoder(tokens, torch.ones(1, 4), torch.rand(1, 3, 16), torch.ones(1, 3)).shape
        torch.Size([1, 4, 99])
    """

    def __init__(
        self,
        backbone: BaseBackbone,
        num_layers: int = 3,
        width: int | None = None,
        num_heads: int = 8,
        dropout: float = 0.1,
        tie_embeddings: bool = True,
        vocab_size: int | None = None,
        max_positions: int | None = None,
    ) -> None:
        super().__init__()
        shared, tied = text_embeddings(backbone, tie_embeddings)
        if vocab_size is None and not tie_embeddings:
            raise ValueError('CaptionDecoder with tie_embeddings=False needs vocab_size')
        self.vocab_size = tied['vocab_size'] if vocab_size is None else vocab_size
        self.max_positions = tied['max_positions'] if max_positions is None else max_positions
        width = tied['width'] if width is None else width
        sizes = dict(vocab_size=self.vocab_size, max_positions=self.max_positions, width=width)
        for name, value in dict(sizes, num_layers=num_layers, num_heads=num_heads).items():
            check_integer(f'{name} of CaptionDecoder', value, 1)
        if tie_embeddings:
            check_tied_sizes(sizes, tied)
        if width % num_heads:
            raise ValueError(f'num_heads={num_heads} of CaptionDecoder does not divide its width={width}')
        self.transformer = build_gpt2(
            vocab_size=1 if tie_embeddings else self.vocab_size,
            n_embd=width,
            n_layer=num_layers,
            n_positions=1 if tie_embeddings else self.max_positions,
            n_head=num_heads,
            dropout=dropout,
        )
        if tie_embeddings:
            self.transformer.add_module('wte', _SharedEmbedding(shared[0]))
            self.transformer.add_module('wpe', _SharedEmbedding(shared[1]))
        self.transformer.config.update(dict(vocab_size=self.vocab_size, n_positions=self.max_positions))
        self.frame_norm = nn.LayerNorm(backbone.width)
        self.frame_proj = nn.Identity() if backbone.width == width else nn.Linear(backbone.width, width)

    def tied_parameters(self) -> list[Tensor]:
        """Return the embeddings that are shared with CLIP, if any."""
        modules: list[nn.Module] = [self.transformer.wte, self.transformer.wpe]
        return [module.weight for module in modules if isinstance(module, _SharedEmbedding)]

    def forward(self, tokens: Tensor, text_mask: Tensor, frames: Tensor, frame_mask: Tensor) -> Tensor:
        """Predict the next token at each position of captions, for training.

        Args:
            tokens (Tensor): Token ids, beginning with the start token, (N, L).
            text_mask (Tensor): 1 for real tokens, which come first, (N, L).
            frames (Tensor): Frames of each caption's video, the output of the adapter's ``contextualize``,
                (N, T, D).
            frame_mask (Tensor): 1 for real frames, 0 for padding, (N, T).

        Returns:
            Tensor: Logits, (N, L, K). Those of padding are undefined.

        Raises:
            ValueError: If a caption is too long, or a token id is not in the vocabulary.
        """
        if tokens.shape[1] > self.max_positions:
            raise ValueError(
                f'captions of {tokens.shape[1]} tokens do not fit the {self.max_positions} '
                'positions of CaptionDecoder: lower max_words of the transform that tokenizes'
            )
        if tokens.max() >= self.vocab_size:
            raise ValueError(
                f'token {tokens.max()} is not one of the {self.vocab_size} tokens of CaptionDecoder: the '
                "dataset's tokenizer is not the model's"
            )
        hidden = self.transformer(
            input_ids=tokens,
            attention_mask=text_mask,
            encoder_hidden_states=self._project(frames),
            encoder_attention_mask=frame_mask,
        ).last_hidden_state
        return F.linear(hidden, self._words)

    def generate(
        self,
        frames: Tensor,
        frame_mask: Tensor,
        start: int,
        end: int,
        options: GenerationOptions,
        seeds: Sequence[int] | None = None,
    ) -> Generated:
        """Generate a caption for each video.

        Args:
            frames (Tensor): Frames as for :meth:`forward`, (B, T, D).
            frame_mask (Tensor): 1 for real frames, 0 for padding, (B, T).
            start (int): The token that captions start with.
            end (int): The token that ends a caption.
            options (GenerationOptions): Options of the generation.
            seeds (Sequence[int], optional): One per video, for sampling.

        Returns:
            Generated: One caption per row, see :func:`generate`.
        """
        model = CaptionLanguageModel(self.transformer, self._words)
        inputs = dict(frames=self._project(frames), frame_mask=frame_mask)
        first = torch.full((len(frames),), start, device=frames.device)
        return generate(model, inputs, first, end, options, seeds)

    def _project(self, frames: Tensor) -> Tensor:
        return self.frame_proj(self.frame_norm(frames))

    @property
    def _words(self) -> Tensor:
        return self.transformer.wte.weight[: self.vocab_size]


def text_embeddings(backbone: BaseBackbone, needed: bool) -> tuple[Any, dict[str, int]]:
    """Return the embeddings of CLIP's text tower, and their sizes.

    Args:
        backbone (BaseBackbone): The model's backbone.
        needed (bool): Whether a decoder shares them.

    Returns:
        tuple[tuple[nn.Embedding, nn.Embedding] | None, dict[str, int]]: The embeddings of tokens and
        positions, and their sizes. None without CLIP, then the sizes are defaults of a decoder.

    Raises:
        ValueError: If they are needed, and the backbone is not CLIP.
    """
    if hasattr(backbone, 'clip'):
        embeddings = towers.text_embeddings(backbone.clip)
        rows, width = embeddings[0].weight.shape
        return embeddings, dict(vocab_size=rows, max_positions=len(embeddings[1].weight), width=width)
    if needed:
        raise ValueError(
            "CaptionDecoder shares the embeddings of CLIP's text tower, and "
            f'{type(backbone).__name__} has none (an attribute clip): give tie_embeddings=False'
        )
    return None, dict(max_positions=77, width=backbone.width)


def check_tied_sizes(sizes: dict[str, int], tied: dict[str, int]) -> None:
    """Check that a decoder fits the embeddings of CLIP's text tower that it is tied to.

    Args:
        sizes (dict[str, int]): ``vocab_size``, ``max_positions`` and ``width`` of the decoder.
        tied (dict[str, int]): The same of the text tower.

    Raises:
        ValueError: If a size differs. A smaller vocabulary fits.
    """
    for name, size in sizes.items():
        if size > tied[name] or (size < tied[name] and name != 'vocab_size'):
            raise ValueError(
                f"{name}={size} of CaptionDecoder does not fit the embeddings of CLIP's text tower that it "
                f'is tied to, {tied["vocab_size"]} tokens and {tied["max_positions"]} positions of width '
                f'{tied["width"]}: make them equal or set tie_embeddings=False'
            )


def build_gpt2(dropout: float, **sizes: Any) -> GPT2Model:
    """Build GPT-2's blocks with cross-attention, one dropout rate everywhere, and no special tokens."""
    return GPT2Model(
        GPT2Config(
            **sizes,
            add_cross_attention=True,
            embd_pdrop=dropout,
            attn_pdrop=dropout,
            resid_pdrop=dropout,
            bos_token_id=None,
            eos_token_id=None,
            use_cache=False,
            **dict[str, Any](attn_implementation='sdpa'),
        )
    )


class _SharedEmbedding(nn.Module):
    """An embedding of another module, which is neither moved nor saved with this one."""

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        self._embedding: list[nn.Embedding] = [embedding]  # in a list, so that it is not registered here

    @property
    def weight(self) -> Tensor:
        return self._embedding[0].weight

    def forward(self, ids: Tensor) -> Tensor:
        return self._embedding[0](ids)
