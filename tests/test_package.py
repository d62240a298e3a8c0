import ast
import configparser
import email
import functools
import re
import subprocess
import sys
import zipfile
from importlib.metadata import distributions as installed_distributions
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mmclip4clip.version import __version__

from .fresh_process import run_fresh

ROOT = Path(__file__).parents[1]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / 'setup.cfg')
read_providers = functools.cache(packages_distributions)  # which takes a second


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp('wheel')
    done = subprocess.run(
        [
            sys.executable,
            '-m',
            'pip',
            'wheel',
            '--no-deps',
            '--no-build-isolation',
            '-w',
            str(out),
            str(ROOT),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    (path,) = out.glob('mmclip4clip-*.whl')
    return zipfile.ZipFile(path)


def test_the_wheel_carries_every_module_config_and_tool(wheel):
    inside = set(wheel.namelist())
    for folder, prefix in (
        ('mmclip4clip', ''),
        ('configs', 'mmclip4clip/.mim/'),
        ('tools', 'mmclip4clip/.mim/'),
    ):
        files = [
            p.relative_to(ROOT).as_posix() for p in (ROOT / folder).rglob('*.py') if '.mim' not in p.parts
        ]
        assert len(files) > 5
        assert not {prefix + f for f in files} - inside
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']
    assert not {f'mmclip4clip/.mim/{f}' for f in ('model-index.yml', *index)} - inside
    assert not [name for name in inside if name.startswith(('tests', 'shared'))]


def test_configs_of_the_wheel_work_outside_the_checkout(wheel, tmp_path):
    wheel.extractall(tmp_path)
    for config in (ROOT / 'configs').rglob('*.py'):  # then those of one folder work as the others do
        copy = tmp_path / 'mmclip4clip/.mim' / config.relative_to(ROOT)
        assert copy.read_bytes() == config.read_bytes()
    code = (
        'from mmengine.config import Config; from pathlib import Path; '
        'leaves = list(Path("mmclip4clip/.mim/configs").glob("[!_]*/**/*.py")); '
        'leaves = {leaf.parent: leaf for leaf in leaves}.values(); '
        'assert len(leaves) > 2 and all(Config.fromfile(leaf).model for leaf in leaves); '
        'import mmclip4clip; print(mmclip4clip.__file__)'
    )
    done = run_fresh(code, folder=tmp_path)
    assert done.returncode == 0 and str(tmp_path) in done.printed, done.printed


def test_the_description_has_the_words_of_the_readme_and_no_links_into_the_repository(wheel):
    (name,) = [name for name in wheel.namelist() if name.endswith('METADATA')]
    metadata = email.message_from_bytes(wheel.read(name))
    description = metadata.get_payload()
    links = re.findall(r'\]\(([^)]*)\)', description)
    assert links and all(link.startswith('https://') for link in links)
    assert metadata['Description-Content-Type'] == 'text/markdown' and '<!--' not in description
    for heading in re.findall(r'^#+ (.*)', (ROOT / 'README.md').read_text(), re.MULTILINE):
        assert heading in description


INHERITING = """
_base_ = 'mmclip4clip::retrieval/clip4clip/clip4clip-seq_vit-tiny-p16-res64_1xb64-f4-8e_moving-shapes-rgb.py'
train_dataloader = dict(batch_size=8)
"""
BUILD = (
    'import mmclip4clip; {before}from mmengine.config import Config; from mmaction.registry import MODELS; '
    'cfg = Config.fromfile("own.py"); assert cfg.train_dataloader.batch_size == 8; '
    'model = MODELS.build(cfg.model); print(type(model.adapter).__name__, mmclip4clip.__file__)'
)


@pytest.mark.parametrize('installed', [True, False])
def test_a_config_elsewhere_inherits_from_those_of_the_package(installed, wheel, tmp_path):
    (tmp_path / 'own.py').write_text(INHERITING)
    if installed:
        wheel.extractall(tmp_path)
    elif not (ROOT / 'mmclip4clip/.mim').exists():
        pytest.skip('needs pip install -e ., which links configs into the package')
    plain = installed and find_spec('pkg_resources')  # which mmengine needs, and setuptools 82 lacks
    before = '' if plain else 'mmclip4clip.compat.apply_patches(); '
    root = tmp_path if installed else ROOT
    done = run_fresh(BUILD.format(before=before), folder=tmp_path, package=root)
    assert done.returncode == 0, done.printed
    last = done.printed.splitlines()[-1]  # after mmengine's lines about variables of the environment
    assert last.split() == ['SeqTransformerAdapter', str(root / 'mmclip4clip/__init__.py')]
    assert 'scope' not in done.printed


def requirements(text: str) -> list:
    """Parse the lines of a requirement list, as setup.cfg and pip's files have it."""
    return [Requirement(line) for line in text.splitlines() if line and not line.startswith('#')]


def imports(folder: str) -> set:
    """Find the top-level names that the modules of a folder import, at any depth of their code."""
    names = set()
    for path in (ROOT / folder).rglob('*.py'):
        if path.name in ('vector_store_candidates.py', 'contenders.py'):  # compare what nobody needs to have
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names.update(alias.name.split('.')[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.split('.')[0])
    beside = {path.stem for path in (ROOT / 'tools').rglob('*.py')}
    return names - set(sys.stdlib_module_names) - {'mmclip4clip', 'tests'} - beside


def owners(name: str) -> list:
    """Name the distributions with files in a package.

    Python 3.10 finds only those with a ``top_level.txt``, which not all write.
    """
    return [
        distribution.metadata['Name']
        for distribution in installed_distributions()
        if any(path.parts[0] == name for path in distribution.files or [])
    ]


@functools.cache
def distributions(folder: str) -> dict:
    """Name the distributions, in lower case, that may provide each import of a folder."""
    providers = read_providers()
    return {
        name: {d.lower().replace('_', '-') for d in providers.get(name) or owners(name) or [name]}
        for name in imports(folder)
    }


def declared(*extras: str) -> set:
    """Name what setup.cfg requires, and what these extras add."""
    texts = [SETUP['options']['install_requires'], *(SETUP['options.extras_require'][e] for e in extras)]
    return {r.name.lower().replace('_', '-') for text in texts for r in requirements(text)}


@pytest.mark.parametrize(
    'folder, extras',
    [
        (
            'mmclip4clip',
            [
                'caption',
                'decord',
                'lora',
                'onnx',
                'openmmlab',
                'postgresql',
                'ray',
                'search',
                'serve',
                'shots',
            ],
        ),
        ('tools', ['caption', 'openmmlab']),
        ('tests', ['test', 'tensorboard', 'wandb']),
    ],
)
def test_everything_imported_is_declared(folder, extras):
    found = distributions(folder)
    assert found
    undeclared = {name for name, dists in found.items() if not dists & declared(*extras)}
    assert not undeclared


def test_everything_declared_is_imported():
    used = set().union(*distributions('mmclip4clip').values())
    assert not declared('cache', 'caption', 'demo', 'onnx', 'postgresql', 'ray', 'search', 'shots') - used


def test_type_checkers_of_users_see_the_types(wheel):
    assert 'mmclip4clip/py.typed' in wheel.namelist()


def test_the_wheel_carries_the_page(wheel):
    files = [path.relative_to(ROOT).as_posix() for path in (ROOT / 'mmclip4clip/apis/server/page').iterdir()]
    assert 'mmclip4clip/apis/server/page/index.html' in files and not set(files) - set(wheel.namelist())


def test_the_known_good_set_pins_what_the_package_and_every_extra_need(wheel):
    lines = requirements((ROOT / 'requirements/known-good.txt').read_text())
    assert all(str(line.specifier).startswith('==') and not line.extras for line in lines)
    pinned = {canonicalize_name(line.name): str(line.specifier)[2:] for line in lines}
    metadata = wheel.read(next(n for n in wheel.namelist() if n.endswith('METADATA'))).decode()
    needed = [
        Requirement(line.split(': ')[1]) for line in metadata.splitlines() if line.startswith('Requires-Dist')
    ]
    assert len(needed) >= 20
    for requirement in needed:
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), requirement


def test_the_citation_is_of_this_version_and_of_the_paper():
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert citation['version'] == __version__
    assert citation['authors'] == [dict(name='mmclip4clip contributors')]
    (paper,) = citation['references']
    assert paper == citation['preferred-citation'] and paper['url'] == 'https://arxiv.org/abs/2104.08860'


@pytest.mark.parametrize(
    'path',
    sorted(ROOT.glob('.github/**/*.yml')) + [ROOT / '.pre-commit-config.yaml'],
    ids=lambda path: path.name,
)
def test_project_files_call_what_exists(path):
    content = yaml.safe_load(path.read_text())
    assert content
    targets = re.findall(r'run: make (\S+)', path.read_text())
    assert path.name != 'ci.yml' or targets == ['lint', 'docs', 'test']
    makefile = (ROOT / 'Makefile').read_text()
    assert all(f'\n{target}:' in makefile for target in targets)


def test_no_file_is_longer_than_250_lines():
    files = [path for folder in ('mmclip4clip', 'tools') for path in (ROOT / folder).rglob('*.py')]
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines())
        for path in files
        if '.mim' not in path.parts  # links to configs and tools
    }
    assert len(lengths) > 300
    assert not {name: length for name, length in lengths.items() if length > 250}
