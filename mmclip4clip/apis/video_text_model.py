from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.runner.amp import autocast

from ..datasets import TokenizeCaptions
from ..models import CLIP4ClipCaptioner, CLIP4ClipRetriever
from ..models.adapters.base import PooledAdapter
from ..models.features import cat_features, count_features, move_features, take_features
from .feature_arrays import Arrays, is_features, to_arrays, to_features
from .text_inputs import read_texts
from .video_encoder import EncodedBatch, VideoEncoder
from .video_inputs import check_size, read_videos


class VideoTextModel(VideoEncoder):
    """A trained model with all that it needs to encode videos and texts, and to write captions.

    :func:`mmclip4clip.load` creates it. Features are numpy arrays of float32. If the head keeps one vector
    per video, they are arrays (V, D) and (N, D) of unit length, and the similarity is their dot product, the
    cosine. Other heads keep more: a dict of arrays, which :meth:`similarity` compares by the head's score.

    A video that cannot be read is reported as a warning, and in ``unreadable``; all its features are 0, its
    similarity is minus infinity, and its caption is empty.

    Args:
        model (CLIP4ClipRetriever): The model, on its device.
        prepare (Callable): Decodes and packs an item, see :class:`FramePipeline`.
        tokenize (TokenizeCaptions): The step that tokenizes captions.
        name (str): Name for messages.
        fp16 (bool): Whether to encode in mixed precision.

    Examples:
        >>> import mmclip4clip
        >>> model = mmclip4clip.load('epoch_5.pth')  # doctest: +SKIP
        >>> videos = model.encode_videos(['a.mp4', ('b.mp4', 10, 20)])  # doctest: +SKIP
        >>> model.similarity(['a dog runs'], videos).shape  # doctest: +SKIP
        (1, 2)
        >>> model.caption('a.mp4')  # doctest: +SKIP
        ['a dog runs']
    """

    def __init__(
        self,
        model: CLIP4ClipRetriever,
        prepare: Callable,
        tokenize: TokenizeCaptions,
        name: str = 'the model',
        fp16: bool = False,
    ) -> None:
        super().__init__(model, prepare, fp16)
        self.tokenize, self.name = tokenize, name

    @property
    def is_captioner(self) -> bool:
        """Whether the model writes captions."""
        return isinstance(self.model, CLIP4ClipCaptioner)

    @property
    def scores_by_cosine(self) -> bool:
        """Whether a video is one vector and the score is the cosine."""
        return isinstance(self.model.adapter, PooledAdapter)

    def encode_videos(
        self, videos: Any, batch_size: int = 16, num_workers: int = 0, show_progress: bool | None = None
    ) -> Arrays:
        """Encode videos into features.

        Args:
            videos (Any): List of paths, of tuples (path, start, end) in seconds, of arrays of frames
                (T, H, W, 3) uint8 in RGB, and of tuples (array, frames per second). The frames of an array
                without a rate count as sampled already; those with a rate are sampled like a file. A single
                video counts as a list of one.
            batch_size (int): Videos per batch.
            num_workers (int): Processes that decode ahead; 0 decodes in this one.
            show_progress (bool, optional): Whether to show a progress bar; by default on a terminal.

        Returns:
            np.ndarray | dict[str, np.ndarray]: Features with one row per video, in the same order.

        Raises:
            ValueError: If there are no videos, or an array or a time range is invalid.
            TypeError: If a video has another form.
            FileNotFoundError: If files do not exist.
            VideoReadError: If none of the videos can be read.
        """
        found = read_videos(videos)
        batches = list(self.run(found, True, False, batch_size, num_workers, show_progress))
        return self.join(batches, len(found))

    def join(self, batches: Sequence[EncodedBatch], count: int) -> Arrays:
        """Join the features of all batches; rows of unreadable videos are 0.

        Args:
            batches (Sequence[EncodedBatch]): Output of :meth:`run`, with a readable video at least.
            count (int): Number of videos, unreadable ones included.

        Returns:
            np.ndarray | dict[str, np.ndarray]: See :meth:`encode_videos`.
        """
        joined = cat_features([batch.features for batch in batches if batch.features])
        positions = torch.tensor([position for batch in batches for position in batch.positions])
        rows = {key: part.new_zeros(count, *part.shape[1:]) for key, part in joined.items()}
        for key, part in joined.items():
            rows[key][positions] = part
        return to_arrays(rows, self.scores_by_cosine)

    def encode_text(self, text: str | Sequence[str], batch_size: int = 256) -> Arrays:
        """Encode captions into features.

        Args:
            text (str | Sequence[str]): The captions; a single one counts as a list of one. Captions that are
                too long are truncated as in the training.
            batch_size (int): Captions per batch.

        Returns:
            np.ndarray | dict[str, np.ndarray]: Features with one row per caption.

        Raises:
            ValueError: If there is no caption, or one is blank.
            TypeError: If a caption is not a string.
        """
        captions, size = read_texts(text), check_size(batch_size, 'batch_size')
        parts = []
        for start in range(0, len(captions), size):
            tokens = self.tokenize(dict(captions=captions[start : start + size]))
            ids, mask = (torch.from_numpy(tokens[key]).to(self.device) for key in ('tokens', 'text_mask'))
            with torch.no_grad(), autocast(enabled=self.fp16):
                parts.append(move_features(self.model.encode_text(ids, mask), 'cpu'))
        features = cat_features(parts)
        if self.scores_by_cosine:
            features = {key: F.normalize(part, dim=-1) for key, part in features.items()}
        return to_arrays(features, not self.model.adapter.uses_tokens)

    @torch.no_grad()
    def similarity(self, text: Any, videos: Any) -> np.ndarray:
        """Score every caption with every video.

        Args:
            text (Any): Output of :meth:`encode_text`, or captions, which are encoded.
            videos (Any): Output of :meth:`encode_videos`, or videos, which are encoded.

        Returns:
            np.ndarray: Similarity without the logit scale, higher is better, (N, V) float32. Minus infinity
            for videos that could not be read.

        Raises:
            ValueError: If features have another shape or other parts than those of this model.
        """
        if not is_features(text):
            text = self.encode_text(text)
        if not is_features(videos):
            videos = self.encode_videos(videos)
        captions = to_features(text, 'text', not self.model.adapter.uses_tokens)
        encoded = to_features(videos, 'video', self.scores_by_cosine)
        parts = [part.flatten(1) for part in encoded.values()]
        readable = torch.cat([part.ne(0) for part in parts], dim=1).any(dim=1)
        scores = torch.full((count_features(captions), len(readable)), float('-inf'))
        if readable.any():
            kept = move_features(take_features(encoded, readable), self.device)
            try:
                found = self.model.similarity(move_features(captions, self.device), kept)
            except (KeyError, RuntimeError) as error:
                shapes = [
                    {key: tuple(part.shape) for key, part in these.items()} for these in (captions, kept)
                ]
                raise ValueError(
                    f'features of text {shapes[0]} and videos {shapes[1]} do not fit {self.name}: {error!r}'
                ) from error
            scores[:, readable] = found.float().cpu()
        return scores.numpy()

    def caption(
        self, videos: Any, batch_size: int = 16, num_workers: int = 0, show_progress: bool | None = None
    ) -> list[str]:
        """Write a caption for each video.

        Args:
            videos (Any): See :meth:`encode_videos`.
            batch_size (int): Videos per batch.
            num_workers (int): See :meth:`encode_videos`.
            show_progress (bool, optional): See :meth:`encode_videos`.

        Returns:
            list[str]: One per video, in the same order; empty for a video that could not be read.

        Raises:
            TypeError: If the model writes no captions, or see :meth:`encode_videos`.
            ValueError, FileNotFoundError, VideoReadError: See :meth:`encode_videos`.
        """
        self.check_captioner()
        found = read_videos(videos)
        captions = [''] * len(found)
        for batch in self.run(found, False, True, batch_size, num_workers, show_progress):
            for position, caption in zip(batch.positions, batch.captions or ()):
                captions[position] = caption
        return captions

    def check_captioner(self) -> None:
        """Check that the model writes captions.

        Raises:
            TypeError: If it does not.
        """
        if not self.is_captioner:
            raise TypeError(
                f'{self.name} is a {type(self.model).__name__}, which writes no captions: load the '
                'checkpoint of a CLIP4ClipCaptioner'
            )
