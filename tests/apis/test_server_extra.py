from importlib.util import find_spec

import pytest


@pytest.mark.skipif(
    find_spec('fastapi') is None, reason='needs the extra serve: tests/apis/server is left out'
)
def test_the_extra_of_the_server_is_installed():
    import mmclip4clip.apis.server  # noqa: F401
