"""The pipeline of a config for videos without captions."""

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from mmaction.registry import TRANSFORMS
from mmengine.config import Config
from mmengine.dataset import Compose

from ..datasets import DecodeVideo, PackVideoCaptions, SegmentDecoder, TokenizeCaptions
from ..datasets.frame_shape import find_frame_shape
from ..datasets.pipeline_steps import all_steps
from ..datasets.video_readers.backends import default_backends
from ..models.backbones.frame_format import FrameFormat
from .clip_choice import TOKENIZE, TOKENIZE_TARGETS, class_name
from .segment_parts import PreparedSegments

CACHE, PACK = 'CacheFrames', 'PackVideoCaptions'
# mmaction2's steps that open a video, their counterparts that decode it, and the backend of DecodeVideo.
READERS = dict(Decord='decord', PyAV='pyav', OpenCV='opencv')
NOT_FRAMES = (TOKENIZE, TOKENIZE_TARGETS, PACK)
NO_CAPTIONS = np.zeros((0, 1), np.int64)


def find_pipeline(cfg: Config) -> list[dict]:
    """Return a copy of the pipeline of the test, or else of the validation.

    Raises:
        ValueError: If the config has neither.
    """
    for key in ('test_dataloader', 'val_dataloader'):
        found = next(pipelines_in(cfg.get(key)), None)
        if found is not None:
            return copy.deepcopy(list(found))
    raise ValueError('the config has no pipeline in test_dataloader.dataset or val_dataloader.dataset')


def build_tokenizer(pipeline: Sequence[dict], name: str | None = None) -> TokenizeCaptions:
    """Build the step that tokenizes captions.

    Args:
        pipeline (Sequence[dict]): Configs of the steps.
        name (str, optional): Tokenizer to load instead of the config's.

    Raises:
        ValueError: If the pipeline has no such step.
        OSError: If the tokenizer cannot be loaded.
    """
    for step in pipeline:
        if class_name(step) == TOKENIZE:
            return TRANSFORMS.build(dict(step, **{} if name is None else dict(tokenizer=name)))
    raise ValueError(f'the pipeline has no {TOKENIZE}: {[class_name(step) for step in pipeline]}')


class FramePipeline:
    """The steps of a pipeline that prepare the frames of a video, without its captions.

    Frames come from the file, not from a cache, and from :class:`DecodeVideo` also where the config has the
    steps of mmaction2. If the pipeline does not resize frames, they get the size of the encoder; frames of
    that size do not change.

    Args:
        pipeline (Sequence[dict]): Configs of the steps.
        format (FrameFormat, optional): Frames of the encoder, if they are known.

    Raises:
        ValueError: If the pipeline does not decode videos.

    Examples:
        >>> steps = [dict(type='DecodeVideo', sampling=dict(type='SampleEvenly', num_frames=2))]
        >>> prepare = FramePipeline([*steps, dict(type='FormatShape', input_format='NCHW')])
        >>> frames = np.zeros((8, 48, 64, 3), np.uint8)
        >>> prepare(dict(filename='array', decoded_frames=frames, decoded_fps=4))['inputs']['imgs'].shape
        torch.Size([2, 3, 48, 64])
    """

    def __init__(self, pipeline: Sequence[dict], format: FrameFormat | None = None) -> None:
        steps = [step for step in decoding_steps(pipeline) if class_name(step) not in NOT_FRAMES]
        transforms = Compose([TRANSFORMS.build(step) for step in steps]).transforms
        decoders = [step for step in all_steps(transforms) if isinstance(step, DecodeVideo)]
        if not decoders:
            raise ValueError(f'the pipeline has no DecodeVideo: {[class_name(step) for step in pipeline]}')
        if format is not None and find_frame_shape(transforms).size is None:
            values = dict(size=format.size, interpolation=format.interpolation, keep_ratio=format.keep_ratio)
            names = [class_name(step) for step in steps]
            place = names.index('FormatShape') if 'FormatShape' in names else len(names)
            transforms.insert(place, TRANSFORMS.build(dict(type='ResizeCenterCrop', **values)))
        self.transforms = Compose([*transforms, PackVideoCaptions(['video_id', 'filename', 'start', 'end'])])
        rates = [getattr(step, 'fps', None) for step in all_steps(decoders[0].sampling.transforms)]
        self.sampled_fps = float(next((rate for rate in rates if rate), 1.0))

    def prepare_segments(self, item: dict, plan: Callable) -> Iterator[PreparedSegments]:
        """Decode the segments of one video, each frame once, and pack them in chunks.

        Args:
            item (dict): As for one video, with ``filename``.
            plan (Callable): See :class:`SegmentDecoder`.

        Raises:
            VideoReadError: If it cannot be read.
            ValueError: If a step does not keep the number of frames, such as ``ThreeCrop``.
        """
        steps = self.transforms.transforms
        place = next(number for number, step in enumerate(steps) if isinstance(step, DecodeVideo))
        item = Compose(steps[:place])(dict(item, tokens=NO_CAPTIONS, text_mask=NO_CAPTIONS))
        for chunk in SegmentDecoder(steps[place])(item, plan):
            packed = Compose(steps[place + 1 :])(chunk.results)
            yield PreparedSegments(packed, *chunk[1:])

    def __call__(self, item: dict) -> dict:
        """Decode and pack one video.

        Raises:
            VideoReadError: If it cannot be read.
        """
        return self.transforms(dict(item, tokens=NO_CAPTIONS, text_mask=NO_CAPTIONS))


def decoding_steps(pipeline: Sequence[dict]) -> list[dict]:
    """Replace caches by their transforms, and mmaction2's steps that read videos by ``DecodeVideo``.

    Examples:
        >>> sample = dict(type='SampleEvenly', num_frames=2)
        >>> decoding_steps([dict(type='PyAVInit'), sample, dict(type='PyAVDecode')])[0]['sampling']
        [{'type': 'SampleEvenly', 'num_frames': 2}]
    """
    steps: list[dict] = []
    for step in pipeline:
        steps += decoding_steps(step['transforms']) if class_name(step) == CACHE else [step]
    names = [class_name(step) for step in steps]
    for library, backend in READERS.items():
        begin, end = f'{library}Init', f'{library}Decode'
        if begin in names and end in names[names.index(begin) :]:
            first, last = names.index(begin), names.index(end)
            usable = default_backends()
            order = [backend] * (backend in usable) + [name for name in usable if name != backend]
            decode = dict(type='DecodeVideo', sampling=steps[first + 1 : last], backends=order)
            return [*steps[:first], decode, *steps[last + 1 :]]
    return steps


def pipelines_in(value: Any) -> Iterator[Sequence[dict]]:
    """Yield the pipelines in the config of a dataloader, whose datasets may be wrapped or joined."""
    if isinstance(value, dict):
        if isinstance(value.get('pipeline'), (list, tuple)):
            yield value['pipeline']
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from pipelines_in(part)
