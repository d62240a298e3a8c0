"""Decode and encode videos batch by batch, and report those that cannot be read."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, cast

import torch
from mmengine.logging import print_log
from mmengine.runner.amp import autocast
from torch.utils.data import DataLoader, Dataset

from ..datasets.video_readers import VideoReadError
from ..models import CLIP4ClipRetriever
from ..models.features import Features, move_features
from .progress import with_progress
from .video_inputs import PreparedVideo, VideoInput, VideoInputs, check_size

SHOWN = 3  # reasons in an error message


class EncodedBatch(NamedTuple):
    """Results of a batch of videos.

    Args:
        positions (list[int]): Positions of the readable videos in the list.
        features (dict[str, Tensor] | None): Their features on the CPU, with V first.
        captions (list[str] | None): Their generated captions.
        scores (list[float] | None): Scores of the captions.
        unreadable (dict[int, str]): Reasons by position, of the other videos.

    Examples:
        >>> EncodedBatch([0], dict(video=torch.ones(1, 4)), None, None, {1: 'no frames'}).positions
        [0]
    """

    positions: list[int]
    features: Features | None
    captions: list[str] | None
    scores: list[float] | None
    unreadable: dict[int, str]


class VideoEncoder:
    """A model and the pipeline that prepares its videos.

    Args:
        model (CLIP4ClipRetriever): The model, on its device.
        prepare (Callable): Decodes and packs an item, see :class:`FramePipeline`.
        fp16 (bool): Whether to encode in mixed precision.

    Attributes:
        unreadable (dict[int, str]): Reasons why videos of the last call could not be read, by position.

    Examples:
        >>> from torch import nn
        >>> VideoEncoder(nn.Linear(1, 1), dict).device
        device(type='cpu')
    """

    def __init__(self, model: CLIP4ClipRetriever, prepare: Callable, fp16: bool = False) -> None:
        self.model, self.prepare, self.fp16 = model.eval(), prepare, fp16
        self.unreadable: dict[int, str] = {}

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        return next(self.model.parameters()).device

    def run(
        self,
        videos: Sequence[VideoInput],
        features: bool = True,
        captions: bool = False,
        batch_size: int = 16,
        num_workers: int = 0,
        show_progress: bool | None = None,
    ) -> Iterator[EncodedBatch]:
        """Encode videos batch by batch, so that not all features need to fit in memory.

        Args:
            videos (Sequence[VideoInput]): Output of :func:`read_videos`.
            features (bool): Whether to return features.
            captions (bool): Whether to write captions.
            batch_size (int): Videos per batch.
            num_workers (int): See :meth:`encode_videos`.
            show_progress (bool, optional): See :meth:`encode_videos`.

        Yields:
            EncodedBatch: The results of a batch.

        Raises:
            VideoReadError: At the end, if no video could be read.
        """
        self.unreadable, read = {}, 0
        for prepared in with_progress(self.loader(videos, batch_size, num_workers), show_progress):
            batch = self.run_batch(prepared, videos, features, captions)
            read += len(batch.positions)
            yield batch
        if not read:
            reasons = '\n  '.join(list(self.unreadable.values())[:SHOWN])
            raise VideoReadError(f'none of the {len(videos)} videos can be read:\n  {reasons}')

    def loader(self, videos: Sequence[VideoInput], batch_size: int, num_workers: int = 0) -> DataLoader:
        """Return a dataloader whose batches are lists of :class:`PreparedVideo`."""
        dataset = VideoInputs(videos, self.prepare, getattr(self.prepare, 'sampled_fps', 1.0))
        size = check_size(batch_size, 'batch_size')
        return DataLoader(cast(Dataset, dataset), size, num_workers=num_workers, collate_fn=list)

    @torch.no_grad()
    def run_batch(
        self, batch: list[PreparedVideo], videos: Sequence[VideoInput], features: bool, captions: bool
    ) -> EncodedBatch:
        """Encode a batch of prepared videos, and report the unreadable ones."""
        unreadable = {video.position: video.unreadable for video in batch if video.unreadable is not None}
        for position, reason in unreadable.items():
            name = videos[position].name
            text = reason if name in reason else f'{name}: {reason}'
            print_log(f'a video is left out: {text}', logger='current', level=logging.WARNING)
            unreadable[position] = text
        self.unreadable.update(unreadable)
        packed = [video.packed for video in batch if video.packed is not None]
        positions = [video.position for video in batch if video.packed is not None]
        if not packed:
            return EncodedBatch([], None, None, None, unreadable)
        keys = packed[0]['inputs']
        data = dict(
            inputs={key: [item['inputs'][key] for item in packed] for key in keys},
            data_samples=[item['data_samples'] for item in packed],
        )
        encoded, generated = None, (None, None)
        with autocast(enabled=self.fp16):
            inputs = self.model.data_preprocessor(data, False)['inputs']
            mask = inputs['frame_mask']
            frames = self.model.encode_frames(inputs['frames'], mask)
            if features:
                encoded = move_features(self.model.pool(frames, mask), 'cpu')
            if captions:
                generated = self.model.generate(frames, mask, inputs['id_number'])
        return EncodedBatch(positions, encoded, *generated, unreadable)
