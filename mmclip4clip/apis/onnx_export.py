"""Write a model of torch as a folder of ONNX files."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from ..datasets import (
    DecodeVideo,
    PackVideoCaptions,
    ResizeCenterCrop,
    SampleAtRate,
    SampleEvenly,
    TimeWindow,
)
from ..datasets.pipeline_description import describe_step
from ..export.caption_reader import CaptionReader
from ..export.export_folder import (
    GRAPHS,
    SETTINGS,
    TOKENIZER,
    ExportSettings,
    PairScoring,
    file_sizes,
    is_export,
)
from ..export.graphs import check_exportable
from ..export.onnx_files import OPSET, write_graphs
from ..export.part_names import TEXT_MASK
from ..export.quantization import quantize_towers
from ..models.backbones.families import image_size
from ..search.feature_layout import FeatureLayout
from ..tokenizers.caption_text import reads_lowercase
from ..tokenizers.saved_tokenizer import PROBES
from ..version import __version__
from .frame_pipeline import FramePipeline
from .search_model import SearchModel
from .video_text_model import VideoTextModel

SAMPLERS = (SampleAtRate, SampleEvenly, TimeWindow)
PAIRS_AT_ONCE = 128  # of adapters that do not say how many
INT8 = '+int8'  # at the end of the fingerprint: the vectors differ from those of the float32 weights


def export_onnx(model: VideoTextModel, folder: str | Path, int8: bool = False) -> Path:
    """Write a model as ONNX files, which :func:`load` runs without torch.

    Args:
        model (VideoTextModel): The model, as :func:`load` returns it.
        folder (str | Path): New or empty folder, or that of an earlier export, which is replaced.
        int8 (bool): Whether to keep the matrices of the towers in 8 bits.

    Returns:
        Path: The folder.

    Raises:
        FileExistsError: If the folder has other files.
        TypeError: If the adapter has no export.
        ValueError: If the pipeline or the tokenizer has no equivalent without torch.
        RuntimeError: If torch cannot export the model.
        ImportError: If a package of the extra ``onnx`` is missing.

    Examples:
        >>> import mmclip4clip
        >>> export_onnx(mmclip4clip.load('epoch_5.pth', device='cpu'), 'onnx')  # doctest: +SKIP
        >>> mmclip4clip.load('onnx').similarity(['a dog'], ['a.mp4'])  # doctest: +SKIP
        array([[0.31]], dtype=float32)
    """
    folder = Path(folder)
    check_replaceable(folder)
    check_exportable(model.model.adapter)
    frames = describe_frames(model)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f'.{folder.name}-') as name:
        new = Path(name)
        captions = write_tokenizer(model, new)
        searched, scoring = SearchModel(model), None
        if searched.layout is not None:
            scoring = describe_scoring(model, searched.layout)
        write_graphs(model.model, new, scoring)
        identity = searched.identity
        sizes = file_sizes(new)
        if int8:
            sizes = quantize_towers(new)
            identity = replace(identity, fingerprint=identity.fingerprint + INT8)
        settings = ExportSettings(
            identity,
            frames,
            captions,
            not model.model.backbone.frames_are_independent,
            'int8' if int8 else 'float32',
            dict(mmclip4clip=__version__, torch=torch.__version__, opset=OPSET),
            sizes,
            scoring,
        )
        settings.write(new)
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir()
        for path in sorted(new.iterdir(), key=lambda path: path.name == SETTINGS):  # these last
            shutil.move(path, folder / path.name)
    return folder


def check_replaceable(folder: Path) -> None:
    """Check that a folder is new, empty, or that of an earlier export and nothing else.

    Raises:
        FileExistsError: If it is a file, or has other files, which would be deleted.
    """
    if not folder.exists():
        return
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if not folder.is_dir() or (names and not is_export(folder)):
        raise FileExistsError(
            f'{folder} exists and is neither empty nor an exported model: choose another one'
        )
    others = [name for name in names if name not in (*GRAPHS, SETTINGS, TOKENIZER)]
    if others:
        raise FileExistsError(
            f'{folder} has {others[0]} beside an exported model, and all of it would be replaced: move that '
            'away, or choose another folder'
        )


def describe_scoring(model: VideoTextModel, layout: FeatureLayout) -> PairScoring:
    """Describe what a head compares, given the layout of its features of videos."""
    adapter = cast(Any, model.model.adapter)
    text = ['tokens', TEXT_MASK] if adapter.uses_tokens else ['text']
    return PairScoring(layout, text, int(getattr(adapter, 'pairs_at_once', PAIRS_AT_ONCE)))


def describe_frames(model: VideoTextModel) -> dict[str, Any]:
    """Describe how the pipeline of a model prepares frames, for :class:`FrameReader`.

    Raises:
        ValueError: If it has a step that needs torch or OpenMMLab's packages.
    """
    decode, resize = None, None
    for step in cast(FramePipeline, model.prepare).transforms.transforms:
        name = type(step).__name__
        if type(step) is DecodeVideo and decode is None:
            decode = step
        elif type(step) is ResizeCenterCrop and decode is not None and resize is None:
            resize = step
        elif not (type(step) is PackVideoCaptions or name == 'FormatShape' and step.input_format == 'NCHW'):
            raise ValueError(
                f"the pipeline has the step {name}, which needs OpenMMLab's packages: expected "
                'DecodeVideo, ResizeCenterCrop, FormatShape of NCHW and PackVideoCaptions, in this order'
            )
    if decode is None:
        raise ValueError('the pipeline has no DecodeVideo')
    unknown = [type(step).__name__ for step in decode.sampling.transforms if type(step) not in SAMPLERS]
    if unknown:
        names = ', '.join(cls.__name__ for cls in SAMPLERS)
        raise ValueError(f'DecodeVideo samples by {", ".join(unknown)}, expected {names}')
    processor = cast(Any, model.model.data_preprocessor)
    described = describe_step(decode)
    return dict(
        decode={key: described[key] for key in ('backends', 'time_limit', 'min_frames', 'max_bytes')},
        sampling=[describe_step(step) for step in decode.sampling.transforms],
        resize=None if resize is None else describe_step(resize),
        size=list(image_size(cast(Any, model.model.backbone).clip.config)),
        mean=processor.mean.flatten().tolist(),
        std=processor.std.flatten().tolist(),
    )


def write_tokenizer(model: VideoTextModel, folder: Path) -> dict[str, Any]:
    """Write the tokenizer of captions, and return what :class:`CaptionReader` needs beside it.

    Raises:
        ValueError: If it is not one of the library ``tokenizers``, or gives other ids by that library alone.
    """
    step = model.tokenize
    backend = getattr(step.tokenizer, 'backend_tokenizer', None)
    if backend is None or not hasattr(backend, 'to_str'):
        raise ValueError(
            f'the tokenizer {type(step.tokenizer).__name__} has no form without transformers (tokenizer.json)'
        )
    (folder / TOKENIZER).write_text(backend.to_str(), encoding='utf-8')
    captions = dict(
        start=list(step.start),
        end=list(step.end),
        max_words=step.max_words,
        lowercase=reads_lowercase(step.tokenizer),
    )
    texts = [*PROBES, ' '.join(PROBES * 4)]
    expected = step(dict(captions=texts))
    found = CaptionReader(folder, captions)(texts)
    if not all(np.array_equal(expected[key], part) for key, part in zip(('tokens', 'text_mask'), found)):
        raise ValueError(
            f'the tokenizer {type(step.tokenizer).__name__} gives other ids without transformers'
        )
    return captions
