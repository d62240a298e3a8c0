import json
import runpy
from argparse import Namespace

import numpy as np
import pytest

from .conftest import ROOT

TOOL = ROOT / 'tools/analysis_tools/compare_vector_stores.py'


@pytest.fixture(scope='module')
def tool():
    return runpy.run_path(str(TOOL))


@pytest.fixture(scope='module')
def args(tool, tmp_path_factory):
    folder = tmp_path_factory.mktemp('vectors')
    args = Namespace(vectors=folder / 'v.npz', folder=folder / 'store', library='mmclip4clip', step='write')
    args.segments, args.width, args.queries, args.kills = 300, 8, 20, 1
    tool['write'](args)
    return args


def test_the_best_vectors_of_a_query_are_those_of_all_pairs(args):
    found = np.load(args.vectors)
    expected = np.argsort(-(found['queries'].astype(np.float64) @ found['videos'].T), axis=1)[:, :10]
    assert found['videos'].shape == (300, 8)
    assert [set(row) for row in found['best']] == [set(row) for row in expected]


def test_a_store_that_compares_all_pairs_finds_them(tool, args, capsys):
    for step in ('build', 'search'):
        tool[step](Namespace(**vars(args) | dict(step=step)))
    built, *searches = map(json.loads, capsys.readouterr().out.splitlines())
    assert built['number'] == 300
    assert [search['recall'] for search in searches] == [1.0, 1.0, 1.0]


def test_vectors_that_are_lost_after_a_kill_are_counted(tool, args, tmp_path, monkeypatch):
    forgetful = tmp_path / 'writer.py'  # confirms 500 and 1,000, and starts again from nothing
    forgetful.write_text(
        'import time\nfor n in range(500, 9999, 500):\n    print(n, flush=True)\ntime.sleep(60)'
    )
    globals_ = tool['kill_writers'].__globals__
    monkeypatch.setitem(globals_, '__file__', str(forgetful))
    found = tool['kill_writers'](Namespace(**vars(args) | dict(kills=2)))
    assert found['lost'] == found['confirmed'] > 0
