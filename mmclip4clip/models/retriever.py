import math
from collections.abc import Mapping

import torch
from mmaction.registry import MODELS
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor

from .adapters.adapter_sizes import adapter_with_sizes
from .backbones.base import check_backbone, check_output
from .batch_contrast import check_loss, contrast_batch
from .data_preprocessor import VideoCaptionPreprocessor
from .features import BARE, Features, as_features, split_features, take_features, vectors
from .micro_batches import CAPTIONS, check_micro_batch_size, encode_in_micro_batches
from .weight_check import compare_shared, is_sharded

Inputs = dict[str, Tensor]
Samples = list[BaseDataElement]
MAX_LOGIT_SCALE = 100.0  # CLIP's bound, arXiv:2103.00020, section 2.5


@MODELS.register_module()
class CLIP4ClipRetriever(BaseModel):
    """CLIP4Clip for video-text retrieval: CLIP and an adapter that compares its features.

    Args:
        backbone (dict): Config of :class:`CLIPBackbone`.
        adapter (dict): Config of an adapter, the similarity calculator. Its width follows the backbone's.
        loss (dict): Config of the contrastive loss.
        data_preprocessor (dict): Config of :class:`VideoCaptionPreprocessor`.
        gather (str): How the batches of several processes are combined. ``'exact'``: into one batch, with
            the gradients of a single process. ``'local_gradient'``: into one batch, but gradients reach
            only the features of the same process, so that those of the encoders are divided by
            the number of processes; the reference does this for all adapters except the tight one.
            ``'none'``: each process contrasts its own batch, as the reference does for the tight adapter.
        micro_batch_size (int, optional): Train with so many videos, or 8 times as many captions, at a time,
            with the gradients of the whole batch. See :func:`encode_in_micro_batches`.

    Raises:
        ValueError: If the adapter does not fit the backbone, or an argument has another value.

    Examples:
        >>> import torch
        >>> from mmaction.registry import MODELS
        >>> tower = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)
        >>> clip = dict(
        ...     text_config=dict(tower, vocab_size=99),
        ...     vision_config=dict(tower, image_size=32, patch_size=16),
        ...     projection_dim=16,
        ... )
        >>> model = MODELS.build(dict(
        ...     type='CLIP4ClipRetriever',
        ...     backbone=dict(type='CLIPBackbone', config=clip),
        ...     adapter=dict(type='MeanAdapter'),
        ... ))
        >>> videos = model.encode_videos(torch.rand(2, 3, 3, 32, 32), torch.ones(2, 3))
        >>> text = model.encode_text(torch.ones(5, 7, dtype=torch.long), torch.ones(5, 7))
        >>> model.similarity(text, videos).shape
        torch.Size([5, 2])
    """

    def __init__(
        self,
        backbone: dict,
        adapter: dict,
        loss: dict = dict(type='SymmetricContrastiveLoss'),
        data_preprocessor: dict | None = None,
        gather: str = 'exact',
        micro_batch_size: int | None = None,
    ) -> None:
        super().__init__(data_preprocessor or dict(type='VideoCaptionPreprocessor'))
        self.backbone = MODELS.build(backbone)
        check_backbone(self.backbone)
        self._use_normalization()
        self.adapter = MODELS.build(adapter_with_sizes(adapter, self.backbone))
        self.loss_module = MODELS.build(loss)
        check_loss(self.loss_module, self.adapter, gather)
        self.gather, self.micro_batch_size = gather, check_micro_batch_size(micro_batch_size)
        self._init_from_clip()
        if not self.adapter.uses_logit_scale:
            self.backbone.logit_scale.requires_grad = False  # DDP fails for parameters without gradients

    def _use_normalization(self) -> None:
        """Normalize frames as the encoder's were, if both the encoder and the preprocessor know how."""
        format = getattr(self.backbone, 'frame_format', None)
        if format is not None and isinstance(self.data_preprocessor, VideoCaptionPreprocessor):
            pretrained = getattr(self.backbone, 'pretrained', None) is not None
            self.data_preprocessor.use_normalization(format.mean, format.std, pretrained)

    def _init_from_clip(self) -> None:
        for part in (self.adapter, self.loss_module):
            if hasattr(part, 'init_from_clip'):
                part.init_from_clip(self.backbone)

    def init_weights(self) -> None:
        """Load the checkpoint of the backbone's ``init_cfg``, and initialize adapter and loss from it."""
        super().init_weights()
        if self.backbone.init_cfg is not None:
            self._init_from_clip()

    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor], prefix: str, *args) -> None:
        """Raise an error for incomplete components, even if ``strict=False``.

        Raises:
            RuntimeError: If keys are missing, unexpected or of another shape; lists the first ones.
        """
        weights = {
            key.removeprefix(prefix): value for key, value in state_dict.items() if key.startswith(prefix)
        }
        difference = not is_sharded(prefix) and compare_shared(self.state_dict(), weights)
        if difference:
            raise RuntimeError(
                f'the checkpoint contains only a part of what this {type(self).__name__} needs: {difference}'
            )
        super()._load_from_state_dict(state_dict, prefix, *args)

    def encode_frames(self, frames: Tensor, frame_mask: Tensor) -> Tensor:
        """Encode normalized frames (V, T, 3, H, W) up to the pooling of the adapter, (V, T, D)."""
        return encode_in_micro_batches(self._encode_frames, self.micro_batch_size, frames, frame_mask)

    def _encode_frames(self, frames: Tensor, frame_mask: Tensor) -> Tensor:
        features = self.backbone.encode_frames(frames, frame_mask)
        check_output(self.backbone, 'encode_frames', features, frame_mask.shape)
        return self.adapter.contextualize(features, frame_mask)

    def encode_videos(self, frames: Tensor, frame_mask: Tensor) -> Features:
        """Encode normalized frames (V, T, 3, H, W) with mask (V, T) into video features."""
        return self.pool(self.encode_frames(frames, frame_mask), frame_mask)

    def pool(self, frames: Tensor, frame_mask: Tensor) -> Features:
        """Pool the output of :meth:`encode_frames`, (V, T, D), into video features by the adapter."""
        return as_features(self.adapter.pool(frames, frame_mask), type(self.adapter).__name__)

    def encode_text(self, tokens: Tensor, text_mask: Tensor) -> Features:
        """Encode token ids (N, L) with mask (N, L) into caption features.

        Returns:
            dict[str, Tensor]: ``text`` (N, D), or ``tokens`` (N, L, D) and ``text_mask`` (N, L) for an
            adapter that uses them.
        """
        size = self.micro_batch_size and self.micro_batch_size * CAPTIONS
        return encode_in_micro_batches(self._encode_text, size, tokens, text_mask)

    def _encode_text(self, tokens: Tensor, text_mask: Tensor) -> Features:
        if self.adapter.uses_tokens:
            text = self.backbone.encode_text(tokens, text_mask, per_token=True)
            found = text.get('tokens') if isinstance(text, dict) else text
            check_output(self.backbone, 'encode_text(per_token=True)', found, text_mask.shape)
            return text
        text = self.backbone.encode_text(tokens, text_mask)
        check_output(self.backbone, 'encode_text', text, tokens.shape[:1])
        return dict(text=text)

    def similarity(self, text: Features, videos: Features) -> Tensor:
        """Score every caption with every video; see :meth:`BaseAdapter.similarity`."""
        if BARE in videos:  # an adapter with a pool that returns a tensor also compares tensors
            compared = text if self.adapter.uses_tokens else vectors(text)
            return self.adapter.similarity(compared, videos[BARE])
        return self.adapter.similarity(text, videos)

    def forward(
        self, inputs: Inputs, data_samples: Samples | None = None, mode: str = 'tensor'
    ) -> dict[str, Tensor] | Samples | tuple[Features, Features]:
        """Run the model on a batch from :class:`VideoCaptionPreprocessor`.

        Args:
            inputs (dict[str, Tensor]): ``frames`` (V, T, 3, H, W), ``frame_mask``
                (V, T), ``tokens`` (N, L), ``text_mask`` (N, L), ``video_index`` (N,) and,
                for the loss, ``video_key`` (V,).
            data_samples (list[BaseDataElement], optional): One per video, needed for ``'predict'``.
            mode (str): ``'loss'``, ``'predict'`` or ``'tensor'``.

        Returns:
            ``'loss'``: the losses, and ``logit_scale`` for the log. ``'predict'``: the data samples, each
            with its ``video_features`` and the ``text_features`` of its captions. ``'tensor'``: the
            features of captions and videos.
        """
        if mode not in ('loss', 'predict', 'tensor'):
            raise ValueError(f"mode must be 'loss', 'predict' or 'tensor', got {mode!r}")
        if mode == 'loss':
            return self.loss(inputs)
        if mode == 'predict':
            if data_samples is None:
                raise ValueError("mode='predict' needs data_samples, one for each video")
            return self.predict(inputs, data_samples)
        return self.extract(inputs)

    def extract(self, inputs: Inputs, frames: Tensor | None = None) -> tuple[Features, Features]:
        """Return the features of captions and videos.

        Args:
            inputs (dict[str, Tensor]): See :meth:`forward`.
            frames (Tensor, optional): Output of :meth:`encode_frames`, (V, T, D); computed if not given.
        """
        mask = inputs['frame_mask']
        frames = self.encode_frames(inputs['frames'], mask) if frames is None else frames
        videos = self.pool(frames, mask)
        return self.encode_text(inputs['tokens'], inputs['text_mask']), videos

    def loss(self, inputs: Inputs) -> dict[str, Tensor]:
        """Contrast the captions of a batch with its videos.

        Args:
            inputs (dict[str, Tensor]): See :meth:`forward`.

        Returns:
            dict[str, Tensor]: The losses, and ``logit_scale`` for the log.
        """
        return self.contrast(*self.extract(inputs), inputs['video_index'], inputs['video_key'])

    def predict(self, inputs: Inputs, data_samples: Samples) -> Samples:
        """Add ``video_features`` and ``text_features`` of the captions to each data sample.

        Args:
            inputs (dict[str, Tensor]): See :meth:`forward`.
            data_samples (list[BaseDataElement]): One per video.
        """
        return self.add_features(*self.extract(inputs), inputs['video_index'], data_samples)

    def add_features(
        self, text: Features, videos: Features, video_index: Tensor, data_samples: Samples
    ) -> Samples:
        """Add the features of its video and captions to each data sample."""
        for i, (sample, video) in enumerate(zip(data_samples, split_features(videos))):
            sample.set_field(video, 'video_features')
            sample.set_field(take_features(text, video_index == i), 'text_features')
        return data_samples

    def contrast(
        self, text: Features, videos: Features, video_index: Tensor, video_key: Tensor
    ) -> dict[str, Tensor]:
        """Compute the contrastive loss of captions and videos, over all processes unless ``gather='none'``.

        Args:
            text (dict[str, Tensor]): Features of the N captions of this process.
            videos (dict[str, Tensor]): Features of the V videos of this process.
            video_index (Tensor): The video of each caption, (N,).
            video_key (Tensor): A number per video, equal for items of the same video, (V,).
        """
        bound = getattr(self.backbone, 'max_logit_scale', MAX_LOGIT_SCALE)
        if bound is not None:
            with torch.no_grad():
                self.backbone.logit_scale.clamp_(max=math.log(bound))
        scale = self.backbone.logit_scale.exp() if self.adapter.uses_logit_scale else 1.0
        losses = contrast_batch(
            self.loss_module, self.similarity, text, videos, scale, video_index, video_key, self.gather
        )
        return dict(losses, logit_scale=self.backbone.logit_scale.detach().exp())
