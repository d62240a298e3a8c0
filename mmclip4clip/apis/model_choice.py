"""Load a model by torch, or by ONNX Runtime where it was exported."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from ..export.export_folder import SETTINGS, is_export
from ..installed_versions import check_versions
from .onnx_model import OnnxVideoTextModel

if TYPE_CHECKING:
    from .model_sources import AnyConfig
    from .video_text_model import VideoTextModel

Backend: TypeAlias = Literal['torch', 'onnx']


@overload
def load(
    source: str | Path,
    config: 'AnyConfig | None' = None,
    device: str | None = None,
    backend: None = None,
) -> 'Any': ...


@overload
def load(
    source: str | Path,
    config: 'AnyConfig | None' = None,
    device: str | None = None,
    *,
    backend: Literal['torch'],
) -> 'VideoTextModel': ...


@overload
def load(
    source: str | Path,
    config: 'AnyConfig | None' = None,
    device: str | None = None,
    *,
    backend: Literal['onnx'],
) -> OnnxVideoTextModel: ...


def load(
    source: str | Path,
    config: 'AnyConfig | None' = None,
    device: str | None = None,
    backend: Backend | None = None,
) -> Any:
    """Load a model to encode videos and texts, compare them, and write captions.

    A checkpoint of this version contains its config, its encoder's config and its tokenizers, and needs
    nothing else. The config is read as plain data, and nothing in the checkpoint is run.

    Args:
        source (str | Path): A checkpoint of a training. Or a folder, or a name on the Hugging Face hub, of a
            dual encoder such as CLIP or SigLIP: it is used without training, with the mean of the frames
            (zero-shot). Or the name of published weights, see :func:`list_presets`, which are used with their
            config. Or the name of a config, see :func:`list_models`, whose pretrained encoder is used
            without training. Or a folder that ``tools/model_converters/export_onnx.py`` wrote, whose model
            runs without torch.
        config (str | Path | Config | dict, optional): The config of the model, or its name; needed for
            checkpoints without one, of earlier versions and of converters. It is run as Python code.
        device (str, optional): Such as ``'cpu'`` or ``'cuda:1'``. By default a GPU if there is one, and
            the CPU for an exported model.
        backend (str, optional): ``'torch'`` or ``'onnx'``; by default ``'onnx'`` for an exported model, and
            ``'torch'`` for all others.

    Returns:
        VideoTextModel | OnnxVideoTextModel: The model, in evaluation mode.

    Raises:
        FileNotFoundError: If the checkpoint or the config does not exist.
        CheckpointFileError: If the checkpoint is damaged, or contains more than plain values.
        RuntimeError: If the checkpoint does not fit the config.
        ValueError: If the checkpoint has no config, or names classes that are not registered; if a model
            without a checkpoint has untrained parameters; if the source is not for this backend; if an
            exported model is damaged or incomplete; or if the device cannot be used.
        OSError: If a pretrained encoder or tokenizer cannot be loaded.
        ImportError: If a package of the backend is missing.

    Examples:
        >>> import mmclip4clip
        >>> model = mmclip4clip.load('work_dirs/clip4clip/epoch_5.pth')  # doctest: +SKIP
        >>> model.similarity(['a dog runs'], ['a.mp4', 'b.mp4'])  # doctest: +SKIP
        array([[0.31, 0.12]], dtype=float32)
        >>> mmclip4clip.load('no-such.pth')
        Traceback (most recent call last):
        FileNotFoundError: the checkpoint no-such.pth does not exist
    """
    if backend not in (None, 'torch', 'onnx'):
        raise ValueError(f"backend must be 'torch' or 'onnx', got {backend!r}")
    exported = is_export(source)
    if backend == 'onnx' and not exported:
        raise ValueError(
            f"backend='onnx' needs a folder with {SETTINGS}, and {source} is none: make one with "
            f'python tools/model_converters/export_onnx.py {source} OUT_FOLDER'
        )
    if backend == 'torch' and exported:
        raise ValueError(
            f"{source} was exported to ONNX: load it with backend='onnx', or load its checkpoint"
        )
    if exported:
        if config is not None:
            raise ValueError(f'{source} was exported to ONNX, so it takes no config')
        return OnnxVideoTextModel(source, device)
    check_versions(with_torch=True)
    from .model_loading import load as load_by_torch

    return load_by_torch(source, config, device)
