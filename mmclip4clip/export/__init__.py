"""Models as ONNX files: writing them with torch, and running them without it."""

from typing import TYPE_CHECKING

from ..lazy_exports import lazy_exports

if TYPE_CHECKING:
    from .export_folder import ExportError, ExportSettings, read_export
    from .onnx_encoder import OnnxEncoder

__all__ = ['ExportError', 'ExportSettings', 'OnnxEncoder', 'read_export']

__getattr__ = lazy_exports(
    __name__,
    dict(
        export_folder=['ExportError', 'ExportSettings', 'read_export'],
        onnx_encoder=['OnnxEncoder'],
    ),
)
