"""Importing this module applies the patches of :mod:`mmclip4clip.compat`.

It is for configs (``custom_imports``) and registries (:mod:`mmclip4clip.registration`), which can only name
modules to import. Python code calls ``compat.apply_patches()`` instead.
"""

from .compat import apply_patches

apply_patches()
