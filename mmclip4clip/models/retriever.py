import math
from typing import Dict, List, Optional, Tuple, Union

import torch
from mmaction.registry import MODELS
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor

from .adapters.base import VideoFeatures, split_videos
from .losses import gather_owner, gather_with_grad

MAX_LOGIT_SCALE = math.log(100)  # CLIP's bound, arXiv:2103.00020, section 2.5


@MODELS.register_module()
class CLIP4ClipRetriever(BaseModel):
    """CLIP4Clip: CLIP's two towers, and an adapter that compares their features.

    Args:
        backbone (dict): Config of :class:`CLIPBackbone`.
        adapter (dict): Config of an adapter, the similarity calculator.
        loss (dict): Config of the contrastive loss.
        data_preprocessor (dict): Config of :class:`VideoCaptionPreprocessor`.

    Raises:
        ValueError: If the adapter does not fit the backbone.
    """

    def __init__(self,
                 backbone: dict,
                 adapter: dict,
                 loss: dict = dict(type='SymmetricContrastiveLoss'),
                 data_preprocessor: Optional[dict] = None) -> None:
        super().__init__(data_preprocessor or dict(type='VideoCaptionPreprocessor'))
        self.backbone = MODELS.build(backbone)
        self.adapter = MODELS.build(adapter)
        self.loss_module = MODELS.build(loss)
        self.adapter.start_from(self.backbone)

    def encode_videos(self, frames: Tensor, frame_mask: Tensor) -> VideoFeatures:
        """Encode normalised frames (V, T, 3, H, W) with their mask (V, T), each video once."""
        return self.adapter.encode(self.backbone.encode_frames(frames, frame_mask), frame_mask)

    def encode_text(self, tokens: Tensor, text_mask: Tensor) -> Tensor:
        """Encode token ids (N, L) with their mask (N, L) into caption features (N, D)."""
        return self.backbone.encode_text(tokens, text_mask)

    def similarity(self, text: Tensor, videos: VideoFeatures) -> Tensor:
        """Score every caption with every video; see :meth:`BaseAdapter.similarity`."""
        return self.adapter.similarity(text, videos)

    def forward(
        self,
        inputs: Dict[str, Tensor],
        data_samples: Optional[List[BaseDataElement]] = None,
        mode: str = 'tensor'
    ) -> Union[Dict[str, Tensor], List[BaseDataElement], Tuple[Tensor, VideoFeatures]]:
        """Run a batch as :class:`VideoCaptionPreprocessor` left it.

        Args:
            inputs (dict[str, Tensor]): ``frames`` (V, T, 3, H, W), ``frame_mask``
                (V, T), ``tokens`` (N, L), ``text_mask`` (N, L), ``owner`` (N,).
            data_samples (list[BaseDataElement], optional): One a video.
            mode (str): ``'loss'``, ``'predict'`` or ``'tensor'``.

        Returns:
            ``'loss'``: the losses, and ``logit_scale`` for the log. ``'predict'``:
            the data samples, each with its ``video_features`` and the
            ``text_features`` of its captions. ``'tensor'``: caption features
            (N, D) and video features.
        """
        if mode not in ('loss', 'predict', 'tensor'):
            raise ValueError(f"mode must be 'loss', 'predict' or 'tensor', got {mode!r}")
        videos = self.encode_videos(inputs['frames'], inputs['frame_mask'])
        text = self.encode_text(inputs['tokens'], inputs['text_mask'])
        if mode == 'tensor':
            return text, videos
        if mode == 'loss':
            return self.loss(text, videos, inputs['owner'], len(inputs['frames']))
        counts = torch.bincount(inputs['owner'], minlength=len(data_samples)).tolist()
        for sample, video, captions in zip(data_samples, split_videos(videos), text.split(counts)):
            sample.set_field(video, 'video_features')
            sample.set_field(captions, 'text_features')
        return data_samples

    def loss(self, text: Tensor, videos: VideoFeatures, owner: Tensor,
             num_videos: int) -> Dict[str, Tensor]:
        """Contrast the captions (N, D) and videos of all processes, once gathered."""
        with torch.no_grad():
            self.backbone.logit_scale.clamp_(max=MAX_LOGIT_SCALE)
        scale = self.backbone.logit_scale.exp() if self.adapter.uses_logit_scale else 1.0
        logits = scale * self.similarity(gather_with_grad(text), gather_with_grad(videos))
        losses = self.loss_module(logits, gather_owner(owner, num_videos))
        return dict(losses, logit_scale=self.backbone.logit_scale.detach().exp())
