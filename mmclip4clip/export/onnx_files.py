"""Write the graphs of a model as ONNX files."""

import inspect
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..models.backbones.families import image_size
from .export_folder import ADAPTER, FRAMES, PAIRS, TEXT, PairScoring
from .graphs import AdapterGraph, FrameGraph, PairGraph, TextGraph, check_exportable
from .part_names import FRAME_MASK, TEXT_MASK, TEXT_PREFIX, VECTOR, VIDEO_PREFIX

OPSET = 17  # the oldest with LayerNormalization; ONNX Runtime knows it since 1.12


def write_graphs(model: Any, folder: Path, scoring: PairScoring | None = None) -> None:
    """Write both towers and the adapter of a model, and for a head that compares more the score of pairs.

    The batch, the number of tokens and the number of frames stay free.

    Args:
        model (CLIP4ClipRetriever): The model, on the CPU.
        folder (Path): Existing folder.
        scoring (PairScoring, optional): Parts of the features of such a head.

    Raises:
        TypeError: If the adapter has no export.
        RuntimeError: If torch cannot export a tower.
    """
    model = model.eval()
    check_exportable(model.adapter)
    height, width = image_size(model.backbone.clip.config)
    count = min(3, model.adapter.max_frames or 3)
    frames = torch.zeros(count, 3, height, width, dtype=torch.uint8)
    ids = torch.ones(2, 5, dtype=torch.long)
    texts = dict(tokens=(ids, 'NL'), text_mask=(ids, 'NL'))
    mask = torch.ones(3, count, dtype=torch.long)
    videos = dict(frames=(torch.rand(3, count, model.backbone.width), 'VT'), frame_mask=(mask, 'VT'))
    text_outputs, video_outputs = dict(text='N'), dict(video='V')
    if scoring is not None:
        text_axes, video_axes = part_axes(scoring)
        text_outputs = {name: axes for name, axes in text_axes.items() if not name.endswith(TEXT_MASK)}
        video_outputs = {name: axes for name, axes in video_axes.items() if not name.endswith(FRAME_MASK)}
        text_outputs[VECTOR], video_outputs[VECTOR] = 'N', 'V'
    text = _write(TextGraph(model), folder / TEXT, texts, text_outputs)
    with fixed_positions(model.backbone.clip):
        _write(FrameGraph(model), folder / FRAMES, dict(frames=(frames, 'T')), dict(features='T'))
    video = _write(AdapterGraph(model), folder / ADAPTER, videos, video_outputs)
    if scoring is not None:
        known = {**text, **video, TEXT_PREFIX + TEXT_MASK: ids, VIDEO_PREFIX + FRAME_MASK: mask}
        parts = {name: (known[name], axes) for name, axes in {**text_axes, **video_axes}.items()}
        graph = PairGraph(model, scoring.text, list(scoring.layout.parts))
        _write(graph, folder / PAIRS, parts, dict(scores='NV'))


def part_axes(scoring: PairScoring) -> tuple[dict[str, str], dict[str, str]]:
    """Return the names of the parts of texts and of videos in graphs, each with a letter per free axis."""
    per_token = ('tokens', TEXT_MASK)
    text = {TEXT_PREFIX + name: 'NL' if name in per_token else 'N' for name in scoring.text}
    parts = scoring.layout.parts.items()
    return text, {VIDEO_PREFIX + name: 'VT' if part.per_frame else 'V' for name, part in parts}


def _write(
    graph: nn.Module, path: Path, inputs: dict[str, tuple[Tensor, str]], outputs: dict[str, str]
) -> dict[str, Tensor]:
    """Write a graph, given an example and the free axes of each input, and return its outputs by name."""
    axes = {name: letters for name, (_, letters) in inputs.items()} | outputs
    options: dict[str, Any] = dict(
        input_names=list(inputs),
        output_names=list(outputs),
        dynamic_axes={name: dict(enumerate(letters)) for name, letters in axes.items()},
        opset_version=OPSET,
    )
    if 'dynamo' in inspect.signature(torch.onnx.export).parameters:
        # The exporter of TorchScript: it is in all versions, takes seconds instead of a minute, and needs no
        # other package.
        options['dynamo'] = False
    examples = tuple(value for value, _ in inputs.values())
    with torch.no_grad(), silence(), exportable_attention():
        try:
            torch.onnx.export(graph.eval(), examples, str(path), **options)
            found = graph(*examples)
        except Exception as error:  # torch.onnx raises errors of many classes
            raise RuntimeError(
                f'torch {torch.__version__} cannot export the {type(graph).__name__} of this model: {error}'
            ) from error
    return dict(zip(outputs, found if isinstance(found, tuple) else (found,)))


@contextmanager
def silence() -> Iterator[None]:
    """Keep back what torch prints: of Python values of shapes, and the whole graph after an error."""
    logger = logging.getLogger('torch.onnx')
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter('ignore')
        try:
            yield
        finally:
            logger.setLevel(level)


@contextmanager
def fixed_positions(clip: Any) -> Iterator[None]:
    """Let SigLIP 2 take positions for its only frame size, instead of resizing them for each frame.

    ONNX has no operator for that. All frames of a pipeline have the same size.
    """
    embeddings = clip.vision_model.embeddings
    if not hasattr(embeddings, 'resize_positional_embeddings'):
        yield
        return
    rows, columns = (side // clip.config.vision_config.patch_size for side in image_size(clip.config))
    side = embeddings.position_embedding_size
    grid = embeddings.position_embedding.weight.detach().reshape(side, side, -1)
    shape = torch.tensor([[rows, columns]])
    fixed = embeddings.resize_positional_embeddings(grid, shape, max_length=rows * columns)  # (1, P, D)
    embeddings.resize_positional_embeddings = lambda grid, shapes, max_length: fixed.expand(
        shapes.shape[0], -1, -1
    )
    try:
        yield
    finally:
        del embeddings.resize_positional_embeddings


@contextmanager
def exportable_attention() -> Iterator[None]:
    """Compute attention step by step.

    torch 2.2 cannot export ``scaled_dot_product_attention`` with a scale, and no version the fused form of
    ``nn.MultiheadAttention``, which SigLIP has. The graph is the same as where torch can.
    """
    fused, backend = F.scaled_dot_product_attention, getattr(torch.backends, 'mha', None)  # since torch 2.3
    enabled = backend is not None and backend.get_fastpath_enabled()
    F.scaled_dot_product_attention = attend  # type: ignore[assignment]
    if backend is not None:
        backend.set_fastpath_enabled(False)
    try:
        yield
    finally:
        F.scaled_dot_product_attention = fused
        if backend is not None:
            backend.set_fastpath_enabled(enabled)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    **_: Any,
) -> Tensor:
    """Compute what ``scaled_dot_product_attention`` does without dropout, for (..., L, C).

    Examples:
        >>> parts, mask = torch.rand(3, 2, 4, 5, 8), torch.rand(2, 1, 5, 5) > 0.2
        >>> torch.allclose(attend(*parts, mask), F.scaled_dot_product_attention(*parts, mask), atol=1e-6)
        True
    """
    scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones_like(scores, dtype=torch.bool).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, float('-inf'))
    elif attn_mask is not None:
        scores = scores + attn_mask
    return scores.softmax(dim=-1) @ value
