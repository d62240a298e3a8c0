import doctest
import importlib
from pathlib import Path

import pytest
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

ROOT = Path(__file__).parents[1]
FILES = [path for path in sorted((ROOT / 'mmclip4clip').rglob('*.py')) if '>>>' in path.read_text()]


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_examples_of_docstrings_give_what_they_show(path):
    init_default_scope('mmaction')
    MMLogger.get_current_instance()  # logs to the stdout of the test, not into the output of an example
    parts = path.relative_to(ROOT).with_suffix('').parts
    if 'server' in parts:
        pytest.importorskip('fastapi', reason='the extra serve is not installed')
    module = importlib.import_module('.'.join(part for part in parts if part != '__init__'))
    done = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert done.attempted and not done.failed, 'see the output above'


def test_most_rooms_have_examples():
    rooms = {path.relative_to(ROOT / 'mmclip4clip').parts[0] for path in FILES}
    assert {'datasets', 'engine', 'evaluation', 'models', 'preparation'} <= rooms
