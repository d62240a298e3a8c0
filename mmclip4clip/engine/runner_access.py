"""Access the datasets, loops, model and tokenizers that a runner has built, without their wrappers."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from mmengine.model import is_model_wrapper
from mmengine.runner.base_loop import BaseLoop
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel

from ..datasets.pipeline_description import pipelines
from ..datasets.pipeline_steps import find_step
from ..datasets.transforms import TokenizeCaptions
from ..models.backbones.families import FAMILIES
from ..models.weight_check import FSDP
from ..tokenizers.saved_tokenizer import CAPTIONS, DECODER


def loaded_datasets(runner) -> dict[str, Any]:
    """Return the built datasets by the config key of their loader, such as ``'train_dataloader'``."""
    loops = {
        f'{stage}_dataloader': built_loops(runner, f'_{stage}_loop') for stage in ('train', 'val', 'test')
    }
    loaders: dict[str, Any] = {
        key: getattr(loop[0], 'dataloader', None) for key, loop in loops.items() if loop
    }
    return {key: loader.dataset for key, loader in loaders.items() if hasattr(loader, 'dataset')}


def built_datasets(runner) -> dict[str, Any]:
    """Return the built datasets by ``'training'`` and ``'evaluation'``."""
    loaded = loaded_datasets(runner)
    found = dict(
        training=loaded.get('train_dataloader'),
        evaluation=loaded.get('val_dataloader', loaded.get('test_dataloader')),
    )
    return {stage: dataset for stage, dataset in found.items() if dataset is not None}


def built_loops(runner, *names: str) -> list:
    """Return the loops with these attribute names that the runner has built."""
    return [loop for loop in (getattr(runner, name, None) for name in names) if isinstance(loop, BaseLoop)]


def steps_of(dataset: Any, kind: type) -> list:
    """Return the first transform of a class in each pipeline that has one."""
    found = (find_step(transforms, kind) for _, transforms in pipelines(dataset))
    return [step for step in found if step is not None]


def tokenizers_of(runner) -> dict[str, Any]:
    """Return the tokenizers by role: for the captions that CLIP reads, and those that the decoder writes."""
    steps = [
        step for dataset in built_datasets(runner).values() for step in steps_of(dataset, TokenizeCaptions)
    ]
    found = {CAPTIONS: steps[0].tokenizer} if steps else {}
    if captioner_of(runner) is not None:
        found[DECODER] = captioner_of(runner).tokenizer
    return found


def unwrapped_model(runner) -> Any:
    """Return the model without its wrapper for distributed training."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def whole_weights(runner) -> dict[str, Tensor]:
    """Return the state dict of the model; names and shapes only, if FSDP divides it among processes."""
    strategy = getattr(runner, 'strategy', None)
    return getattr(strategy, 'whole_weights', None) or unwrapped_model(runner).state_dict()


def local_weights(runner) -> dict[str, Tensor]:
    """Return the state dict of the model; this process's parts of it, if FSDP divides it among processes."""
    model = unwrapped_model(runner)
    if not isinstance(runner.model, FullyShardedDataParallel):
        return model.state_dict()
    parts = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {name.replace(FSDP, ''): value for name, value in parts.items()}


def with_whole_weights(model: nn.Module) -> AbstractContextManager:
    """Return a context in which each process has all weights of a model that FSDP divides.

    Within it, functions of the model can be called, but neither its ``forward`` nor that of its blocks.
    """
    if isinstance(model, FullyShardedDataParallel):
        return FullyShardedDataParallel.summon_full_params(model, writeback=False)
    return nullcontext()


def captioner_of(runner) -> Any:
    """Return the runner's model if it generates captions, else None."""
    model = unwrapped_model(runner)
    return model if hasattr(model, 'tokenizer') and hasattr(model, 'decoder') else None


def clip_of(runner) -> Any:
    """Return the dual encoder of the runner's model, or None if its backbone is of another kind."""
    backbone = getattr(unwrapped_model(runner), 'backbone', None)
    clip = getattr(backbone, 'clip', None)
    return clip if getattr(getattr(clip, 'config', None), 'model_type', None) in FAMILIES else None
