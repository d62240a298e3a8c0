import configparser
import os
import re
import subprocess
import sys
import venv
import warnings
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from mmclip4clip import installed_versions
from mmclip4clip.installed_versions import UPSTREAMS, check_versions

ROOT = Path(__file__).parents[1]
GOOD = dict(
    torch='2.6.0+cu124',
    numpy='1.26.4',
    mmengine='0.10.7',
    mmaction2='1.2.0',
    transformers='5.17.0',
    av='16.1.0',
)
GOOD |= {'mmcv-lite': '2.1.0', 'ftfy': '6.3.1'}


@pytest.fixture
def install(monkeypatch):
    """Make it look as if versions were installed; None removes one."""

    def install(**changes: str | None) -> None:
        versions = GOOD | {name.replace('_', '-'): version for name, version in changes.items()}

        def version(name: str) -> str:
            if versions.get(name) is None:
                raise metadata.PackageNotFoundError(name)
            return versions[name]

        monkeypatch.setattr(metadata, 'version', version)

    return install


def test_what_is_installed_is_tested():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        check_versions()


@pytest.mark.parametrize(
    'changes',
    [
        {},
        dict(torch='2.6.0'),
        dict(torch='2.2.0+cu118', transformers='4.55.0'),
        dict(transformers='4.57.6'),
        dict(mmcv_lite=None, mmcv='2.2.0'),
        dict(mmengine=None, onedl_mmengine='0.10.12', mmcv_lite=None, onedl_mmcv='2.3.6'),
        dict(mmaction2=None, otxmmaction2='1.2.0'),
        dict(mmengine=None, mmengine_lite='0.10.7'),
        dict(transformers='5.23.0', numpy='2.4.6', av='19.0.2'),
    ],
)
def test_tested_versions_and_forks_pass_in_silence(install, changes):
    install(**changes)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        check_versions()


@pytest.mark.parametrize('runtime', ['onnxruntime', 'onnxruntime_gpu'])
def test_without_torch_exported_models_need_onnx_runtime_alone(install, runtime):
    missing = dict(torch=None, mmengine=None, mmcv_lite=None, mmaction2=None, transformers=None)
    install(**missing, **{runtime: '1.32.0'})
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        check_versions()
    with pytest.raises(ImportError, match='torch is missing'):
        check_versions(with_torch=True)
    install(**missing, av=None, **{runtime: '1.32.0'})
    with pytest.raises(ImportError, match='av is missing') as caught:
        check_versions()
    assert 'torch' not in str(caught.value)
    install(**missing)
    with pytest.raises(ImportError, match='torch is missing'):
        check_versions()
    install(**(missing | {'torch': '2.6.0', runtime: '1.32.0'}))
    with pytest.raises(ImportError, match='mmengine is missing'):
        check_versions()


def test_one_warning_names_every_untested_version(install):
    install(torch='3.1.0', av='21.0', numpy='1.24.0')
    with pytest.warns(UserWarning) as caught:
        check_versions()
    assert [str(w.message) for w in caught] == [
        'mmclip4clip was not tested with torch 3.1.0 (>=2.2,<2.16), numpy 1.24.0 (>=1.26,<2.6), av 21.0 '
        '(>=14.2,<20); the tested versions are in parentheses. It goes on, and may fail or give other results'
    ]


def test_an_unknown_python_is_named_too(install, monkeypatch):
    install()
    monkeypatch.setattr(installed_versions.sys, 'version_info', (3, 99, 1, 'final', 0))
    with pytest.warns(UserWarning, match=r'not tested with Python 3.99.1 \(>=3.10,<3.14\)'):
        check_versions()


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(av='13.1.0'), "av 13.1.0 does not work, because .*: pip install 'av>=14.2,<20'"),
        (dict(transformers='4.54.0'), "transformers 4.54.0 does not work.*: pip install 'transformers>="),
        (dict(av=None), "av is missing: pip install 'av>=14.2,<20'"),
        (dict(mmengine=None), "mmengine is missing: pip install 'mmengine>=0.10,<0.11'"),
        (
            dict(mmcv_lite=None, mmcv='1.7.2'),
            "mmcv 1.7.2 does not .*: pip uninstall -y mmcv && pip install 'mmcv-lite>=2.0,<2.4'",
        ),
        (
            dict(mmcv='1.7.2'),
            'mmcv-lite 2.1.0, mmcv 1.7.2 does not .*: pip uninstall -y mmcv-lite mmcv && pip install ',
        ),
    ],
)
def test_what_is_known_to_break_is_an_error_with_the_repair(install, changes, message):
    install(**changes)
    with pytest.raises(ImportError, match=message):
        check_versions()


def fake_wheel(folder: Path, name: str, version: str) -> None:
    """Write a wheel that provides the module mmcv."""
    stem = f'{name.replace("-", "_")}-{version}'
    info = f'{stem}.dist-info'
    with zipfile.ZipFile(folder / f'{stem}-py3-none-any.whl', 'w') as wheel:
        files = {
            'mmcv/__init__.py': f'__version__ = {version!r}\n',
            f'{info}/METADATA': f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n',
            f'{info}/WHEEL': 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
        }
        for path, text in files.items():
            wheel.writestr(path, text)
        wheel.writestr(f'{info}/RECORD', ''.join(f'{path},,\n' for path in (*files, f'{info}/RECORD')))


def test_the_repair_leaves_one_mmcv_where_two_distributions_shared_its_files(install, tmp_path):
    install(mmcv='1.7.2')
    with pytest.raises(ImportError) as error:
        check_versions()
    command = re.search(r'pip uninstall.*', str(error.value))[0]
    (tmp_path / 'wheels').mkdir()
    fake_wheel(tmp_path / 'wheels', 'mmcv', '1.7.2')
    fake_wheel(tmp_path / 'wheels', 'mmcv-lite', '2.1.0')
    venv.create(tmp_path / 'env', symlinks=True)
    env = {key: value for key, value in os.environ.items() if not key.startswith('PIP_')}
    env |= dict(PIP_NO_INDEX='1', PIP_FIND_LINKS=str(tmp_path / 'wheels'), PIP_CONFIG_FILE=os.devnull)
    env |= dict(PIP_PYTHON=str(tmp_path / 'env/bin/python'), PIP_DISABLE_PIP_VERSION_CHECK='1')

    def run(line: str) -> str:
        line = re.sub(r'\bpip (?=install|uninstall)', f'{sys.executable} -m pip ', line)
        return subprocess.run(line, shell=True, env=env, check=True, capture_output=True, text=True).stdout

    run('pip install mmcv-lite mmcv')
    run(command)
    version = subprocess.check_output(
        [tmp_path / 'env/bin/python', '-c', 'import mmcv; print(mmcv.__version__)'], text=True
    )
    assert version == '2.1.0\n'


def declared(section: str, option: str) -> dict[str, SpecifierSet]:
    """Read a requirement list of setup.cfg."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / 'setup.cfg')
    lines = [line for line in setup[section][option].splitlines() if line and not line.startswith(('#', '%'))]
    return {r.name: r.specifier for r in map(Requirement, lines)}


def test_the_metadata_has_the_same_lower_bounds_and_no_upper_ones():
    needed = declared('options', 'install_requires')
    for upstream in UPSTREAMS:
        if upstream.names[0] in needed:
            assert str(needed[upstream.names[0]]) == upstream.tested.split(',')[0], upstream
    bounds = [str(s) for specifier in needed.values() for s in specifier]
    assert bounds and all(bound.startswith('>=') for bound in bounds)


def test_no_requirement_installs_over_a_fork():
    needed = declared('options', 'install_requires')
    shared = [name for upstream in UPSTREAMS if len(upstream.names) > 1 for name in upstream.names]
    assert shared and not set(shared) & set(needed)
    extra = declared('options.extras_require', 'openmmlab')
    recommended = {u.names[0]: SpecifierSet(u.tested) for u in UPSTREAMS if len(u.names) > 1}
    # mmcv-lite and mmengine require OpenCV too; beside forks of them it is there.
    assert extra == recommended | {'opencv-python': SpecifierSet('>=4.11')}


def pins(name: str) -> dict[str, str]:
    lines = [
        Requirement(x.split(' ;')[0])
        for x in (ROOT / 'requirements' / name).read_text().splitlines()
        if x.strip() and not x.strip().startswith('#')
    ]
    return {r.name.lower(): str(r.specifier).removeprefix('==') for r in lines}


def test_the_ranges_span_what_the_matrix_runs():
    """The lower bounds are the versions of the set oldest; the upper ones lie just above those of newest."""
    oldest, newest = pins('oldest.txt'), pins('newest.txt')
    for upstream in UPSTREAMS:
        name = upstream.names[0]
        lower, upper = upstream.tested.removeprefix('>=').split(',<')
        assert SpecifierSet(f'=={lower}.*').contains(oldest[name]) or oldest[name] == lower, upstream
        assert newest[name] in SpecifierSet(upstream.tested), upstream
