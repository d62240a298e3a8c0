"""Ten optimizer steps of one, two and three processes on the same global batches: losses, gradients, weights.

In float64, so that a difference is a difference of what is computed: AdamW divides by the size of a gradient,
and in float32 the gradients that are zero but for rounding, such as those of the biases of keys, move weights
at random.
"""

import gc
import os
import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.optim import OptimWrapper
from torch.nn.parallel import DistributedDataParallel

from .test_gathering import build

STEPS, VIDEOS = 10, 7
# Gradients that are zero but for rounding (1e-16) over AdamW's eps (1e-8), times the rate (1e-2), ten times.
ROUNDING = 1e-9
WAYS = {
    'whole': ('mean', 'exact'),
    'sigmoid in blocks': ('mean', 'exact', 'sigmoid_blocks'),
}
# Where the videos of a batch are divided: no process has as many as another.
CUTS = {1: (0, VIDEOS), 2: (0, 4, VIDEOS), 3: (0, 1, 3, VIDEOS)}


def batch(step, begin, end):
    """The videos from begin to end of a global batch, with one to three captions each."""
    generator = torch.Generator().manual_seed(step)
    counts = torch.randint(1, 4, (VIDEOS,), generator=generator)
    index = torch.arange(VIDEOS).repeat_interleave(counts)
    frames = torch.randn(VIDEOS, 2, 3, 16, 16, generator=generator, dtype=torch.float64)
    lengths = torch.randint(1, 3, (VIDEOS, 1), generator=generator)
    tokens = torch.randint(2, 20, (len(index), 4), generator=generator)
    words = torch.randint(2, 5, (len(index), 1), generator=generator)
    keys = torch.randint(0, 5, (VIDEOS,), generator=generator)  # some videos occur twice
    own = (index >= begin) & (index < end)
    return dict(
        frames=frames[begin:end],
        frame_mask=(torch.arange(2) < lengths).long()[begin:end],
        tokens=tokens[own],
        text_mask=(torch.arange(4) < words).long()[own],
        video_index=index[own] - begin,
        video_key=keys[begin:end],
    )


def train(way, begin, end, distributed):
    """Return the loss of each step, the gradients of the first, and the weights after the last."""
    model = build(*WAYS[way]).double()
    torch.set_default_dtype(torch.float64)  # that of the mask of transformers 4, which has no other
    try:
        return take_steps(model, begin, end, distributed)
    finally:
        torch.set_default_dtype(torch.float32)


def take_steps(model, begin, end, distributed):
    wrapper = OptimWrapper(
        torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1), clip_grad=dict(max_norm=1.0)
    )
    trained = DistributedDataParallel(model) if distributed else model
    losses, gradients = [], {}
    for step in range(STEPS):
        output = trained(batch(step, begin, end), mode='loss')
        loss = sum(value for name, value in output.items() if 'loss' in name)
        losses.append(loss.detach())
        wrapper.backward(loss)
        if not step:
            gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        wrapper.step()
        wrapper.zero_grad()
    return torch.stack(losses), gradients, {n: p.detach() for n, p in model.named_parameters()}


def worker(rank, processes, port, out):
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group('gloo', rank=rank, world_size=processes)
    for way in WAYS:
        out[processes, rank, way] = train(way, *CUTS[processes][rank : rank + 2], distributed=True)
    dist.barrier()
    dist.destroy_process_group()


@pytest.fixture(scope='module')
def trained():
    """What every process of two and of three made of the batches, and one process of them all."""
    alone = {(1, 0, way): train(way, 0, VIDEOS, distributed=False) for way in WAYS}
    gc.freeze()  # the forks have what the optimizer imports, and need not look through it
    out = mp.get_context('fork').Manager().dict()
    for processes in (2, 3):
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            port = probe.getsockname()[1]
        mp.start_processes(worker, (processes, port, out), nprocs=processes, start_method='fork')
    return dict(out) | alone


@pytest.mark.parametrize('way', WAYS)
def test_losses_gradients_and_weights_do_not_depend_on_the_number_of_processes(trained, way):
    losses, gradients, weights = trained[1, 0, way]
    start = dict(build(*WAYS[way]).double().named_parameters())
    assert all(not torch.equal(start[name], weights[name]) for name in gradients)  # all of them moved
    for processes, rank in ((2, 0), (2, 1), (3, 0), (3, 1), (3, 2)):
        other = trained[processes, rank, way]
        torch.testing.assert_close(other[0], losses, rtol=1e-10, atol=0)
        assert other[1].keys() == gradients.keys()
        for ours, theirs in ((other[1], gradients), (other[2], weights)):
            for name, value in theirs.items():
                torch.testing.assert_close(ours[name], value, rtol=1e-8, atol=ROUNDING, msg=name)


@pytest.mark.parametrize('way', WAYS)
def test_the_processes_of_a_run_have_the_same_weights_to_the_bit(trained, way):
    for name, value in trained[3, 0, way][2].items():
        assert all(torch.equal(trained[3, rank, way][2][name], value) for rank in (1, 2)), name
