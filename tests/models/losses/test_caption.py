import math
import os
import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from mmclip4clip.models import CaptionCrossEntropy

TOKENS = torch.tensor([[0, 3, 4, 1], [0, 2, 1, 0], [0, 4, 2, 1], [0, 1, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 0, 0]])


def plain(logits, smoothing=0.0):
    """The mean over what follows each real token, one token at a time."""
    terms = []
    for row, tokens, mask in zip(logits.double().tolist(), TOKENS.tolist(), MASK.tolist()):
        for place in range(sum(mask) - 1):
            total = math.log(sum(math.exp(x) for x in row[place]))
            right = total - row[place][tokens[place + 1]]
            every = sum(total - x for x in row[place]) / len(row[place])
            terms.append((1 - smoothing) * right + smoothing * every)
    return sum(terms) / len(terms)


@pytest.mark.parametrize('smoothing', [0.0, 0.1])
def test_the_loss_is_the_mean_over_real_next_tokens(smoothing):
    logits = torch.randn(4, 4, 5)
    (loss,) = CaptionCrossEntropy(smoothing)(logits, TOKENS, MASK).values()
    assert loss.item() == pytest.approx(plain(logits, smoothing), rel=1e-5)


def test_what_is_predicted_at_padding_and_after_the_end_does_not_count():
    logits = torch.randn(4, 4, 5, requires_grad=True)
    CaptionCrossEntropy()(logits, TOKENS, MASK)['loss_caption'].backward()
    counted = logits.grad.abs().sum(dim=2) > 0
    assert counted.long().tolist() == [[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 0, 0]]


def test_half_precision_logits_are_summed_in_single_precision():
    logits = torch.randn(4, 4, 5).bfloat16()
    loss, exact = (CaptionCrossEntropy()(x, TOKENS, MASK)['loss_caption'] for x in (logits, logits.float()))
    assert loss.dtype == torch.float32 and torch.equal(loss, exact)


def test_a_share_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r'label_smoothing must be in \[0, 1\), got 1'):
        CaptionCrossEntropy(1)


def loss_and_gradient(model, layer, share):
    hidden = torch.randn(4, 4, 3, generator=torch.Generator().manual_seed(0))
    (loss,) = CaptionCrossEntropy()(model(hidden[share]), TOKENS[share], MASK[share]).values()
    loss.backward()
    return loss.detach(), layer.weight.grad


def make_layer():
    torch.manual_seed(1)
    return torch.nn.Linear(3, 5)


def worker(rank, port, out):
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group('gloo', rank=rank, world_size=2)
    layer = make_layer()
    out[rank] = loss_and_gradient(
        torch.nn.parallel.DistributedDataParallel(layer), layer, slice(0, 3) if rank == 0 else slice(3, 4)
    )
    dist.destroy_process_group()


def test_two_processes_with_unequal_captions_give_the_loss_and_the_gradient_of_one():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    out = mp.get_context('fork').Manager().dict()
    mp.start_processes(worker, (port, out), nprocs=2, start_method='fork')
    layer = make_layer()
    expected = loss_and_gradient(layer, layer, slice(None))
    torch.testing.assert_close(out[0], expected)
    torch.testing.assert_close(out[1], expected)
