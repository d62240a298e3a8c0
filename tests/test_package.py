import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp('wheel')
    done = subprocess.run(
        [sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation', '-w', str(out),
         str(ROOT)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    path, = out.glob('mmclip4clip-*.whl')
    return zipfile.ZipFile(path)


def test_the_wheel_carries_every_module_config_and_tool(wheel):
    inside = set(wheel.namelist())
    for folder, prefix in (('mmclip4clip', ''), ('configs', 'mmclip4clip/.mim/'),
                           ('tools', 'mmclip4clip/.mim/')):
        files = [p.relative_to(ROOT).as_posix() for p in (ROOT / folder).rglob('*.py')
                 if '.mim' not in p.parts]
        assert len(files) > 5
        assert not {prefix + f for f in files} - inside
    assert not [name for name in inside if name.startswith(('tests', 'shared'))]


def test_configs_of_the_wheel_work_outside_the_checkout(wheel, tmp_path):
    wheel.extractall(tmp_path)
    code = ('from mmengine.config import Config; from pathlib import Path; '
            'leaves = list(Path("mmclip4clip/.mim/configs").glob("[!_]*/*/*.py")); '
            'assert leaves and all(Config.fromfile(leaf).model for leaf in leaves); '
            'import mmclip4clip; print(mmclip4clip.__file__)')
    done = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0 and str(tmp_path) in done.stdout, done.stdout


def test_the_known_good_set_pins_what_the_package_needs(wheel):
    lines = [line for line in (ROOT / 'requirements/known-good.txt').read_text().splitlines()
             if not line.startswith('#')]
    pinned = {Requirement(line).name.lower(): line for line in lines}
    assert all('==' in line for line in lines)
    metadata = wheel.read(next(n for n in wheel.namelist() if n.endswith('METADATA'))).decode()
    needed = [Requirement(line.split(': ')[1]) for line in metadata.splitlines()
              if line.startswith('Requires-Dist') and 'extra ==' not in line]
    assert len(needed) >= 9
    for requirement in needed:
        version = pinned[requirement.name.lower()].split('==')[1]
        assert requirement.specifier.contains(version), requirement
