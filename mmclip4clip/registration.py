"""Where ``mmaction.registry`` finds the classes of this package, when one is looked up."""

from importlib import import_module

from mmaction import registry
from mmengine.registry import Registry

# Importing one of these modules registers its classes. RUN_START makes a lookup apply the patches of compat.
RUN_START = 'mmclip4clip.run_start'
LOCATIONS = {
    'MODELS': ['mmclip4clip.models'],
    'DATASETS': ['mmclip4clip.datasets'],
    'DATA_SAMPLERS': ['mmclip4clip.datasets'],
    'TRANSFORMS': ['mmclip4clip.datasets'],
    'METRICS': ['mmclip4clip.evaluation', 'mmclip4clip.moving_shapes'],
    'HOOKS': ['mmclip4clip.engine'],
    'LOOPS': ['mmclip4clip.engine'],
    'OPTIMIZERS': ['mmclip4clip.engine'],
    'OPTIM_WRAPPER_CONSTRUCTORS': ['mmclip4clip.engine'],
    'PARAM_SCHEDULERS': ['mmclip4clip.engine'],
}


def register_lazily() -> None:
    """Add this package to where mmaction2's registries look, without importing any of its classes."""
    for name, locations in LOCATIONS.items():
        add_locations(getattr(registry, name), [*locations, RUN_START])


def add_locations(target: Registry, locations: list[str]) -> None:
    """Let a registry import modules at its next lookup, also if it has had its first one.

    mmengine takes locations at construction only, so this sets two attributes that are private. Without them
    the modules are imported at once.

    Args:
        target (Registry): The registry.
        locations (list[str]): Modules that register classes there when they are imported.
    """
    if not (hasattr(target, '_locations') and hasattr(target, '_imported')):
        for location in locations:
            import_module(location)
        return
    # In place: a lookup that is going on, and imports this package, comes to the new ones too.
    target._locations.extend(location for location in locations if location not in target._locations)
    target._imported = False
