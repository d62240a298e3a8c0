"""Check the installed versions of other packages against what this package was tested with.

setup.cfg has the same lower bounds, and no upper bounds: an installation must not replace what is there. The
packages of OpenMMLab are not among its requirements, because forks under other names provide the same
modules; the extra ``openmmlab`` has them.
"""

import sys
import warnings
from importlib import metadata
from typing import NamedTuple

from packaging.specifiers import SpecifierSet
from packaging.version import Version


class Upstream(NamedTuple):
    """A package that others may provide too.

    Attributes:
        tested (str): The range of versions that the tests were run with.
        names (tuple[str, ...]): Distributions that provide the module. The first one is recommended.
        broken (str): Versions that are known to fail; empty if none is.
        reason (str): What fails with them.
    """

    tested: str
    names: tuple[str, ...]
    broken: str = ''
    reason: str = ''


UPSTREAMS = (
    Upstream('>=2.2,<2.16', ('torch',)),
    Upstream('>=1.26,<2.6', ('numpy',)),
    Upstream('>=0.10,<0.11', ('mmengine', 'mmengine-lite', 'onedl-mmengine')),
    # mmcv ends with 2.2, and onedl-mmcv goes on with 2.3.
    Upstream('>=2.0,<2.4', ('mmcv-lite', 'mmcv', 'onedl-mmcv'), '<2.0', 'they have no mmcv.transforms'),
    Upstream('>=1.1,<1.3', ('mmaction2', 'otxmmaction2'), '<1.0', 'they have no mmaction.registry'),
    Upstream(
        '>=4.55,<5.25', ('transformers',), '<4.55', 'their GPT-2 cannot write captions from cached frames'
    ),
    Upstream('>=14.2,<20', ('av',), '<14.1', 'they do not tell covers of songs from videos'),
    Upstream('>=6.1.1,<7', ('ftfy',)),
)
PYTHON = '>=3.10,<3.14'


ONNX_RUNTIMES = ('onnxruntime', 'onnxruntime-gpu')
NOT_FOR_ONNX = ('torch', 'mmengine', 'mmcv-lite', 'mmaction2', 'transformers')


def check_versions(with_torch: bool | None = None) -> None:
    """Raise an error for missing packages and for versions known to fail; warn about untested ones, once.

    Args:
        with_torch (bool, optional): Whether torch and what is built on it must be there. By default not if
            there is ONNX Runtime and no torch: models that were exported to ONNX need no more.

    Raises:
        ImportError: Names each such package, what fails, and the command that installs another one.
    """
    python = '.'.join(map(str, sys.version_info[:3]))
    if with_torch is None:
        with_torch = bool(find_distributions(('torch',))) or not find_distributions(ONNX_RUNTIMES)
    problems, untested = [], [] if SpecifierSet(PYTHON).contains(python) else [f'Python {python} ({PYTHON})']
    for upstream in UPSTREAMS:
        found = find_distributions(upstream.names)
        named = ', '.join(f'{name} {version}' for name, version in found.items())
        if not found and not with_torch and upstream.names[0] in NOT_FOR_ONNX:
            continue
        if not found:
            problems.append(f'{upstream.names[0]} is missing: {repair(upstream, [])}')
        elif upstream.broken and any(contains(upstream.broken, version) for version in found.values()):
            problems.append(
                f'{named} does not work, because {upstream.reason} (versions {upstream.broken}): '
                f'{repair(upstream, list(found))}'
            )
        elif not all(contains(upstream.tested, version) for version in found.values()):
            untested.append(f'{named} ({upstream.tested})')
    if problems:
        raise ImportError('mmclip4clip cannot run with what is installed:\n  ' + '\n  '.join(problems))
    if untested:
        warnings.warn(
            'mmclip4clip was not tested with ' + ', '.join(untested) + '; the tested versions are in '
            'parentheses. It goes on, and may fail or give other results',
            stacklevel=3,
        )


def contains(specifier: str, version: str) -> bool:
    """Return whether a version is in a range; builds such as 2.6.0+cu124 and pre-releases count too."""
    return SpecifierSet(specifier).contains(Version(version).public, prereleases=True)


def find_distributions(names: tuple[str, ...]) -> dict[str, str]:
    """Return the installed ones of some distributions, with their versions."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def repair(upstream: Upstream, installed: list[str]) -> str:
    """Return the command that leaves one working distribution of a package.

    Args:
        upstream (Upstream): The package.
        installed (list[str]): Its installed distributions. If there is another one than the recommended one,
            all are removed first, because they share files: to remove one breaks the others.
    """
    lower = upstream.tested.split(',')[0]
    upper = f',<{upstream.tested.split("<")[1]}'
    remove = ''
    if set(installed) - {upstream.names[0]}:
        remove = f'pip uninstall -y {" ".join(installed)} && '
    return f"{remove}pip install '{upstream.names[0]}{lower}{upper}'"
