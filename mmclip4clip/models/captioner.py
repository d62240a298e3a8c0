import math

import torch
from mmaction.registry import MODELS
from torch import Tensor

from ..tokenizers.caption_text import decode_caption
from ..tokenizers.loading import load_decoder_tokenizer
from .decoders.generation_options import derive_seed, read_options
from .retriever import CLIP4ClipRetriever, Inputs, Samples


@MODELS.register_module()
class CLIP4ClipCaptioner(CLIP4ClipRetriever):
    """CLIP4Clip with a caption decoder, for retrieval and video captioning.

    The decoder reads the frame features after the adapter has related them. The loss is the sum of the
    caption loss and the weighted retrieval loss. Training starts from scratch or from a retrieval checkpoint
    (``load_from``). A config of :class:`CLIP4ClipRetriever` can load a captioner's checkpoint, without the
    decoder.

    Args:
        backbone (dict): See :class:`CLIP4ClipRetriever`.
        adapter (dict): See :class:`CLIP4ClipRetriever`.
        decoder (dict): Config of :class:`CaptionDecoder`, which also gets the backbone and the size of the
            tokenizer's vocabulary.
        tokenizer (str): Tokenizer of the decoder's captions: a name on the Hugging Face hub, or a local
            folder. If it is not CLIP's, the pipelines need :class:`TokenizeTargets` with it.
        caption_loss (dict): Config of :class:`CaptionCrossEntropy`.
        retrieval_weight (float): Factor on the retrieval loss. With 0 it is not computed, and the modules
            that only retrieval uses are frozen: CLIP's text tower, except embeddings that the decoder
            shares, and the part of the adapter that pools or compares.
        freeze_encoder (bool): Whether to train the decoder only. Embeddings that it shares with CLIP are
            frozen too.
        generation (dict, optional): ``method``, one of ``'beam'`` (default), ``'greedy'`` and ``'sample'``,
            and its options, see :class:`GenerationOptions`. ``max_new_tokens`` defaults to 30 or the number
            of the decoder's positions, whichever is less. With sampling, ``seed`` (0 by default) and the id
            of a video determine its caption.
        **kwargs: See :class:`CLIP4ClipRetriever`.

    Raises:
        ValueError: If arguments contradict each other, or the vocabulary does not fit the decoder.
        OSError: If the tokenizer cannot be loaded.

    Examples:
        >>> import torch
        >>> from tempfile import TemporaryDirectory
        >>> from mmaction.registry import MODELS
        >>> from mmclip4clip.tokenizers import train_tokenizer
        >>> folder = TemporaryDirectory()
        >>> vocab_size = len(train_tokenizer(['a dog runs'], folder.name))
        >>> tower = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)
        >>> clip = dict(
        ...     text_config=dict(tower, vocab_size=vocab_size),
        ...     vision_config=dict(tower, image_size=32, patch_size=16),
        ...     projection_dim=16,
        ... )
        >>> model = MODELS.build(dict(
        ...     type='CLIP4ClipCaptioner',
        ...     backbone=dict(type='CLIPBackbone', config=clip),
        ...     adapter=dict(type='MeanAdapter'),
        ...     decoder=dict(type='CaptionDecoder', num_layers=1),
        ...     tokenizer=folder.name,
        ...     generation=dict(method='greedy', max_new_tokens=5),
        ... ))
        >>> mask = torch.ones(2, 3)
        >>> frames = model.encode_frames(torch.rand(2, 3, 3, 32, 32), mask)
        >>> captions, scores = model.generate(frames, mask)
        >>> len(captions)
        2
        >>> folder.cleanup()
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
        vocab_size = 1 + max(self.tokenizer.get_vocab().values())  # some ids may have no token
        self.decoder = MODELS.build(decoder, default_args=dict(backbone=self.backbone, vocab_size=vocab_size))
        if self.decoder.vocab_size != vocab_size:
            raise ValueError(
                f'tokenizer={tokenizer!r} has {vocab_size} token ids, and the decoder has '
                f'vocab_size={self.decoder.vocab_size}: leave vocab_size out'
            )
        self.caption_loss = MODELS.build(caption_loss)
        self.retrieval_weight, self.freeze_encoder = retrieval_weight, freeze_encoder
        self.generation = read_options(generation, self.decoder.vocab_size, self.decoder.max_positions)
        self._freeze()

    def _freeze(self) -> None:
        """Freeze parameters that would get no gradient, for which DDP fails."""
        if self.retrieval_weight:
            return
        trained = set(self.adapter.context_parameters())
        if not self.freeze_encoder:
            trained |= {*self.backbone.frame_parameters(), *self.decoder.tied_parameters()}
        for module in (self.backbone, self.adapter):
            for parameter in module.parameters():
                if self.freeze_encoder or parameter not in trained:
                    parameter.requires_grad = False

    def train(self, mode: bool = True) -> 'CLIP4ClipCaptioner':
        """Set the training mode; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self.freeze_encoder:
            self.backbone.eval()
            self.adapter.eval()
        return self

    def loss(self, inputs: Inputs) -> dict[str, Tensor]:
        """Compute the caption loss and the weighted retrieval losses; videos are encoded once.

        Args:
            inputs (dict[str, Tensor]): See :meth:`forward`. The targets of the decoder are
                ``caption_tokens`` and ``caption_mask`` (N, L), or ``tokens`` and ``text_mask`` without them.

        Returns:
            dict[str, Tensor]: ``loss_caption`` and the losses of :class:`CLIP4ClipRetriever`.

        Raises:
            ValueError: If captions were tokenized by another tokenizer than the model's.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze_encoder):
            frames = self.encode_frames(inputs['frames'], inputs['frame_mask'])
        losses = self.decoder_loss(frames, inputs)
        if self.retrieval_weight:
            retrieval = self.contrast(
                *self.extract(inputs, frames), inputs['video_index'], inputs['video_key']
            )
            for name, value in retrieval.items():
                # mmengine sums all values with loss in their name
                losses[name] = self.retrieval_weight * value if 'loss' in name else value
        return losses

    def predict(self, inputs: Inputs, data_samples: Samples) -> Samples:
        """Add features, ``generated`` (str) and ``generated_score`` (float) to each data sample.

        Args:
            inputs (dict[str, Tensor]): See :meth:`forward`.
            data_samples (list[BaseDataElement]): One per video.
        """
        frames = self.encode_frames(inputs['frames'], inputs['frame_mask'])
        self.add_features(*self.extract(inputs, frames), inputs['video_index'], data_samples)
        generated = self.generate(frames, inputs['frame_mask'], inputs.get('id_number', inputs['video_key']))
        for item, caption, score in zip(data_samples, *generated):
            item.set_field(caption, 'generated')
            item.set_field(score, 'generated_score')
        return data_samples

    def decoder_loss(self, frames: Tensor, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Compute the loss of the decoder for the captions of a batch.

        Args:
            frames (Tensor): Output of the adapter's ``contextualize``, (V, T, D).
            inputs (dict[str, Tensor]): See :meth:`forward`.

        Returns:
            dict[str, Tensor]: ``loss_caption``.

        Raises:
            ValueError: If the start token of a caption is not the model's. :class:`PreprocessingCheckHook`
                compares the whole vocabularies before training.
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
        """Generate a caption for each video with the options of ``generation``.

        Args:
            frames (Tensor): Output of the adapter's ``contextualize``, (V, T, D).
            frame_mask (Tensor): 1 for real frames, 0 for padding, (V, T).
            video_key (Tensor, optional): A number per video, (V,), needed for sampling, where it seeds the
                draws. Computed from the video id, so that captions do not depend on the folder of the videos.

        Returns:
            tuple[list[str], list[float]]: The captions and their scores, see :class:`Generated`.

        Raises:
            ValueError: If ``video_key`` is missing with sampling.
        """
        seeds = None
        if self.generation.method == 'sample':
            if video_key is None:
                raise ValueError('sampling needs video_key, one number per video (V,), got None')
            seeds = [derive_seed(self.generation.seed, number) for number in video_key.tolist()]
        tokens, lengths, scores = self.decoder.generate(
            frames, frame_mask, self.start, self.end, self.generation, seeds
        )
        captions = [
            decode_caption(self.tokenizer, ids[:length])
            for ids, length in zip(tokens.tolist(), lengths.tolist())
        ]
        return captions, scores.tolist()
