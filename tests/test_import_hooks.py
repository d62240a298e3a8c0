"""Code around imports: modules of a temporary folder, and mmaction2 itself in a fresh process."""

import importlib
import inspect
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from mmclip4clip.import_hooks import HOOKS, after_import, around_import

from .fresh_process import run_fresh

ROOT = Path(__file__).parents[1]


@pytest.fixture(params=['hooked_module', 'hooked_by_pytest_test'])  # pytest has one loader for *_test.py
def module(request, tmp_path, monkeypatch) -> str:
    """The name of a module that can fail."""
    name = request.param
    (tmp_path / f'{name}.py').write_text('import builtins\nvalue = 1 / int(builtins.divisor)\n')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr('builtins.divisor', 1, raising=False)
    yield name
    sys.modules.pop(name, None)
    HOOKS.around.pop(name, None)


def test_actions_run_once_in_order_and_the_module_keeps_its_loader(module):
    seen, expected = [], type(find_spec(module).loader)

    @contextmanager
    def around():
        seen.append('before')
        yield
        seen.append('after')

    around_import(module, around)
    after_import(module, lambda: seen.append(sys.modules[module].value))
    assert find_spec(module) is not None and seen == []  # looking for it is no import
    loaded = importlib.import_module(module)
    assert seen == ['before', 1.0, 'after']
    assert (
        'divisor' in inspect.getsource(loaded)
        and type(loaded.__loader__) is type(loaded.__spec__.loader) is expected
    )
    importlib.reload(loaded)
    assert len(seen) == 3
    after_import(module, lambda: seen.append('at once'))
    assert seen[3:] == ['at once']


def test_a_failed_import_is_tried_again(module, monkeypatch):
    seen = []
    after_import(module, lambda: seen.append(1))
    monkeypatch.setattr('builtins.divisor', 0, raising=False)
    with pytest.raises(ZeroDivisionError):
        importlib.import_module(module)
    assert seen == []
    monkeypatch.setattr('builtins.divisor', 1, raising=False)
    importlib.import_module(module)
    assert seen == [1]


def test_a_module_that_is_not_there_stays_an_import_error():
    after_import('no_such_module_at_all', lambda: None)
    try:
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module('no_such_module_at_all')
        assert find_spec('no_such_module_at_all') is None
    finally:
        HOOKS.around.pop('no_such_module_at_all')


# Ways to reach the registry after a light import; each prints True.
WAYS = dict(
    registry='from mmaction.registry import MODELS; print(MODELS.get("MeanAdapter") is not None)',
    newer_mmcv=(
        'import mmengine, mmcv; mmcv.__version__ = "2.2.0"; from mmaction.registry import TRANSFORMS; '
        'print(TRANSFORMS.get("SampleAtRate") is not None and mmcv.__version__ == "2.2.0")'
    ),
    inherited_config=(
        'from mmengine.config.utils import MODULE2PACKAGE; '
        'print(MODULE2PACKAGE["mmclip4clip"] == "mmclip4clip")'
    ),
    transforms=(
        'from mmclip4clip.datasets import SampleAtRate; assert "mmengine" not in sys.modules; '
        'from mmaction.registry import TRANSFORMS; from mmcv.transforms import BaseTransform; '
        'step = TRANSFORMS.build(dict(type="SampleAtRate")); '
        'print(type(step) is SampleAtRate and isinstance(step, BaseTransform))'
    ),
)


@pytest.mark.parametrize('way', WAYS)
def test_a_light_import_registers_when_openmmlab_comes(way):
    # That the import loads no torch either is a test of test_registration.py.
    code = f'import sys, mmclip4clip; assert "mmengine" not in sys.modules; {WAYS[way]}'
    done = run_fresh(code, folder=ROOT)
    assert done.printed.split()[-1:] == ['True'], done.printed
