"""What a start costs and patches, see startup.py, and how registries find the package's classes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import mmaction.registry
import mmcv
import pytest
import torch
from mmengine.registry import Registry
from mmengine.utils import digit_version

from mmclip4clip.registration import LOCATIONS, add_locations

from .fresh_process import run_fresh

ROOT = Path(__file__).parents[1]
PATCHED = {
    'mmengine.runner.checkpoint.CheckpointLoader.load_checkpoint',
    'mmengine.runner.checkpoint.torch',
    'mmengine.runner.checkpoint.load_url',
    'mmengine.infer.infer.BaseInferencer._init_model',
    'mmengine.config.config.is_installed',
    'mmengine.config.config.get_installed_path',
    'mmengine.dist.utils._init_dist_pytorch',
    'mmengine.runner.runner.Runner.wrap_model',
    'mmengine.fileio.backends.local_backend.LocalBackend.put',
    'mmaction.datasets.transforms.processing.ColorJitter.adjust_hue',
    'mmaction.datasets.transforms.processing.ColorJitter.transform',
}
STARTS = (
    'build_backbone',
    'look_up_a_hook',
    'look_up_an_inferencer',
    'unpickle_a_dataset',
    'read_a_config',
    'launch',
)
LOADS = ('load_by_a_recognizer', 'load_by_an_inferencer', 'load_by_the_backbone', 'read_to_convert')
STARTS_OF_A_RUN = """
import os, sys
os.environ['TORCH_HOME'] = os.getcwd()
from tests.startup import main
main(sys.argv[1:])
"""


class MakesAFolder:
    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture(scope='module')
def startup(tmp_path_factory) -> SimpleNamespace:
    """The report of fresh processes, and the folder that a checkpoint would make if it were run."""
    if digit_version(mmcv.__version__) >= digit_version('2.2'):
        pytest.skip('mmaction refuses mmcv 2.2 unless mmclip4clip is imported first')
    home = tmp_path_factory.mktemp('startup')
    (home / 'hub/checkpoints').mkdir(parents=True)
    torch.save(
        dict(state_dict={}, extra=MakesAFolder(home / 'harmed')),
        home / 'hub/checkpoints/bad.pth',
    )
    lazy = subprocess.run(
        [sys.executable, '-W', 'ignore', '-m', 'tests.startup'], cwd=ROOT, capture_output=True, text=True
    )
    assert lazy.returncode == 0, lazy.stderr
    done = run_fresh(STARTS_OF_A_RUN, *PATCHED, folder=home, package=ROOT)
    assert done.returncode == 0, done.printed
    report = json.loads((home / 'report.json').read_text())
    return SimpleNamespace(harm=home / 'harmed', lazy=json.loads(lazy.stdout), **report)


def test_an_import_alone_loads_no_models_and_offers_every_subpackage(startup):
    assert startup.lazy['loaded'] == [] and 'torch' in startup.lazy['heavy']
    assert set(startup.lazy['modules']) == {
        'mmclip4clip.command_start',
        'mmclip4clip.import_hooks',
        'mmclip4clip.installed_versions',
        'mmclip4clip.upstream_imports',
        'mmclip4clip.registration',
        'mmclip4clip.version',
    }
    folders = {path.parent.name for path in (ROOT / 'mmclip4clip').glob('*/__init__.py')}
    assert set(startup.lazy['offered']) == folders
    assert startup.lazy['subpackage'] == 'mmclip4clip.tokenizers'


def test_an_import_alone_leaves_other_packages_as_they_were(startup):
    assert startup.counted > 10_000
    assert startup.changed == [] and startup.allowed
    assert not set(startup.changed_by_subpackages) & PATCHED  # transformers changes things of its own


@pytest.mark.parametrize('start', STARTS)
def test_every_start_applies_all_patches(startup, start):
    assert set(startup.starts[start]) >= PATCHED


@pytest.mark.parametrize('load', LOADS)
def test_nothing_in_a_checkpoint_is_run_however_the_process_began(startup, load):
    assert 'bad.pth was refused' in startup.loads[load] and 'nothing in it was run' in startup.loads[load]
    assert not startup.harm.exists()


def test_the_checkpoint_would_have_done_harm(tmp_path):
    torch.save(MakesAFolder(tmp_path / 'harmed'), tmp_path / 'bad.pth')
    torch.load(tmp_path / 'bad.pth', weights_only=False)
    assert (tmp_path / 'harmed').exists()


@pytest.mark.parametrize('way', ['contains', 'scoped', 'dataset', 'root'])
def test_classes_are_found_by_every_kind_of_lookup(startup, way):
    assert startup.lookups[way]


def test_classes_are_found_by_a_registry_that_has_had_its_first_lookup(startup):
    assert startup.lookup_before is True


def test_every_registered_class_has_a_location_in_its_registry():
    registries = {key: r for key, r in vars(mmaction.registry).items() if isinstance(r, Registry)}
    for name in LOCATIONS:
        registries[name].import_from_location()
    seen = set()
    for name, registry in registries.items():
        for cls in registry.module_dict.values():
            if cls.__module__.startswith('mmclip4clip.'):
                rooms = tuple(location.removesuffix('.registration') for location in LOCATIONS[name])
                assert cls.__module__.startswith(rooms), (name, cls)
                seen.add(name)
    assert seen == set(LOCATIONS)


@pytest.fixture
def location(tmp_path, monkeypatch) -> str:
    """A module that registers a class, and looks that and another one up while it is imported."""
    text = (
        'from mmclip4clip_test_registry import REGISTRY\n'
        'before = REGISTRY.get("Late")\n'
        '@REGISTRY.register_module()\n'
        'class Late: pass\n'
        'after = REGISTRY.get("Late")\n'
    )
    (tmp_path / 'mmclip4clip_test_location.py').write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry('late', scope='late_test', locations=['math'])
    monkeypatch.setitem(sys.modules, 'mmclip4clip_test_registry', SimpleNamespace(REGISTRY=registry))
    yield registry
    sys.modules.pop('mmclip4clip_test_location', None)


@pytest.mark.parametrize('looked_up', [False, True])
def test_a_lookup_within_the_import_of_a_location_sees_what_is_there(location, looked_up):
    registry = location
    assert not looked_up or registry.get('Late') is None
    add_locations(registry, ['mmclip4clip_test_location'])
    add_locations(registry, ['mmclip4clip_test_location'])
    assert 'mmclip4clip_test_location' not in sys.modules
    assert registry._locations == ['math', 'mmclip4clip_test_location']
    late = registry.get('Late')
    assert late is not None and sys.modules['mmclip4clip_test_location'].after is late
    assert sys.modules['mmclip4clip_test_location'].before is None


def test_without_mmengines_private_attributes_modules_are_imported_at_once(location):
    add_locations(SimpleNamespace(), ['mmclip4clip_test_location'])
    assert 'Late' in location.module_dict
