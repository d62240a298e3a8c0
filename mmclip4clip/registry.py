"""The scope ``mmclip4clip`` of mmengine's registries.

mmengine builds a config that inherits from ``mmclip4clip::...`` in this scope. Its registries are children of
those of ``mmaction.registry``, where the classes of this package are registered, and find the classes there.
Register your own classes in ``mmaction.registry`` too: configs with ``default_scope='mmaction'`` find them.
"""

from mmaction import registry
from mmengine.registry import Registry

SCOPE = 'mmclip4clip'


def create_scope() -> dict[str, Registry]:
    """Create a child of each registry of mmaction2, which imports what its parent would import."""
    parents = {name: value for name, value in vars(registry).items() if isinstance(value, Registry)}
    return {
        name: Registry(parent.name, parent=parent, scope=SCOPE, locations=list(parent._locations))
        for name, parent in parents.items()
    }


globals().update(create_scope())
