"""Let mmengine find packages."""

import functools
from pathlib import Path


@functools.cache
def find_packages() -> None:
    """Let mmengine find packages without ``pkg_resources``, and this one in an editable installation.

    Symptom: for ``_base_ = 'mmaction::...'``, mmengine <= 0.10.7 asks ``pkg_resources`` for the folder of the
    package. setuptools 82 no longer has it, Python 3.12 installs no setuptools, and it names a wrong folder
    if the installation is editable.

    Safe because other packages are found as before if ``pkg_resources`` is there.
    """
    from importlib.util import find_spec

    from mmengine import utils
    from mmengine.config import config
    from mmengine.hub import hub
    from mmengine.utils import package_utils

    is_missing = find_spec('pkg_resources') is None
    find_installed, find_path = package_utils.is_installed, package_utils.get_installed_path

    def is_installed(package: str) -> bool:
        if not is_missing and package != 'mmclip4clip':
            return find_installed(package)
        return find_spec(package.replace('-', '_')) is not None

    def get_installed_path(package: str) -> str:
        if not is_missing and package != 'mmclip4clip':
            return find_path(package)
        spec = find_spec(package.replace('-', '_'))
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f'there is no package {package!r}, or it is a namespace package')
        return str(Path(spec.origin).parent)

    for module in (package_utils, utils, config, hub):
        for function in (is_installed, get_installed_path):
            if hasattr(module, function.__name__):
                setattr(module, function.__name__, function)
