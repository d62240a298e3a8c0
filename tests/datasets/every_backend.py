"""The backends as parameters of tests; those that cannot be loaded here are skipped, with the reason."""

import pytest

from mmclip4clip.datasets.video_readers import BACKENDS, check_backends


def missing(backend: str) -> str:
    """Say why a backend cannot be used here; empty if it can."""
    try:
        check_backends([backend])
    except ImportError as error:
        return str(error)
    return ''


def backend_params(*names: str) -> list:
    """Return backends as parameters of a test."""
    return [
        pytest.param(name, marks=pytest.mark.skipif(bool(missing(name)), reason=missing(name)))
        for name in names
    ]


every_backend = pytest.mark.parametrize('backend', backend_params(*BACKENDS))
