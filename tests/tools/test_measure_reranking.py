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
