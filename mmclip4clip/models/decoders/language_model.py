"""Adapter of the caption decoder to the language-model interface of transformers."""

from inspect import signature

from torch import Tensor, nn
from transformers import Cache, GenerationConfig, GenerationMixin, GPT2Model, GPT2PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithCrossAttentions

# The name of the cache in GPT-2 and in generate.
CACHE = 'cache' if 'cache' in signature(GPT2Model.forward).parameters else 'past_key_values'


class CaptionLanguageModel(GPT2PreTrainedModel, GenerationMixin):
    """A decoder in the form that ``generate`` of transformers needs.

    It is created for each call and has no parameters besides the decoder's.

    Args:
        transformer (GPT2Model): Blocks with cross-attention; their config has ``vocab_size`` and
            ``n_positions``.
        words (Tensor): Output embedding, (K, W).

    Examples:
        >>> import torch
        >>> from transformers import GPT2Config
        >>> config = GPT2Config(
        ...     vocab_size=12, n_positions=16, n_embd=8, n_layer=1, n_head=1, add_cross_attention=True)
        >>> transformer = GPT2Model(config)
        >>> model = CaptionLanguageModel(transformer, transformer.wte.weight)
        >>> frames, frame_mask = torch.rand(1, 3, 8), torch.ones(1, 3)
        >>> model(torch.tensor([[0, 5]]), frames, frame_mask).logits.shape
        torch.Size([1, 1, 12])
    """

    def __init__(self, transformer: GPT2Model, words: Tensor) -> None:
        super().__init__(transformer.config)
        # Otherwise transformers 4 takes use_cache=False, which is for training, from the decoder's config.
        self.generation_config = GenerationConfig()
        self.transformer = transformer
        self.words = [words]  # in a list, so that it is not registered here

    def forward(
        self,
        input_ids: Tensor,
        frames: Tensor,
        frame_mask: Tensor,
        cache: Cache | None = None,
        past_key_values: Cache | None = None,
        attention_mask: Tensor | None = None,
        use_cache: bool = True,
        return_dict: bool = True,
        cache_position: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
    ) -> CausalLMOutputWithCrossAttentions:
        """Compute the logits of the next token of captions.

        Args:
            input_ids (Tensor): Tokens that are not in the cache yet, (B, L).
            frames (Tensor): Projected frames, (B, T, W).
            frame_mask (Tensor): 1 for real frames, 0 for padding, (B, T).
            cache (Cache, optional): Keys and values of earlier tokens and of the frames.
            past_key_values (Cache, optional): The name of ``cache`` in transformers before 5.24.
            attention_mask (Tensor, optional): 1 for tokens, 0 for padding, (B, L + cached).
            use_cache (bool): Whether to return the cache.
            return_dict (bool): Not used; ``generate`` always sets it to true.
            cache_position (Tensor, optional): Not used; some versions of ``generate`` give it.
            inputs_embeds (Tensor, optional): Not used; some versions of ``generate`` give it.

        Returns:
            CausalLMOutputWithCrossAttentions: Logits after the last token, (B, 1, K), and the cache.
        """
        out = self.transformer(
            input_ids=input_ids,
            attention_mask=attention_mask,
            encoder_hidden_states=frames,
            encoder_attention_mask=frame_mask,
            use_cache=use_cache,
            **{CACHE: past_key_values if cache is None else cache},
        )
        return CausalLMOutputWithCrossAttentions(
            logits=nn.functional.linear(out.last_hidden_state[:, -1:], self.words[0]),
            **{CACHE: getattr(out, CACHE)},
        )
