"""A model that was exported to ONNX, with the methods of :class:`VideoTextModel`, and without torch."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..datasets.video_readers.errors import VideoReadError
from ..export.caption_reader import CaptionReader
from ..export.onnx_encoder import OnnxEncoder
from ..export.padded_arrays import Arrays, as_parts, cat_arrays, count_rows, is_features
from ..export.part_names import VECTOR
from ..logs import print_log
from .decoding_processes import run_in_processes
from .progress import with_progress
from .text_inputs import read_texts
from .video_inputs import PreparedVideo, VideoInput, VideoInputs, check_size, read_videos

if TYPE_CHECKING:
    from ..export.frame_reader import FrameReader

SHOWN = 3  # reasons in an error message


class OnnxVideoTextModel:
    """Encodes videos and texts, and compares them, by ONNX Runtime.

    :func:`mmclip4clip.load` creates it from a folder that ``tools/model_converters/export_onnx.py`` wrote.
    Features are numpy arrays, up to rounding those of the torch model. If the head keeps one vector per
    video, they are of unit length, and the similarity is their dot product, the cosine. Other heads keep
    more: a dict of arrays, which :meth:`similarity` compares by the head's score.

    Args:
        folder (str | Path): The folder.
        device (str, optional): ``'cpu'``, the default, or ``'cuda'`` with ONNX Runtime for GPUs.

    Attributes:
        unreadable (dict[int, str]): Reasons why videos of the last call could not be read, by position.

    Raises:
        ExportError: If the folder is damaged, incomplete, or of a later version; a ``ValueError``.
        ValueError: If the device cannot be used.
        ImportError: If ONNX Runtime is missing.

    Examples:
        >>> import mmclip4clip
        >>> model = mmclip4clip.load('onnx')  # doctest: +SKIP
        >>> model.similarity(['a dog runs'], ['a.mp4', ('b.mp4', 10, 20)]).shape  # doctest: +SKIP
        (1, 2)
    """

    is_captioner = False

    def __init__(self, folder: str | Path, device: str | None = None) -> None:
        path = Path(folder).expanduser()
        self.name, self.encoder = str(folder), OnnxEncoder(path, device)
        self.settings = self.encoder.settings
        self.tokenize = CaptionReader(path, self.settings.captions)
        self.unreadable: dict[int, str] = {}

    @property
    def scores_by_cosine(self) -> bool:
        """Whether a video is one vector and the score is the cosine."""
        return self.settings.scoring is None

    @cached_property
    def frames(self) -> 'FrameReader':
        """What decodes, samples and resizes videos; made when it is first used, because it imports PyAV."""
        from ..export.frame_reader import FrameReader

        return FrameReader(self.settings.frames)

    def encode_videos(
        self, videos: Any, batch_size: int = 16, num_workers: int = 0, show_progress: bool | None = None
    ) -> np.ndarray | Arrays:
        """Encode videos into features; see :meth:`VideoTextModel.encode_videos`.

        Args:
            videos (Any): Paths, time ranges of files and arrays of frames.
            batch_size (int): Videos per batch.
            num_workers (int): Processes that decode ahead; 0 decodes in this one.
            show_progress (bool, optional): Whether to show a progress bar; by default on a terminal.

        Returns:
            np.ndarray | dict[str, np.ndarray]: One row per video, in the same order; unreadable ones are 0.

        Raises:
            ValueError, TypeError, FileNotFoundError: If a video has another form, or files do not exist.
            VideoReadError: If none of the videos can be read.
        """
        return self._own_parts(self.video_features(videos, batch_size, num_workers, show_progress))

    def video_features(
        self, videos: Any, batch_size: int = 16, num_workers: int = 0, show_progress: bool | None = False
    ) -> Arrays:
        """Encode videos into a dict of :meth:`OnnxEncoder.encode_videos`, with the vector that finds them."""
        found, size = read_videos(videos), check_size(batch_size, 'batch_size')
        self.unreadable = {}
        prepared = with_progress(self._prepare(found, num_workers), show_progress)
        positions: list[int] = []
        parts: list[Arrays] = []
        for batch in _batches(prepared, size):
            readable = [video for video in batch if video.packed is not None]
            self._report(found, [video for video in batch if video.packed is None])
            if readable:
                frames = [video.packed['frames'] for video in readable if video.packed is not None]
                parts.append(self.encoder.encode_videos(frames))
                positions += [video.position for video in readable]
        if len(self.unreadable) == len(found):
            reasons = '\n  '.join(list(self.unreadable.values())[:SHOWN])
            raise VideoReadError(f'none of the {len(found)} videos can be read:\n  {reasons}')
        joined = cat_arrays(parts)
        rows = {name: np.zeros((len(found), *part.shape[1:]), part.dtype) for name, part in joined.items()}
        for name, part in joined.items():
            rows[name][positions] = part
        return rows

    def encode_text(self, text: str | Sequence[str], batch_size: int = 256) -> np.ndarray | Arrays:
        """Encode captions into features; see :meth:`VideoTextModel.encode_text`.

        Args:
            text (str | Sequence[str]): The captions; a single one counts as a list of one.
            batch_size (int): Captions per batch.

        Returns:
            np.ndarray | dict[str, np.ndarray]: One row per caption.

        Raises:
            ValueError: If there is no caption, or one is blank.
            TypeError: If a caption is not a string.
        """
        found = self._own_parts(self.text_features(text, batch_size))
        return found['text'] if isinstance(found, dict) and list(found) == ['text'] else found

    def text_features(self, text: str | Sequence[str], batch_size: int = 256) -> Arrays:
        """Encode captions into a dict of :meth:`OnnxEncoder.encode_text`, with the vector to search with."""
        captions, size = read_texts(text), check_size(batch_size, 'batch_size')
        starts = range(0, len(captions), size)
        parts = [self.encoder.encode_text(*self.tokenize(captions[i : i + size])) for i in starts]
        features = cat_arrays(parts)
        if self.scores_by_cosine:
            lengths = np.linalg.norm(features['text'], axis=-1, keepdims=True)
            features['text'] /= np.maximum(lengths, 1e-12)
        return features

    def similarity(self, text: Any, videos: Any) -> np.ndarray:
        """Score every caption with every video by the head, or by the cosine if it is its score.

        Args:
            text (Any): Output of :meth:`encode_text`, or captions, which are encoded.
            videos (Any): Output of :meth:`encode_videos`, or videos, which are encoded.

        Returns:
            np.ndarray: Similarity, (N, V) float32. Minus infinity for videos that could not be read.

        Raises:
            ValueError: If features have another shape or other parts than those of this model.
        """
        captions = as_parts(text, 'text') if is_features(text) else self.text_features(text)
        encoded = as_parts(videos, 'video') if is_features(videos) else self.video_features(videos)
        shapes = [{name: part.shape for name, part in these.items()} for these in (captions, encoded)]
        misfit = f'features of text {shapes[0]} and videos {shapes[1]} do not fit {self.name}'
        readable = np.any(
            [(part != 0).reshape(len(part), -1).any(axis=1) for part in encoded.values()], axis=0
        )
        scores = np.full((count_rows(captions), len(readable)), -np.inf, np.float32)
        kept = {name: part[readable] for name, part in encoded.items()}
        if not readable.any():
            return scores
        if self.scores_by_cosine:
            width = self.settings.identity.width
            if captions['text'].shape[1] != width or kept['video'].shape[1] != width:
                raise ValueError(f'{misfit}, whose vectors have the width {width}')
            scores[:, readable] = captions['text'] @ kept['video'].T
            return scores
        try:
            scores[:, readable] = self.encoder.score(captions, kept)
        except (KeyError, ValueError) as error:
            raise ValueError(f'{misfit}: {error!r}') from error
        return scores

    def check_captioner(self) -> None:
        """Raise an error, because decoders are not exported.

        Raises:
            TypeError: Always.
        """
        raise TypeError(
            f'{self.name} was exported to ONNX, which has no caption decoder: load the checkpoint of a '
            'CLIP4ClipCaptioner'
        )

    def _own_parts(self, features: Arrays) -> np.ndarray | Arrays:
        """Return what the head compares: a dict, or the vectors."""
        if self.scores_by_cosine:
            return next(iter(features.values()))
        return {name: part for name, part in features.items() if name != VECTOR}

    def _prepare(self, videos: list[VideoInput], num_workers: int) -> Iterable[PreparedVideo]:
        reader = self.frames
        inputs = VideoInputs(videos, lambda item: dict(frames=reader(item)), reader.sampled_fps)
        return run_in_processes(
            lambda places: map(inputs.__getitem__, places), range(len(videos)), num_workers
        )

    def _report(self, videos: list[VideoInput], faulty: list[PreparedVideo]) -> None:
        for video in faulty:
            name, reason = videos[video.position].name, str(video.unreadable)
            text = reason if name in reason else f'{name}: {reason}'
            print_log(f'a video is left out: {text}', logger='current', level=logging.WARNING)
            self.unreadable[video.position] = text


def _batches(videos: Iterable[PreparedVideo], size: int) -> Iterator[list[PreparedVideo]]:
    batch: list[PreparedVideo] = []
    for video in videos:
        batch.append(video)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
