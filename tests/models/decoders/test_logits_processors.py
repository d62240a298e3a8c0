import pytest
import torch
from transformers import LogitsProcessorList

from mmclip4clip.models.decoders import GenerationOptions
from mmclip4clip.models.decoders.logits_processors import TokenPicker

OPTIONS = GenerationOptions(5)


@pytest.mark.parametrize('generators', [None, [torch.Generator().manual_seed(row) for row in range(2)]])
def test_rows_that_have_ended_add_nothing_to_their_scores(generators):  # a GPU may go on for some steps
    picker = TokenPicker(1, OPTIONS, LogitsProcessorList(), generators)
    log_probs = torch.full((2, 4), 0.25).log()
    picker(torch.tensor([[0], [0]]), log_probs)
    picker(torch.tensor([[0, 1], [0, 2]]), log_probs)
    torch.testing.assert_close(picker.totals, torch.tensor([0.25, 0.0625]).log())
    picker(torch.tensor([[0, 1, 1], [0, 2, 1]]), torch.full((2, 4), -torch.inf))
    torch.testing.assert_close(picker.totals, torch.tensor([0.25, 0.0625]).log())


def test_one_token_is_left_to_a_row():
    log_probs = torch.tensor([[0.1, 0.2, 0.7], [0.6, 0.3, 0.1]]).log()
    chosen = TokenPicker(1, OPTIONS)(torch.tensor([[0], [0]]), log_probs)
    assert chosen.tolist() == [[-torch.inf, -torch.inf, 0], [0, -torch.inf, -torch.inf]]
