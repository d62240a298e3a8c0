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
    Features are numpy arrays of float32 and unit length, one vector per video and text, and the similarity is
    their dot product, the cosine. Up to rounding they are those of the torch model.

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

    scores_by_cosine, is_captioner = True, False

    def __init__(self, folder: str | Path, device: str | None = None) -> None:
        path = Path(folder).expanduser()
        self.name, self.encoder = str(folder), OnnxEncoder(path, device)
        self.settings = self.encoder.settings
        self.tokenize = CaptionReader(path, self.settings.captions)
        self.unreadable: dict[int, str] = {}

    @cached_property
    def frames(self) -> 'FrameReader':
        """What decodes, samples and resizes videos; made when it is first used, because it imports PyAV."""
        from ..export.frame_reader import FrameReader

        return FrameReader(self.settings.frames)

    def encode_videos(
        self, videos: Any, batch_size: int = 16, num_workers: int = 0, show_progress: bool | None = None
    ) -> np.ndarray:
        """Encode videos into unit vectors; see :meth:`VideoTextModel.encode_videos`.

        Args:
            videos (Any): Paths, time ranges of files and arrays of frames.
            batch_size (int): Videos per batch.
            num_workers (int): Processes that decode ahead; 0 decodes in this one.
            show_progress (bool, optional): Whether to show a progress bar; by default on a terminal.

        Returns:
            np.ndarray: One row per video, in the same order, (V, D) float32; 0 for an unreadable video.

        Raises:
            ValueError, TypeError, FileNotFoundError: If a video has another form, or files do not exist.
            VideoReadError: If none of the videos can be read.
        """
        found, size = read_videos(videos), check_size(batch_size, 'batch_size')
        rows = np.zeros((len(found), self.settings.identity.width), np.float32)
        self.unreadable = {}
        prepared = with_progress(self._prepare(found, num_workers), show_progress)
        for batch in _batches(prepared, size):
            readable = [video for video in batch if video.packed is not None]
            self._report(found, [video for video in batch if video.packed is None])
            if readable:
                frames = [video.packed['frames'] for video in readable if video.packed is not None]
                rows[[video.position for video in readable]] = self.encoder.encode_videos(frames)
        if len(self.unreadable) == len(found):
            reasons = '\n  '.join(list(self.unreadable.values())[:SHOWN])
            raise VideoReadError(f'none of the {len(found)} videos can be read:\n  {reasons}')
        return rows

    def encode_text(self, text: str | Sequence[str], batch_size: int = 256) -> np.ndarray:
        """Encode captions into unit vectors; see :meth:`VideoTextModel.encode_text`.

        Args:
            text (str | Sequence[str]): The captions; a single one counts as a list of one.
            batch_size (int): Captions per batch.

        Returns:
            np.ndarray: One row per caption, (N, D) float32.

        Raises:
            ValueError: If there is no caption, or one is blank.
            TypeError: If a caption is not a string.
        """
        captions, size = read_texts(text), check_size(batch_size, 'batch_size')
        starts = range(0, len(captions), size)
        parts = [self.encoder.encode_text(*self.tokenize(captions[i : i + size])) for i in starts]
        features = np.concatenate(parts)
        return features / np.maximum(np.linalg.norm(features, axis=-1, keepdims=True), 1e-12)

    def similarity(self, text: Any, videos: Any) -> np.ndarray:
        """Score every caption with every video by the cosine.

        Args:
            text (Any): Output of :meth:`encode_text`, or captions, which are encoded.
            videos (Any): Output of :meth:`encode_videos`, or videos, which are encoded.

        Returns:
            np.ndarray: Similarity, (N, V) float32. Minus infinity for videos that could not be read.

        Raises:
            ValueError: If vectors have another width than those of this model.
        """
        captions = _as_vectors(text) if _is_vectors(text) else self.encode_text(text)
        encoded = _as_vectors(videos) if _is_vectors(videos) else self.encode_videos(videos)
        width = self.settings.identity.width
        if captions.shape[1] != width or encoded.shape[1] != width:
            raise ValueError(
                f'features of text {captions.shape} and videos {encoded.shape} do not fit {self.name}, whose '
                f'vectors have the width {width}'
            )
        readable = (encoded != 0).any(axis=1)
        return np.where(readable, captions @ encoded.T, np.float32('-inf'))

    def check_captioner(self) -> None:
        """Raise an error, because decoders are not exported.

        Raises:
            TypeError: Always.
        """
        raise TypeError(
            f'{self.name} was exported to ONNX, which has no caption decoder: load the checkpoint of a '
            'CLIP4ClipCaptioner'
        )

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


def _is_vectors(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind not in 'OU' and value.ndim <= 2


def _as_vectors(value: np.ndarray) -> np.ndarray:
    return np.atleast_2d(np.asarray(value, np.float32))
