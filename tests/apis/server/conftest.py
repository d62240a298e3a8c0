from importlib.util import find_spec

# tests/apis/test_server_extra.py says so, with a skipped test.
collect_ignore_glob = [] if find_spec('fastapi') else ['test_*.py', 'page']

if find_spec('fastapi'):
    from .serving import *  # noqa: F403  fixtures
