import pytest
import torch
import torch.nn.functional as F

from mmclip4clip.models import SeqLSTMAdapter


def plain_seq_lstm(adapter, frames):
    """Compute seqLSTM for one unpadded video (T, D) in float64, gates written out."""
    w = {k: v.double() for k, v in adapter.lstm.state_dict().items()}
    frames = frames.double()
    h = c = torch.zeros(frames.shape[1], dtype=torch.float64)
    outputs = []
    for x in frames:
        gates = w['weight_ih_l0'] @ x + w['bias_ih_l0'] + w['weight_hh_l0'] @ h + w['bias_hh_l0']
        i, f, g, o = gates.chunk(4)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(x + h)
    return F.normalize(F.normalize(torch.stack(outputs), dim=1).mean(0), dim=0)


@pytest.mark.parametrize('lengths', [(5, 5), (5, 1), (2, 3)])
def test_equals_a_plain_computation_however_the_batch_is_padded(lengths):
    adapter, frames = SeqLSTMAdapter(width=8), torch.randn(2, 5, 8)
    mask = (torch.arange(5) < torch.tensor(lengths)[:, None]).long()
    videos = adapter.encode(frames * mask[..., None] + 50 * (1 - mask[..., None]), mask)['video']
    for video, clip, length in zip(videos, frames, lengths):
        torch.testing.assert_close(
            video.double(), plain_seq_lstm(adapter, clip[:length]), rtol=1e-5, atol=1e-6
        )


def test_order_matters():
    adapter, frames, mask = SeqLSTMAdapter(width=8), torch.randn(1, 4, 8), torch.ones(1, 4)
    assert not torch.allclose(
        adapter.encode(frames, mask)['video'], adapter.encode(frames.flip(1), mask)['video'], atol=1e-3
    )
