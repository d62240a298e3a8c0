"""The caption decoder as a language model of transformers."""

from torch import Tensor, nn
from transformers import Cache, GenerationMixin, GPT2Model, GPT2PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithCrossAttentions


class CaptionLanguageModel(GPT2PreTrainedModel, GenerationMixin):
    """Lend a decoder's weights to ``generate``. It is made for one call, and holds nothing of its own.

    Args:
        transformer (GPT2Model): Blocks with cross-attention, with ``vocab_size`` and ``n_positions`` in
            their config.
        words (Tensor): The output embedding, (K, W).
    """

    def __init__(self, transformer: GPT2Model, words: Tensor) -> None:
        super().__init__(transformer.config)
        self.transformer = transformer
        self.words = [words]  # in a list, so that it is not registered here

    def forward(
        self,
        input_ids: Tensor,
        frames: Tensor,
        frame_mask: Tensor,
        past_key_values: Cache | None = None,
        attention_mask: Tensor | None = None,
        use_cache: bool = True,
        return_dict: bool = True,
    ) -> CausalLMOutputWithCrossAttentions:
        """Continue captions.

        Args:
            input_ids (Tensor): Tokens that are not in the cache, (B, L).
            frames (Tensor): Frames as the blocks read them, (B, T, W).
            frame_mask (Tensor): 1 for real frames, 0 for padding, (B, T).
            past_key_values (Cache, optional): What blocks keep of earlier tokens, and of frames.
            attention_mask (Tensor, optional): 1 for tokens, 0 for padding, (B, L + cached).
            use_cache (bool): Whether to keep it.
            return_dict (bool): Always; ``generate`` says so.

        Returns:
            CausalLMOutputWithCrossAttentions: Logits after the last token alone, (B, 1, K), and the cache.
        """
        out = self.transformer(
            input_ids=input_ids,
            attention_mask=attention_mask,
            encoder_hidden_states=frames,
            encoder_attention_mask=frame_mask,
            past_key_values=past_key_values,
            use_cache=use_cache,
        )
        return CausalLMOutputWithCrossAttentions(
            logits=nn.functional.linear(out.last_hidden_state[:, -1:], self.words[0]),
            past_key_values=out.past_key_values,
        )
