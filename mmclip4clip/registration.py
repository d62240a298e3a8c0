"""Registration of the package: its classes in ``mmaction.registry``, its configs in mmengine."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmengine.registry import Registry

# Importing one of these modules registers its classes. RUN_START makes a lookup apply the patches of compat.
RUN_START = 'mmclip4clip.run_start'
LOCATIONS = {
    'MODELS': ['mmclip4clip.models'],
    'DATASETS': [
        'mmclip4clip.datasets.video_caption_dataset',
        'mmclip4clip.datasets.seeded_dataset',
        'mmclip4clip.datasets.feature_dataset',
    ],
    'DATA_SAMPLERS': ['mmclip4clip.datasets.samplers'],
    'TRANSFORMS': ['mmclip4clip.datasets.transforms.registration'],
    'METRICS': ['mmclip4clip.evaluation', 'mmclip4clip.moving_shapes'],
    'HOOKS': ['mmclip4clip.engine'],
    'INFERENCERS': ['mmclip4clip.apis.inferencers'],
    'LOOPS': ['mmclip4clip.engine'],
    'OPTIMIZERS': ['mmclip4clip.engine'],
    'OPTIM_WRAPPER_CONSTRUCTORS': ['mmclip4clip.engine'],
    'PARAM_SCHEDULERS': ['mmclip4clip.engine'],
}


def register_lazily() -> None:
    """Add the modules of this package to the locations of mmaction2's registries, without importing them."""
    from mmaction import registry
    from mmengine.registry import Registry

    for name, value in vars(registry).items():
        if isinstance(value, Registry):  # also those without classes of this package apply the patches
            add_locations(value, [*LOCATIONS.get(name, []), RUN_START])


def register_configs() -> None:
    """Let configs inherit from those of this package, as ``_base_ = 'mmclip4clip::retrieval/...'``."""
    from mmengine.config.utils import MODULE2PACKAGE

    MODULE2PACKAGE.setdefault('mmclip4clip', 'mmclip4clip')


def add_locations(target: 'Registry', locations: list[str]) -> None:
    """Make a registry import modules at its next lookup, even after its first one.

    mmengine accepts locations only in ``__init__``, so this sets two private attributes. If they do not
    exist, the modules are imported immediately.

    Args:
        target (Registry): The registry.
        locations (list[str]): Modules that register classes when they are imported.
    """
    if not (hasattr(target, '_locations') and hasattr(target, '_imported')):
        for location in locations:
            import_module(location)
        return
    # In place, so that a lookup that imports this package right now includes the new locations.
    target._locations.extend(location for location in locations if location not in target._locations)
    target._imported = False
