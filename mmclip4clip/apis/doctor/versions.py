"""Versions of Python, of this package and of the packages that it uses."""

import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from ...installed_versions import UPSTREAMS, Upstream, contains, find_distributions
from ...version import __version__
from .finding import OK, PROBLEM, WARNING, Finding

# Distributions without a range, by what they are for; only one of several that provide the same module.
OTHERS = {
    'numpy': ('numpy',),
    'opencv': (
        'opencv-python',
        'opencv-python-headless',
        'opencv-contrib-python',
        'opencv-contrib-python-headless',
    ),
    'decord': ('decord', 'decord2', 'eva-decord'),
    'torchcodec': ('torchcodec',),
    'torchvision': ('torchvision',),
    'huggingface_hub': ('huggingface_hub',),
    'tokenizers': ('tokenizers',),
    'pycocoevalcap': ('pycocoevalcap',),
}
NEEDED = ('numpy', 'opencv', 'huggingface_hub', 'tokenizers')


def examine_versions() -> Iterator[Finding]:
    """Yield a finding for Python, the system, this package, and each package that it uses."""
    yield Finding('python', OK, f'{platform.python_version()} at {sys.executable}')
    yield Finding('system', OK, platform.platform())
    yield Finding('mmclip4clip', OK, f'{__version__} at {Path(__file__).parents[2]}')
    ranged = {name for upstream in UPSTREAMS for name in upstream.names}
    for upstream in UPSTREAMS:
        yield check_upstream(upstream, find_distributions(upstream.names))
    for label, names in OTHERS.items():
        if not ranged & set(names):
            yield check_presence(label, find_distributions(names), label in NEEDED)


def check_upstream(upstream: Upstream, found: dict[str, str]) -> Finding:
    """Compare with the tested versions; others are a problem only if they are known to fail."""
    finding = check_range(upstream.names[0], found, upstream.tested)
    fails = not found or (upstream.broken and any(contains(upstream.broken, v) for v in found.values()))
    return finding if fails or finding.status != PROBLEM else finding._replace(status=WARNING)


def check_range(label: str, found: dict[str, str], needed: str) -> Finding:
    """Compare installed distributions, of which one should be there, with a range of versions.

    Args:
        label (str): The recommended distribution.
        found (dict[str, str]): Versions of those that provide the module.
        needed (str): Range, as in ``'>=2.2,<3'``.

    Examples:
        >>> check_range('av', {'av': '9.0'}, '>=14').status
        'problem'
    """
    install = f"pip install '{label}{needed}'"
    if not found:
        return Finding(label, PROBLEM, 'not installed', install)
    shown = ', '.join(f'{name} {version}' for name, version in found.items())
    if not all(contains(needed, version) for version in found.values()):
        return Finding(label, PROBLEM, f'{shown}, {needed} is needed', install)
    return several(label, found, shown) or Finding(label, OK, shown)


def check_presence(label: str, found: dict[str, str], needed: bool) -> Finding:
    """Report distributions without a range of versions."""
    shown = ', '.join(f'{name} {version}' for name, version in found.items())
    if not found and needed:
        return Finding(label, PROBLEM, 'not installed', f'pip install {OTHERS[label][0]}')
    return several(label, found, shown) or Finding(label, OK, shown or 'not installed (optional)')


def several(label: str, found: dict[str, str], shown: str) -> Finding | None:
    """Return a warning if distributions that overwrite each other's files are installed together."""
    # A contrib build of OpenCV comes with its plain build in many environments, and works.
    if len(found) < 2 or (label == 'opencv' and len(set(found.values())) == 1):
        return None
    return Finding(
        label,
        WARNING,
        f'{shown} provide the same module',
        f'pip uninstall -y {" ".join(found)}, then install one of them',
    )
