"""Videos as frames, by the transforms of ``datasets`` that need no torch."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..datasets.transforms.decoding import DecodeVideo
from ..datasets.transforms.resizing import ResizeCenterCrop
from ..datasets.transforms.sampling import SampleAtRate, SampleEvenly
from ..datasets.transforms.segment_decoding import SegmentDecoder, SegmentFrames
from ..datasets.transforms.time_window import TimeWindow
from ..datasets.video_readers import installed_backends
from .export_folder import ExportError

SAMPLERS: dict[str, type] = {cls.__name__: cls for cls in (SampleAtRate, SampleEvenly, TimeWindow)}


class FrameReader:
    """Decodes, samples and resizes videos as the pipeline of the model that was exported.

    Args:
        settings (dict): ``frames`` of :class:`ExportSettings`. Backends that are not installed are left out.

    Raises:
        ExportError: If they are damaged, or name unknown steps.

    Examples:
        >>> sampling = [dict(type='SampleEvenly', num_frames=2)]
        >>> read = FrameReader(dict(decode=dict(time_limit=None), sampling=sampling, resize=None))
        >>> frames = np.zeros((8, 48, 64, 3), np.uint8)
        >>> read(dict(filename='array', decoded_frames=frames, decoded_fps=4)).shape
        (2, 3, 48, 64)
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        try:
            steps = [build_step(step, SAMPLERS) for step in settings['sampling']]
            decode = dict(settings['decode'])
            usable = installed_backends()
            wanted = [name for name in decode.pop('backends', ()) if name in usable]
            self.decode = DecodeVideo(steps, backends=wanted or usable[:1], **decode)
            resize = settings['resize']
            self.resize = resize and build_step(resize, dict(ResizeCenterCrop=ResizeCenterCrop))
        except (KeyError, TypeError, ValueError) as error:
            raise ExportError(f'the exported model cannot prepare frames: {error!r}') from error
        rates = (getattr(step, 'fps', None) for step in steps)
        self.sampled_fps = float(next((rate for rate in rates if rate), 1.0))

    def __call__(self, item: dict) -> np.ndarray:
        """Return the frames of a video, (T, 3, H, W) uint8.

        Raises:
            VideoReadError: If it cannot be read.
        """
        return self._finish(self.decode(item))

    def prepare_segments(self, item: dict, plan: Callable) -> Iterator[SegmentFrames]:
        """Decode the segments of one video, each frame once, see :class:`SegmentDecoder`.

        Yields:
            SegmentFrames: A chunk, whose ``results`` have the frames (U, 3, H, W) as ``imgs``.
        """
        for chunk in SegmentDecoder(self.decode)(item, plan):
            yield chunk._replace(results=dict(imgs=self._finish(chunk.results)))

    def _finish(self, results: dict) -> np.ndarray:
        if self.resize is not None:
            results = self.resize(results)
        return np.ascontiguousarray(np.stack(results['imgs']).transpose(0, 3, 1, 2))


def build_step(step: dict[str, Any], classes: dict[str, type]) -> Any:
    """Build a step from its class name, ``type``, and arguments.

    Raises:
        ValueError: If it is none of these classes.
    """
    arguments = dict(step)
    name = arguments.pop('type')
    if name not in classes:
        raise ValueError(f'unknown step {name!r}, expected one of {sorted(classes)}')
    return classes[name](**arguments)
