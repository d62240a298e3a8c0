"""Marks for tests of optional packages."""

from importlib.util import find_spec

import pytest

needs_peft = pytest.mark.skipif(find_spec('peft') is None, reason='peft is an extra: mmclip4clip[lora]')
