import math

import torch
from mmaction.registry import MODELS
from torch import Tensor

from ..tokenizers.loading import load_decoder_tokenizer, spell_caption
from .decoders.generation_options import read_options, seed_of
from .retriever import CLIP4ClipRetriever, Inputs, Samples


@MODELS.register_module()
class CLIP4ClipCaptioner(CLIP4ClipRetriever):
    """CLIP4Clip that also writes captions: a decoder reads the frames after the adapter.

    The loss is that of the captions plus that of retrieval. It trains from nothing or from a retrieval
    checkpoint (``load_from``), and its own checkpoint serves the tests of both: a config of
    :class:`CLIP4ClipRetriever` leaves the decoder out.

    Args:
        backbone (dict): As for :class:`CLIP4ClipRetriever`.
        adapter (dict): Likewise.
        decoder (dict): Config of :class:`CaptionDecoder`, which is also given the backbone
            and the size of the tokenizer's vocabulary.
        tokenizer (str): The tokenizer of the captions that the decoder learns: name on the
            Hugging Face hub, or a local folder. If it is not CLIP's, the pipelines need
            :class:`TokenizeTargets` with it.
        caption_loss (dict): Config of :class:`CaptionCrossEntropy`.
        retrieval_weight (float): Factor on the retrieval loss. With 0 it is not computed, and
            what only retrieval uses does not train: CLIP's text tower, but for
            embeddings that the decoder is tied to, and the part of the adapter that pools or compares.
        freeze_encoder (bool): Whether only the decoder trains. Embeddings that it is tied to
            belong to CLIP and stay as they are.
        generation (dict, optional): ``method``, ``'beam'`` by default, ``'greedy'`` or
            ``'sample'``, and its options, see :class:`GenerationOptions`. ``max_new_tokens`` is 30 unless
            given, or what the decoder has positions for. Sampling takes ``seed``, 0 by default,
            which together with a video's id determines its caption.
        **kwargs: As for :class:`CLIP4ClipRetriever`.

    Raises:
        ValueError: If the arguments do not fit one another, or the vocabulary the decoder.
        OSError: If the tokenizer cannot be loaded.
    """

    def __init__(
        self,
        backbone: dict,
        adapter: dict,
        decoder: dict = dict(type='CaptionDecoder'),
        tokenizer: str = 'openai/clip-vit-base-patch32',
        caption_loss: dict = dict(type='CaptionCrossEntropy'),
        retrieval_weight: float = 1.0,
        freeze_encoder: bool = False,
        generation: dict | None = None,
        **kwargs,
    ) -> None:
        if not isinstance(retrieval_weight, (int, float)) or not 0 <= retrieval_weight < math.inf:
            raise ValueError(
                f'retrieval_weight must be a finite number and not negative, got {retrieval_weight!r}'
            )
        if freeze_encoder and retrieval_weight:
            raise ValueError(
                'freeze_encoder=True leaves nothing for the retrieval loss to train: it needs '
                f'retrieval_weight=0, got {retrieval_weight}'
            )
        super().__init__(backbone, adapter, **kwargs)
        self.tokenizer, self.start, self.end = load_decoder_tokenizer(tokenizer)
        words = 1 + max(self.tokenizer.get_vocab().values())  # there may be ids without a token
        self.decoder = MODELS.build(decoder, default_args=dict(backbone=self.backbone, vocab_size=words))
        if self.decoder.vocab_size != words:
            raise ValueError(
                f'tokenizer={tokenizer!r} has {words} token ids, and the decoder tells '
                f'vocab_size={self.decoder.vocab_size} apart: leave vocab_size out'
            )
        self.caption_loss = MODELS.build(caption_loss)
        self.retrieval_weight, self.freeze_encoder = retrieval_weight, freeze_encoder
        self.generation = read_options(generation, self.decoder.vocab_size, self.decoder.max_positions)
        self._freeze()

    def _freeze(self) -> None:
        """Mark what gets no gradient as not trained: DDP wants no unused parameters."""
        if self.retrieval_weight:
            return
        clip, decoder_reads = self.backbone.clip, set(self.adapter.context_parameters())
        if not self.freeze_encoder:
            decoder_reads |= {
                *clip.vision_model.parameters(),
                *clip.visual_projection.parameters(),
                *self.decoder.borrowed_parameters(),
            }
        for module in (self.backbone, self.adapter):
            for parameter in module.parameters():
                if self.freeze_encoder or parameter not in decoder_reads:
                    parameter.requires_grad = False

    def train(self, mode: bool = True) -> 'CLIP4ClipCaptioner':
        """Switch to training or back; a frozen encoder stays in evaluation."""
        super().train(mode)
        if self.freeze_encoder:
            self.backbone.eval()
            self.adapter.eval()
        return self

    def loss(self, inputs: Inputs) -> dict[str, Tensor]:
        """Add the weighted losses of retrieval, if any, to that of the captions; videos are encoded once.

        Args:
            inputs (dict[str, Tensor]): As for :meth:`forward`; ``caption_tokens`` and ``caption_mask``
                (N, L) are what the decoder learns to write, else ``tokens`` and ``text_mask``.

        Returns:
            dict[str, Tensor]: ``loss_caption`` and what :class:`CLIP4ClipRetriever` returns.

        Raises:
            ValueError: If captions are another tokenizer's than the model's.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze_encoder):
            frames = self.encode_frames(inputs['frames'], inputs['frame_mask'])
        losses = self.decoder_loss(frames, inputs)
        if self.retrieval_weight:
            retrieval = self.contrast(
                *self.extract(inputs, frames), inputs['video_index'], inputs['video_key']
            )
            for name, value in retrieval.items():
                # mmengine sums what has loss in its name
                losses[name] = self.retrieval_weight * value if 'loss' in name else value
        return losses

    def predict(self, inputs: Inputs, data_samples: Samples) -> Samples:
        """Give each data sample also ``generated`` (str) and ``generated_score`` (float).

        Args:
            inputs (dict[str, Tensor]): As for :meth:`forward`.
            data_samples (list[BaseDataElement]): One a video.
        """
        frames = self.encode_frames(inputs['frames'], inputs['frame_mask'])
        self.add_features(*self.extract(inputs, frames), inputs['video_index'], data_samples)
        generated = self.generate(frames, inputs['frame_mask'], inputs.get('id_number', inputs['video_key']))
        for item, caption, score in zip(data_samples, *generated):
            item.set_field(caption, 'generated')
            item.set_field(score, 'generated_score')
        return data_samples

    def decoder_loss(self, frames: Tensor, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Compare what the decoder would write with the captions.

        Args:
            frames (Tensor): Frames as the adapter's ``contextualize`` left them, (V, T, D).
            inputs (dict[str, Tensor]): As for :meth:`forward`.

        Returns:
            dict[str, Tensor]: ``loss_caption``.

        Raises:
            ValueError: If captions start with another token than the model's; :class:`PreprocessingCheckHook`
                compares all words before training.
        """
        keys = ('caption_tokens', 'caption_mask') if 'caption_tokens' in inputs else ('tokens', 'text_mask')
        tokens, mask = (inputs[key] for key in keys)
        other_starts = tokens[:, 0][tokens[:, 0] != self.start]
        if len(other_starts):
            raise ValueError(
                f"captions start with token {int(other_starts[0])}, those of the model's tokenizer="
                f'{self.tokenizer.name_or_path!r} with {self.start}: give the pipeline '
                "dict(type='TokenizeTargets', tokenizer=...) with the same one"
            )
        video_index = inputs['video_index']
        logits = self.decoder(tokens, mask, frames[video_index], inputs['frame_mask'][video_index])
        return self.caption_loss(logits, tokens, mask)

    @torch.no_grad()
    def generate(
        self, frames: Tensor, frame_mask: Tensor, video_key: Tensor | None = None
    ) -> tuple[list[str], list[float]]:
        """Generate a caption for each video, by the options of ``generation``.

        Args:
            frames (Tensor): Frames as the adapter's ``contextualize`` left them, (V, T, D).
            frame_mask (Tensor): 1 for real frames, 0 for padding, (V, T).
            video_key (Tensor, optional): A number a video, (V,); sampling needs it, and draws by it. Made of
                the id alone, so that captions do not change with the folder of the videos.

        Returns:
            tuple[list[str], list[float]]: Captions, and their scores, see :class:`Generated`.

        Raises:
            ValueError: If sampling gets no ``video_key``.
        """
        seeds = None
        if self.generation.method == 'sample':
            if video_key is None:
                raise ValueError('sampling needs video_key, a number a video (V,), got None')
            seeds = [seed_of(self.generation.seed, number) for number in video_key.tolist()]
        tokens, lengths, scores = self.decoder.generate(
            frames, frame_mask, self.start, self.end, self.generation, seeds
        )
        captions = [
            spell_caption(self.tokenizer, ids[:length])
            for ids, length in zip(tokens.tolist(), lengths.tolist())
        ]
        return captions, scores.tolist()
