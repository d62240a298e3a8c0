from pathlib import Path

import pytest

from .fresh_process import run_fresh

ROOT = Path(__file__).parents[1]
# What an environment may have: another mmcv, a wheel of mmaction2 without DRN, a DRN without the torchvision
# that it imports, no importlib_metadata.
PREPARE = dict(
    newer_mmcv="import mmcv; mmcv.__version__ = '2.2.0'",
    no_drn=(
        'import sys; from importlib.machinery import PathFinder; find = PathFinder.find_spec; '
        "PathFinder.find_spec = lambda name, *a: None if name.endswith('drn') else find(name, *a); "
        "import types; root = 'mmaction.models.localizers'"
    ),
    no_torchvision="import sys; sys.modules['torchvision'] = None",
    no_importlib_metadata="import sys; sys.modules.pop('importlib_metadata', None)",
)
BUILD_DRN = """
import mmaction.models.localizers.drn.drn as drn
try:
    drn.DRN()
except ImportError as error:
    print('needs torchvision' in str(error) and 'install mmaction2 from source' in str(error))
"""
CHECK = dict(
    newer_mmcv="import mmaction, mmcv; print(mmcv.__version__ == '2.2.0')",
    no_drn=BUILD_DRN,
    no_torchvision=(
        'import mmaction.models.localizers as localizers; localizers.__path__.append(sys.argv[1])' + BUILD_DRN
    ),
    no_importlib_metadata="import sys; print('importlib_metadata' not in sys.modules)",
)


@pytest.mark.parametrize('case', PREPARE)
def test_mmaction2_is_imported_where_its_own_import_would_fail(case, tmp_path):
    (tmp_path / 'drn').mkdir()
    (tmp_path / 'drn/drn.py').write_text('import torchvision\n')
    code = f'{PREPARE[case]}\nimport mmclip4clip\n{CHECK[case]}'
    done = run_fresh(code, tmp_path, folder=ROOT)
    assert done.printed.split()[-1:] == ['True'], done.printed
