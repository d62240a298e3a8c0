"""The graphs of an exported model, run by ONNX Runtime."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .export_folder import ADAPTER, FRAMES, PAIRS, TEXT, ExportError, read_export
from .padded_arrays import Arrays, blocks, count_rows, pad_rows_of
from .part_names import FRAME_MASK, TEXT_MASK, TEXT_PREFIX, VIDEO_PREFIX

FRAMES_AT_ONCE = 64  # of several videos, which bounds memory
TYPES = {
    'tensor(float)': np.float32,
    'tensor(double)': np.float64,
    'tensor(int64)': np.int64,
    'tensor(int32)': np.int32,
    'tensor(uint8)': np.uint8,
    'tensor(bool)': np.bool_,
}


class OnnxEncoder:
    """Encodes frames and captions of an exported model.

    A graph is loaded when it is first used, so a search by text loads the text tower alone.

    Args:
        folder (Path): Folder of the exported model.
        device (str, optional): ``'cpu'``, or ``'cuda'`` with ONNX Runtime for GPUs.

    Raises:
        ImportError: If ONNX Runtime is missing.
        ExportError: If the folder is damaged or incomplete.
        ValueError: If the device cannot be used.

    Examples:
        >>> OnnxEncoder(Path('export')).encode_text(ids, mask)['text'].shape  # doctest: +SKIP
        (1, 512)
    """

    def __init__(self, folder: Path, device: str | None = None) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise ImportError("exported models need ONNX Runtime: pip install 'mmclip4clip[onnx]'") from error
        self.folder, self.settings = folder, read_export(folder)
        self._runtime: Any = onnxruntime
        self._provider = find_provider(device or 'cpu', onnxruntime.get_available_providers())
        self._sessions: dict[str, Any] = {}

    def encode_text(self, tokens: np.ndarray, text_mask: np.ndarray) -> Arrays:
        """Encode token ids (N, L) with mask (N, L) into caption features, not normalized.

        Returns:
            dict[str, np.ndarray]: ``text`` (N, D). For a head that compares more, its parts, and
            ``shortlist_vector`` (N, D), of unit length, which selects candidates.
        """
        text = self._run(TEXT, tokens=tokens, text_mask=text_mask)
        scoring = self.settings.scoring
        return dict(text, text_mask=text_mask) if scoring and TEXT_MASK in scoring.text else text

    def encode_videos(self, videos: Sequence[np.ndarray]) -> Arrays:
        """Encode V videos, each of frames (T, 3, H, W) uint8.

        Returns:
            dict[str, np.ndarray]: ``video``, unit vectors (V, D). For a head that compares more, its parts,
            and ``shortlist_vector`` (V, D), of unit length, which selects candidates.
        """
        if self.settings.neighbors:
            return self._adapt([self._encode_with_neighbors(frames) for frames in videos])
        lengths = [len(frames) for frames in videos]
        features = self._encode_frames(np.concatenate(list(videos)))
        return self._adapt(np.split(features, np.cumsum(lengths)[:-1]))

    def encode_segments(self, frames: np.ndarray, positions: Sequence[np.ndarray]) -> Arrays:
        """Encode segments of one video that share frames.

        Args:
            frames (np.ndarray): U different frames, (U, 3, H, W) uint8.
            positions (Sequence[np.ndarray]): Positions of the frames of each segment, (T,) each.

        Returns:
            dict[str, np.ndarray]: Features of the segments, as of :meth:`encode_videos`.
        """
        if self.settings.neighbors:
            return self.encode_videos([frames[places] for places in positions])
        features = self._encode_frames(frames)
        return self._adapt([features[places] for places in positions])

    def score(self, text: Arrays, videos: Arrays) -> np.ndarray:
        """Score N texts with V videos by the head, in blocks of ``pairs_at_once``, (N, V).

        Args:
            text (dict[str, np.ndarray]): Parts of the features of texts.
            videos (dict[str, np.ndarray]): Parts of the features of videos.

        Raises:
            KeyError: If a part is missing.
            ValueError: If parts do not fit the graph.
        """
        scoring = self.settings.scoring
        assert scoring is not None, 'the cosine is the score of this head'
        text = {TEXT_PREFIX + name: text[name] for name in scoring.text}
        videos = {VIDEO_PREFIX + name: videos[name] for name in scoring.layout.parts}
        most = scoring.pairs_at_once
        texts_at_once, count = min(count_rows(text), most), count_rows(videos)
        rows = [
            [self._run(PAIRS, **part, **block)['scores'] for block in blocks(videos, most // texts_at_once)]
            for part in blocks(text, texts_at_once)
        ]
        return np.block(rows) if count else np.zeros((count_rows(text), 0), np.float32)

    def _encode_frames(self, frames: np.ndarray) -> np.ndarray:
        parts = range(0, len(frames), FRAMES_AT_ONCE)
        return np.concatenate([self._encode_with_neighbors(frames[i : i + FRAMES_AT_ONCE]) for i in parts])

    def _encode_with_neighbors(self, frames: np.ndarray) -> np.ndarray:
        """Encode frames (T, 3, H, W), those of one video if the patch projection is 3d, (T, D)."""
        return self._run(FRAMES, frames=frames)['features']

    def _adapt(self, features: Sequence[np.ndarray]) -> Arrays:
        """Contextualize and pool the frame features of videos, (T, D) each."""
        frames, mask = pad_rows_of(features)
        videos = self._run(ADAPTER, frames=frames, frame_mask=mask)
        scoring = self.settings.scoring
        return dict(videos, frame_mask=mask) if scoring and FRAME_MASK in scoring.layout.parts else videos

    def _run(self, graph: str, **inputs: np.ndarray) -> Arrays:
        if graph not in self._sessions:
            self._sessions[graph] = self._load(graph)
        session = self._sessions[graph]
        wanted = {entry.name: np.dtype(TYPES.get(entry.type, np.float32)) for entry in session.get_inputs()}
        try:
            found = session.run(
                None, {name: inputs[name].astype(wanted[name], copy=False) for name in wanted}
            )
        except Exception as error:  # of ONNX Runtime, which has no public base class of its errors
            shapes = {name: value.shape for name, value in inputs.items()}
            raise ValueError(f'{graph} of {self.folder} cannot take arrays of {shapes}: {error}') from error
        names = [entry.name.rpartition('.')[2] for entry in session.get_outputs()]
        return dict(zip(names, found))

    def _load(self, graph: str) -> Any:
        options = self._runtime.SessionOptions()
        options.log_severity_level = 3  # errors
        options.intra_op_num_threads = wanted_threads()
        # Threads sleep between two operations: beside other programs, threads that spin slow them down.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        try:
            return self._runtime.InferenceSession(str(self.folder / graph), options, [self._provider])
        except Exception as error:  # of ONNX Runtime, which has no public base class of its errors
            raise ExportError(
                f'{self.folder / graph} cannot be loaded by ONNX Runtime {self._runtime.__version__}: {error}'
            ) from error


def wanted_threads() -> int:
    """Return the first number of ``OMP_NUM_THREADS``, which may be a list, or 0 for one thread per core."""
    first = os.environ.get('OMP_NUM_THREADS', '').split(',')[0].strip()
    return int(first) if first.isascii() and first.isdigit() else 0


def find_provider(device: str, available: Sequence[str]) -> Any:
    """Return the execution provider of ONNX Runtime for a device.

    Raises:
        ValueError: If it is not available.

    Examples:
        >>> find_provider('cpu', ['CPUExecutionProvider'])
        'CPUExecutionProvider'
    """
    kind, _, number = device.partition(':')
    names = dict(cpu='CPUExecutionProvider', cuda='CUDAExecutionProvider')
    if names.get(kind) not in available or not (number or '0').isdigit():
        raise ValueError(f'device {device!r} cannot be used: ONNX Runtime has {", ".join(available)} here')
    return (names[kind], dict(device_id=int(number))) if number and kind == 'cuda' else names[kind]
