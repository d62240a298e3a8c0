from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn
from transformers import GPT2Config, GPT2Model

from ..backbones import CLIPBackbone
from .generation import Generated, generate
from .generation_options import GenerationOptions, check_integer
from .language_model import CaptionLanguageModel


@MODELS.register_module()
class CaptionDecoder(BaseModule):
    """Predict a caption's next word from its words so far and the frames of the video.

    Pre-norm blocks of causal self-attention, cross-attention on the masked frames and
    a feed-forward layer, those of ``transformers``' GPT-2. CLIP4Clip's decoder is not
    public; default depth and tying are those of its relatives UniVL and CLIP4IDC. The frames
    are normed first, as the contrastive loss leaves their length free. They get no
    positions here: the adapter must have seen their order if captions are to tell of it.

    Args:
        backbone (CLIPBackbone): The model's CLIP, given by :class:`CLIP4ClipCaptioner`: its
            width D of frames, and what is tied.
        num_layers (int): Blocks, at least 1.
        width (int, optional): Width W of the blocks. None is that of CLIP's text tower.
        num_heads (int): Attention heads.
        dropout (float): After embedding, attention and feed-forward layers, and of attention weights.
        tie_embeddings (bool): Whether token embedding, both at input and output, and positions
            are those of CLIP's text tower, trained together and saved once, as CLIP's.
        vocab_size (int, optional): Words K that are told apart; those of the tokenizer if
            built by :class:`CLIP4ClipCaptioner`. None, with tied embeddings only, is CLIP's.
        max_positions (int, optional): The most tokens of a caption, start included, without
            tied embeddings. None is CLIP's.

    Raises:
        ValueError: If the arguments do not fit one another or CLIP.
    """

    def __init__(
        self,
        backbone: CLIPBackbone,
        num_layers: int = 3,
        width: int | None = None,
        num_heads: int = 8,
        dropout: float = 0.1,
        tie_embeddings: bool = True,
        vocab_size: int | None = None,
        max_positions: int | None = None,
    ) -> None:
        super().__init__()
        clip = backbone.clip.text_model.embeddings
        rows, clip_width = clip.token_embedding.weight.shape
        places = len(clip.position_embedding.weight)
        self.vocab_size = rows if vocab_size is None else vocab_size
        self.max_positions = places if max_positions is None else max_positions
        width = clip_width if width is None else width
        for name, value in dict(
            vocab_size=self.vocab_size,
            max_positions=self.max_positions,
            width=width,
            num_layers=num_layers,
            num_heads=num_heads,
        ).items():
            check_integer(f'{name} of CaptionDecoder', value, 1)
        sizes = dict(
            width=(width, clip_width),
            max_positions=(self.max_positions, places),
            vocab_size=(self.vocab_size, min(self.vocab_size, rows)),
        )
        for name, (size, embedded) in sizes.items() if tie_embeddings else ():
            if size != embedded:
                raise ValueError(
                    f"{name}={size} of CaptionDecoder does not fit the embeddings of CLIP's text tower, "
                    f'{rows} tokens and {places} positions of width {clip_width}, that it is tied to: '
                    'make them alike or give tie_embeddings=False'
                )
        if vocab_size is None and not tie_embeddings:
            raise ValueError('CaptionDecoder with tie_embeddings=False needs vocab_size')
        if width % num_heads:
            raise ValueError(f'num_heads={num_heads} of CaptionDecoder does not divide its width={width}')
        self.transformer = GPT2Model(
            GPT2Config(
                vocab_size=1 if tie_embeddings else self.vocab_size,
                n_embd=width,
                n_layer=num_layers,
                n_positions=1 if tie_embeddings else self.max_positions,
                n_head=num_heads,
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
        if tie_embeddings:
            self.transformer.add_module('wte', _Borrowed(clip.token_embedding))
            self.transformer.add_module('wpe', _Borrowed(clip.position_embedding))
        self.transformer.config.update(dict(vocab_size=self.vocab_size, n_positions=self.max_positions))
        self.frame_norm = nn.LayerNorm(backbone.width)
        self.frame_proj = nn.Identity() if backbone.width == width else nn.Linear(backbone.width, width)

    def borrowed_parameters(self) -> list[Tensor]:
        """Return the parameters that belong to CLIP, if embeddings are tied."""
        modules: list[nn.Module] = [self.transformer.wte, self.transformer.wpe]
        return [module.weight for module in modules if isinstance(module, _Borrowed)]

    def forward(self, tokens: Tensor, text_mask: Tensor, frames: Tensor, frame_mask: Tensor) -> Tensor:
        """Predict the token after each, given those up to it: what training needs.

        Args:
            tokens (Tensor): Token ids, start first, (N, L).
            text_mask (Tensor): 1 for real tokens, which come first, (N, L).
            frames (Tensor): Each caption's frames, as the adapter's ``contextualize`` left
                them, (N, T, D).
            frame_mask (Tensor): 1 for real frames, 0 for padding, (N, T).

        Returns:
            Tensor: Logits, (N, L, K). At padding they mean nothing.

        Raises:
            ValueError: If a caption is too long, or a token is none of the K.
        """
        if tokens.shape[1] > self.max_positions:
            raise ValueError(
                f'captions of {tokens.shape[1]} tokens do not fit the {self.max_positions} '
                'positions of CaptionDecoder: lower max_words of the transform that tokenizes'
            )
        if tokens.max() >= self.vocab_size:
            raise ValueError(
                f'token {tokens.max()} is none of the {self.vocab_size} of CaptionDecoder: the '
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
        """Write a caption for each video.

        Args:
            frames (Tensor): Frames as for :meth:`forward`, (B, T, D).
            frame_mask (Tensor): 1 for real frames, 0 for padding, (B, T).
            start (int): The token that captions start with.
            end (int): The token that ends a caption.
            options (GenerationOptions): How to generate.
            seeds (Sequence[int], optional): One a video, for sampling.

        Returns:
            Generated: A caption a row, see :func:`generate`.
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


class _Borrowed(nn.Module):
    """An embedding that belongs to another module: it neither moves nor is saved with this one."""

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        self._embedding: list[nn.Embedding] = [embedding]  # in a list, so that it is not registered here

    @property
    def weight(self) -> Tensor:
        return self._embedding[0].weight

    def forward(self, ids: Tensor) -> Tensor:
        return self._embedding[0](ids)
