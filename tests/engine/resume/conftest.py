import re

import pytest

from ...tools.conftest import CONFIG, ROOT
from .kill_harness import KilledTraining

SMALL = [
    'train_dataloader.dataset.indices=8',
    'train_dataloader.batch_size=4',
    'train_dataloader.num_workers=0',
    'val_dataloader.dataset.indices=8',
    'train_cfg.max_epochs=3',
    'default_hooks.checkpoint.max_keep_ckpts=1',
]


@pytest.fixture
def warned(monkeypatch):
    """Check that what was logged matches a pattern, and with nothing to match, return it."""
    lines = []
    for module in ('checkpoint_search', 'best_checkpoint', 'run_check'):
        monkeypatch.setattr(
            f'mmclip4clip.engine.resume.{module}.print_log', lambda message, **kwargs: lines.append(message)
        )

    def warned(pattern: str) -> None:
        assert any(re.search(pattern, line) for line in lines), lines

    return warned


@pytest.fixture(scope='package')
def module_config(shapes, tmp_path_factory) -> str:
    """The config of the tools' tests, once for a file of tests."""
    path = tmp_path_factory.mktemp('config') / 'tiny.py'
    path.write_text(CONFIG.format(root=ROOT, shapes=shapes))
    return str(path)


@pytest.fixture(scope='package')
def whole(module_config, tmp_path_factory):
    """A whole training of three epochs of two steps, whose best checkpoint is that of the second."""
    folder = tmp_path_factory.mktemp('whole')
    KilledTraining(module_config, folder, SMALL).train('whole')
    return folder / 'whole'


@pytest.fixture
def training(module_config, tmp_path) -> KilledTraining:
    """The same training in a folder of its own."""
    return KilledTraining(module_config, tmp_path, SMALL)
