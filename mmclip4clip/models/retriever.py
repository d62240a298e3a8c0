import math
from collections.abc import Mapping

import torch
from mmaction.registry import MODELS
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor

from .features import BARE, Features, as_features, split_features, take_features, vectors
from .losses import gather_video_index, gather_with_grad
from .weight_check import compare_shared

Inputs = dict[str, Tensor]
Samples = list[BaseDataElement]
MAX_LOGIT_SCALE = math.log(100)  # CLIP's bound, arXiv:2103.00020, section 2.5


@MODELS.register_module()
class CLIP4ClipRetriever(BaseModel):
    """CLIP4Clip: CLIP's two towers, and an adapter that compares their features.

    Args:
        backbone (dict): Config of :class:`CLIPBackbone`.
        adapter (dict): Config of an adapter, the similarity calculator.
        loss (dict): Config of the contrastive loss.
        data_preprocessor (dict): Config of :class:`VideoCaptionPreprocessor`.
        gather (str): What several processes make of their batches. ``'exact'``:
            one batch, with the gradients that one process would have.
            ``'local_gradient'``: one batch, but gradients reach only a process's
            own features, so that the encoders' are divided by the number of
            processes; the reference's rule for all adapters but the tight one.
            ``'none'``: each process contrasts its own batch; the reference's
            rule for the tight one.

    Raises:
        ValueError: If the adapter does not fit the backbone, or ``gather`` is unknown.
    """

    def __init__(
        self,
        backbone: dict,
        adapter: dict,
        loss: dict = dict(type='SymmetricContrastiveLoss'),
        data_preprocessor: dict | None = None,
        gather: str = 'exact',
    ) -> None:
        super().__init__(data_preprocessor or dict(type='VideoCaptionPreprocessor'))
        self.backbone = MODELS.build(backbone)
        self.adapter = MODELS.build(adapter)
        self.loss_module = MODELS.build(loss)
        if gather not in ('exact', 'local_gradient', 'none'):
            raise ValueError(f"gather must be 'exact', 'local_gradient' or 'none', got {gather!r}")
        self.gather = gather
        self.adapter.init_from_clip(self.backbone)
        if not self.adapter.uses_logit_scale:
            self.backbone.logit_scale.requires_grad = False  # DDP wants no unused parameters

    def init_weights(self) -> None:
        """Load what the backbone's ``init_cfg`` names, and let the adapter start from that."""
        super().init_weights()
        if self.backbone.init_cfg is not None:
            self.adapter.init_from_clip(self.backbone)

    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor], prefix: str, *args) -> None:
        """Refuse a component that is there only in part, even where the caller is not strict.

        Raises:
            RuntimeError: Naming the first keys that are missing, unexpected or of another shape.
        """
        own = {key.removeprefix(prefix): value for key, value in state_dict.items() if key.startswith(prefix)}
        difference = compare_shared(self.state_dict(), own)
        if difference:
            raise RuntimeError(
                f'the checkpoint holds only part of what this {type(self).__name__} needs: {difference}'
            )
        super()._load_from_state_dict(state_dict, prefix, *args)

    def encode_frames(self, frames: Tensor, frame_mask: Tensor) -> Tensor:
        """Encode normalized frames (V, T, 3, H, W) up to where the adapter pools them, (V, T, D)."""
        return self.adapter.contextualize(self.backbone.encode_frames(frames, frame_mask), frame_mask)

    def encode_videos(self, frames: Tensor, frame_mask: Tensor) -> Features:
        """Encode normalized frames (V, T, 3, H, W) with their mask (V, T), each video once."""
        return self.pool(self.encode_frames(frames, frame_mask), frame_mask)

    def pool(self, frames: Tensor, frame_mask: Tensor) -> Features:
        """Let the adapter make the features of videos of what :meth:`encode_frames` returned, (V, T, D)."""
        return as_features(self.adapter.pool(frames, frame_mask), type(self.adapter).__name__)

    def encode_text(self, tokens: Tensor, text_mask: Tensor) -> Features:
        """Encode token ids (N, L) with their mask (N, L) into what the adapter compares.

        Returns:
            dict[str, Tensor]: ``text`` (N, D), or ``tokens`` (N, L, D) and ``text_mask`` (N, L) for an
            adapter that uses them.
        """
        text = self.backbone.encode_text(tokens, text_mask, per_token=self.adapter.uses_tokens)
        return text if isinstance(text, dict) else dict(text=text)

    def similarity(self, text: Features, videos: Features) -> Tensor:
        """Score every caption with every video; see :meth:`BaseAdapter.similarity`."""
        if BARE in videos:  # an adapter whose pool returns a tensor also compares tensors
            compared = text if self.adapter.uses_tokens else vectors(text)
            return self.adapter.similarity(compared, videos[BARE])
        return self.adapter.similarity(text, videos)

    def forward(
        self,
        inputs: dict[str, Tensor],
        data_samples: list[BaseDataElement] | None = None,
        mode: str = 'tensor',
    ) -> dict[str, Tensor] | list[BaseDataElement] | tuple[Features, Features]:
        """Run a batch as :class:`VideoCaptionPreprocessor` left it.

        Args:
            inputs (dict[str, Tensor]): ``frames`` (V, T, 3, H, W), ``frame_mask``
                (V, T), ``tokens`` (N, L), ``text_mask`` (N, L), ``video_index`` (N,) and,
                for the loss, ``video_key`` (V,).
            data_samples (list[BaseDataElement], optional): One a video.
            mode (str): ``'loss'``, ``'predict'`` or ``'tensor'``.

        Returns:
            ``'loss'``: the losses, and ``logit_scale`` for the log. ``'predict'``:
            the data samples, each with its ``video_features`` and the
            ``text_features`` of its captions. ``'tensor'``: the features of
            captions and of videos.
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
        """Return the features of captions and of videos.

        Args:
            inputs (dict[str, Tensor]): As for :meth:`forward`.
            frames (Tensor, optional): What :meth:`encode_frames` returned, if that is done, (V, T, D).
        """
        mask = inputs['frame_mask']
        frames = self.encode_frames(inputs['frames'], mask) if frames is None else frames
        videos = self.pool(frames, mask)
        return self.encode_text(inputs['tokens'], inputs['text_mask']), videos

    def loss(self, inputs: Inputs) -> dict[str, Tensor]:
        """Contrast the captions of a batch with its videos.

        Args:
            inputs (dict[str, Tensor]): As for :meth:`forward`.

        Returns:
            dict[str, Tensor]: The losses, and ``logit_scale`` for the log.
        """
        return self.contrast(*self.extract(inputs), inputs['video_index'], inputs['video_key'])

    def predict(self, inputs: Inputs, data_samples: Samples) -> Samples:
        """Give each data sample its ``video_features`` and the ``text_features`` of its captions.

        Args:
            inputs (dict[str, Tensor]): As for :meth:`forward`.
            data_samples (list[BaseDataElement]): One a video.
        """
        return self.add_features(*self.extract(inputs), inputs['video_index'], data_samples)

    def add_features(
        self, text: Features, videos: Features, video_index: Tensor, data_samples: Samples
    ) -> Samples:
        """Give each data sample its part of the features of a batch."""
        for i, (sample, video) in enumerate(zip(data_samples, split_features(videos))):
            sample.set_field(video, 'video_features')
            sample.set_field(take_features(text, video_index == i), 'text_features')
        return data_samples

    def contrast(
        self, text: Features, videos: Features, video_index: Tensor, video_key: Tensor
    ) -> dict[str, Tensor]:
        """Contrast captions and videos, of all processes unless ``gather`` says otherwise.

        Args:
            text (dict[str, Tensor]): Features of this process's N captions.
            videos (dict[str, Tensor]): Features of its V videos.
            video_index (Tensor): The video of each caption, (N,).
            video_key (Tensor): A number a video, equal for items of the same one, (V,).
        """
        with torch.no_grad():
            self.backbone.logit_scale.clamp_(max=MAX_LOGIT_SCALE)
        if self.gather == 'none':
            similarity = self.similarity(text, videos)
        elif self.gather == 'local_gradient':
            similarity = self.similarity(
                gather_with_grad(text, exact=False), gather_with_grad(videos, exact=False)
            )
        else:  # each process scores its own captions, so that the work is shared
            similarity = gather_with_grad(self.similarity(text, gather_with_grad(videos)))
        if self.gather != 'none':
            video_index, video_key = (
                gather_video_index(video_index, len(video_key)),
                gather_with_grad(video_key),
            )
        scale = self.backbone.logit_scale.exp() if self.adapter.uses_logit_scale else 1.0
        losses = self.loss_module(scale * similarity, video_index, video_key)
        return dict(losses, logit_scale=self.backbone.logit_scale.detach().exp())
