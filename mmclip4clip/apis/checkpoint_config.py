"""The config in a checkpoint, read as plain data and without importing what it names."""

from typing import Any

from mmaction import registry as mmaction_registry
from mmengine import registry as mmengine_registry
from mmengine.config import Config

from ..safe_config import plain_assignments
from .clip_choice import class_name, typed_dicts
from .frame_pipeline import pipelines_in

REGISTRIES = ('MODELS', 'TRANSFORMS')
SCOPES = ('mmaction', 'mmengine', 'mmcv')
PACKAGE = 'mmclip4clip'


def config_of(checkpoint: Any, name: str) -> Config:
    """Return the config that mmengine saved in a checkpoint.

    The text is parsed and not run. Only classes that are registered already can be built from the result, so
    a forged checkpoint cannot name others.

    Args:
        checkpoint (Any): Content of the file.
        name (str): The file, for error messages.

    Raises:
        ValueError: If there is no config, or it names classes that are not registered.

    Examples:
        >>> text = "model = dict(type='CLIP4ClipRetriever', adapter=dict(type='MeanAdapter'))"
        >>> config_of(dict(meta=dict(cfg=text)), 'epoch_1.pth').model.adapter
        {'type': 'MeanAdapter'}
    """
    meta = checkpoint.get('meta') if isinstance(checkpoint, dict) else None
    text = meta.get('cfg') if isinstance(meta, dict) else None
    values = plain_assignments(text)[0] if isinstance(text, str) else {}
    if not isinstance(values.get('model'), dict):
        raise ValueError(
            f'the checkpoint {name} has no config, as those of earlier versions and of converters: give the '
            'config that it was trained with, as config=FILE'
        )
    cfg = Config({key: value for key, value in values.items() if isinstance(key, str)})
    _drop_init_cfg(cfg.model)
    use_registered_names(cfg.model, name, _imports(cfg))
    for key in ('test_dataloader', 'val_dataloader'):
        for pipeline in pipelines_in(cfg.get(key)):
            use_registered_names(list(pipeline), name, _imports(cfg))
    return cfg


def use_registered_names(value: Any, name: str, imports: list[str]) -> None:
    """Write the names of registered classes for those that are given by their module.

    mmengine imports a class that is not registered by its path, and calls it.

    Args:
        value (Any): Nested configs of models or transforms; changed in place.
        name (str): The checkpoint, for error messages.
        imports (list[str]): Modules that its config imports.

    Raises:
        ValueError: If a class is not registered.
    """
    known = _registered()
    for step in typed_dicts(value):
        kind, path = class_name(step), str(step['type'])
        package = path.partition('.')[0]
        is_alias = path == kind or package in SCOPES
        if kind in known and (is_alias or known[kind].__module__.partition('.')[0] == package):
            step['type'] = kind
            step.pop('_scope_', None)
            continue
        others = [module for module in imports if module.partition('.')[0] != PACKAGE]
        raise ValueError(
            f'the config in the checkpoint {name} names {path!r}, which is not registered. '
            + (f'It imports {others}, which is not done for a checkpoint. ' if others else '')
            + 'Import the module that registers it before, or give config=FILE'
        )


def _drop_init_cfg(value: Any) -> None:
    """Remove files to start a training from; the checkpoint has the weights."""
    for part in typed_dicts(value):
        part.pop('init_cfg', None)


def _registered() -> dict[str, type]:
    """Return the registered models and transforms by name."""
    found: dict[str, type] = {}
    for package in (mmengine_registry, mmaction_registry):
        for name in REGISTRIES:
            registry = getattr(package, name)
            registry.import_from_location()
            found.update(registry.module_dict)
    return found


def _imports(cfg: Config) -> list[str]:
    imports = cfg.get('custom_imports')
    modules = imports.get('imports') if isinstance(imports, dict) else None
    return [str(module) for module in modules] if isinstance(modules, (list, tuple)) else []
