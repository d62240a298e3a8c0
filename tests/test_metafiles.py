"""The metafiles against the configs."""

from pathlib import Path

import pytest
import yaml

from .leaves import LEAVES, ROOT, load


@pytest.fixture(scope='module')
def models() -> list:
    """The models that the metafiles list."""
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    files = [yaml.safe_load((ROOT / path).read_text()) for path in index['Import']]
    return [model for file in files for model in file['Models'] if 'Weights' not in model]


def test_the_metafiles_list_every_config_as_it_is(models):
    assert sorted(model['Config'] for model in models) == [p.relative_to(ROOT).as_posix() for p in LEAVES]
    for model in models:
        cfg, facts = load(ROOT / model['Config']), model['Metadata']
        assert model['Name'] == Path(model['Config']).stem
        assert facts['Batch Size'] == cfg.auto_scale_lr.base_batch_size
        assert facts['Epochs'] == cfg.train_cfg.max_epochs
        assert facts['Adapter'] == cfg.model.adapter.type
        assert f'_{facts["Architecture"]}-' in model['Name']


def test_every_figure_of_the_metafiles_says_who_published_it(models):
    results = [result for model in models for result in model.get('Results', [])]
    assert len(results) == 10
    for result in results:
        assert result['Published By'].startswith(('the paper', 'mmaction2'))
        assert result['Source'].startswith(('arXiv:', 'https://'))
        assert {'R1', 'R5', 'MdR', 'MnR'} <= set(result['Metrics'])
