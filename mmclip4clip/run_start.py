"""Importing this module applies the patches of :mod:`mmclip4clip.compat`.

It is for what can only name modules to import: the ``custom_imports`` of configs, and registries, see
:mod:`mmclip4clip.registration`. Python code calls ``compat.apply_patches()`` instead.
"""

from .compat import apply_patches

apply_patches()
