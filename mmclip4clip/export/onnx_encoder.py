"""The graphs of an exported model, run by ONNX Runtime."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .export_folder import ADAPTER, FRAMES, TEXT, ExportError, read_export

FRAMES_AT_ONCE = 64  # of several videos, which bounds memory


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
        >>> OnnxEncoder(Path('export')).encode_text(ids, mask).shape  # doctest: +SKIP
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

    def encode_text(self, tokens: np.ndarray, text_mask: np.ndarray) -> np.ndarray:
        """Encode token ids (N, L) with mask (N, L) into caption features, not normalized, (N, D)."""
        return self._run(TEXT, tokens=tokens, text_mask=text_mask)

    def encode_videos(self, videos: Sequence[np.ndarray]) -> np.ndarray:
        """Encode V videos, each of frames (T, 3, H, W) uint8, into unit vectors, (V, D)."""
        if self.settings.neighbors:
            return self._adapt([self._encode_with_neighbors(frames) for frames in videos])
        lengths = [len(frames) for frames in videos]
        features = self._encode_frames(np.concatenate(list(videos)))
        return self._adapt(np.split(features, np.cumsum(lengths)[:-1]))

    def encode_segments(self, frames: np.ndarray, positions: Sequence[np.ndarray]) -> np.ndarray:
        """Encode segments of one video that share frames.

        Args:
            frames (np.ndarray): U different frames, (U, 3, H, W) uint8.
            positions (Sequence[np.ndarray]): Positions of the frames of each segment, (T,) each.

        Returns:
            np.ndarray: Unit vectors of the segments, (S, D).
        """
        if self.settings.neighbors:
            return self.encode_videos([frames[places] for places in positions])
        features = self._encode_frames(frames)
        return self._adapt([features[places] for places in positions])

    def _encode_frames(self, frames: np.ndarray) -> np.ndarray:
        parts = range(0, len(frames), FRAMES_AT_ONCE)
        return np.concatenate([self._run(FRAMES, frames=frames[i : i + FRAMES_AT_ONCE]) for i in parts])

    def _encode_with_neighbors(self, frames: np.ndarray) -> np.ndarray:
        """Encode the frames of one video (T, 3, H, W) for a 3d patch projection, (T, D)."""
        return self._run(FRAMES, frames=frames)

    def _adapt(self, features: Sequence[np.ndarray]) -> np.ndarray:
        """Contextualize and pool the frame features of videos, (T, D) each, into (V, D)."""
        lengths = np.array([len(part) for part in features])
        mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)
        padded = np.zeros((*mask.shape, features[0].shape[1]), np.float32)
        padded[mask.astype(bool)] = np.concatenate(list(features))
        return self._run(ADAPTER, frames=padded, frame_mask=mask)

    def _run(self, graph: str, **inputs: np.ndarray) -> np.ndarray:
        if graph not in self._sessions:
            self._sessions[graph] = self._load(graph)
        return self._sessions[graph].run(None, inputs)[0]

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
