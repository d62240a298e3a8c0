"""A model as mteb evaluates it."""

from importlib import import_module
from typing import Any

import numpy as np
from torch import Tensor

from .sentence_encoder import SentenceEncoder


class MTEBEncoder(SentenceEncoder):
    """Encoder of texts and videos for ``mteb.evaluate``, by mteb's EncoderProtocol.

    It follows that protocol without inheriting from mteb, which is needed for :attr:`mteb_model_meta` alone.

    Args: See :class:`SentenceEncoder`.

    Examples:
        >>> import mteb  # doctest: +SKIP
        >>> tasks = mteb.get_tasks(tasks=['MSRVTTT2V'])  # doctest: +SKIP
        >>> mteb.evaluate(MTEBEncoder('epoch_5.pth'), tasks)  # doctest: +SKIP
    """

    @property
    def mteb_model_meta(self) -> Any:
        """Metadata of the model.

        Raises:
            ImportError: If mteb is not installed.
        """
        try:
            meta = import_module('mteb.models').ModelMeta  # a large package, which is no extra
        except ImportError as error:
            raise ImportError('mteb is not installed: pip install mteb') from error
        values = dict(
            name=f'mmclip4clip/{self.model.name.strip("/").split("/")[-1]}',
            revision='local',
            embed_dim=self.get_embedding_dimension(),
            similarity_fn_name='cosine',
            modalities=['text', 'video'],
            framework=['PyTorch'],
        )
        return meta.create_empty(values)

    def encode(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Encode the batches of mteb, each with ``text`` or ``video``; other inputs as the base class does.

        Args:
            inputs (DataLoader): Batches of mteb. A video is a decoder of torchcodec, or frames (T, 3, H, W).
            args (Any): See :meth:`SentenceEncoder.encode`.
            kwargs (Any): Those of mteb: ``batch_size`` and ``show_progress_bar``; others name the task.

        Returns:
            np.ndarray: Vectors, (N, D).

        Raises:
            ValueError: If a batch has neither texts nor videos, or both.
        """
        if 'task_metadata' not in kwargs:
            return super().encode(inputs, *args, **kwargs)
        parts = []
        for batch in inputs:
            kinds = [kind for kind in ('text', 'video') if kind in batch]
            if len(kinds) != 1:
                raise ValueError(f'a batch must have either text or video, got {sorted(batch)}')
            if kinds == ['text']:
                parts.append(super().encode([dict(text=text) for text in batch['text']]))
            else:  # one at a time, because all frames of a video are in memory
                for video in batch['video']:
                    parts.append(super().encode([dict(video=decode(video))]))
        return np.concatenate(parts)


def decode(video: Any) -> Any:
    """Return the frames of a video of mteb as :meth:`VideoTextModel.encode_videos` takes them.

    Args:
        video (VideoDecoder | Tensor | str): A decoder of torchcodec, sampled frames (T, 3, H, W) uint8, or a
            path.

    Returns:
        np.ndarray | tuple[np.ndarray, float] | str: Frames (T, H, W, 3), of a decoder with their rate; or the
        path.

    Examples:
        >>> import torch
        >>> decode(torch.zeros(2, 3, 4, 6, dtype=torch.uint8)).shape
        (2, 4, 6, 3)
    """
    if isinstance(video, str):
        return video
    if isinstance(video, Tensor):
        return video.permute(0, 2, 3, 1).numpy()
    return video[:].permute(0, 2, 3, 1).numpy(), float(video.metadata.average_fps)
