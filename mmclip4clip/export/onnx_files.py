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
from .export_folder import ADAPTER, FRAMES, TEXT
from .graphs import AdapterGraph, FrameGraph, TextGraph

OPSET = 17  # the oldest with LayerNormalization; ONNX Runtime knows it since 1.12
AXES = dict(tokens='NL', text_mask='NL', frame_mask='VT')


def write_graphs(model: Any, folder: Path) -> None:
    """Write both towers and the adapter of a model.

    The batch, the number of tokens and the number of frames stay free.

    Args:
        model (CLIP4ClipRetriever): The model, on the CPU.
        folder (Path): Existing folder.

    Raises:
        TypeError: If the adapter has no export.
        RuntimeError: If torch cannot export a tower.
    """
    model = model.eval()
    height, width = image_size(model.backbone.clip.config)
    count = min(3, model.adapter.max_frames or 3)
    mask = torch.ones(2, count, dtype=torch.long)
    frames = torch.zeros(count, 3, height, width, dtype=torch.uint8)
    text = torch.ones(2, 5, dtype=torch.long)
    features = torch.rand(2, count, model.backbone.width)
    adapter = AdapterGraph(model)
    _write(TextGraph(model), folder / TEXT, dict(tokens=text, text_mask=text), 'text', 'N')
    with fixed_positions(model.backbone.clip):
        _write(FrameGraph(model), folder / FRAMES, dict(frames=frames), 'features', 'T')
    _write(adapter, folder / ADAPTER, dict(frames=features, frame_mask=mask), 'video', 'V')


def _write(graph: nn.Module, path: Path, inputs: dict[str, Tensor], output: str, axis: str) -> None:
    axes = {name: _axes(name, value) for name, value in inputs.items()}
    options: dict[str, Any] = dict(
        input_names=list(inputs),
        output_names=[output],
        dynamic_axes=dict(axes, **{output: {0: axis}}),
        opset_version=OPSET,
    )
    if 'dynamo' in inspect.signature(torch.onnx.export).parameters:
        # The exporter of TorchScript: it is in all versions, takes seconds instead of a minute, and needs no
        # other package.
        options['dynamo'] = False
    with torch.no_grad(), silence(), exportable_attention():
        try:
            torch.onnx.export(graph.eval(), tuple(inputs.values()), str(path), **options)
        except Exception as error:  # torch.onnx raises errors of many classes
            raise RuntimeError(
                f'torch {torch.__version__} cannot export the {type(graph).__name__} of this model: {error}'
            ) from error


def _axes(name: str, value: Tensor) -> dict[int, str]:
    letters = AXES.get(name) or ('VT' if value.ndim == 3 else 'T')
    return dict(enumerate(letters))


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
