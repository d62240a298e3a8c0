import runpy

import torch

from .conftest import ROOT


def test_agreement_counts_the_captions_with_the_same_best_videos():
    tool = runpy.run_path(str(ROOT / 'tools/analysis_tools/measure_reranking.py'))
    agreement = tool['agreement']
    exact = torch.tensor([[4.0, 3.0, 2.0, 1.0], [4.0, 3.0, 2.0, 1.0], [4.0, 3.0, 2.0, 1.0]])
    cheap = torch.tensor([[4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0]])
    stored = exact.clone()
    stored[2, :2] = torch.tensor([3.0, 4.0])  # rounding changes the order of the best two
    assert agreement(cheap, stored, exact, shortlist=2, top=2) == (1 / 3, 2 / 3)
    assert agreement(cheap, stored, exact, shortlist=4, top=2) == (2 / 3, 1.0)


def test_a_growing_shortlist_ends_where_the_answers_stay():
    tool = runpy.run_path(str(ROOT / 'tools/analysis_tools/measure_reranking.py'))
    cheap = torch.arange(8, 0, -1.0).repeat(3, 1)  # listed in the order of the columns
    exact = torch.tensor([[9.0, 8, 0, 0, 0, 0, 0, 7], [0, 0, 9.0, 8, 0, 0, 0, 7], [0, 0, 0, 0, 0, 9.0, 8, 7]])
    found, lengths = tool['grown'](cheap, exact, shortlist=2, top=1)
    assert found[:2].tolist() == [[0], [2]] and lengths[:2] == [4, 8]
    assert found[2].tolist() == [0] and lengths[2] == 4  # four zeros: the answer stayed the same
    assert tool['shares'](found, exact) == (2 / 3, 2 / 3)
