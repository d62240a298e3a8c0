import os
import socket

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from mmclip4clip.models import SymmetricContrastiveLoss
from mmclip4clip.models.losses import gather_video_index, gather_with_grad


def encode(layer, inputs):
    return torch.nn.functional.normalize(layer(inputs), dim=1)


def one_process_gradient(weight, text, videos):
    layer = torch.nn.Linear(4, 4, bias=False)
    layer.weight.data.copy_(weight)
    logits = 5 * encode(layer, text) @ encode(layer, videos).T
    sum(SymmetricContrastiveLoss()(logits, torch.arange(len(text))).values()).backward()
    return layer.weight.grad


def unequal(rank, port):
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group('gloo', rank=rank, world_size=2)
    text = torch.full((3 + rank, 2), float(rank), requires_grad=True)
    gathered = gather_with_grad(text)
    assert gathered[:, 0].tolist() == [0, 0, 0, 1, 1, 1, 1]
    (gathered * torch.arange(7.0)[:, None]).sum().backward()
    assert text.grad[:, 0].tolist() == ([0, 2, 4] if rank == 0 else [6, 8, 10, 12])
    video_index = torch.tensor([0, 0, 1] if rank == 0 else [0, 1, 2, 2])
    assert gather_video_index(video_index, 2 + rank).tolist() == [0, 0, 1, 2, 3, 4, 4]
    frames = gather_with_grad(dict(frames=torch.ones(2 + rank, 1 + rank, 2)))['frames']
    assert frames.shape == (5, 2, 2) and frames[:, 1, 0].tolist() == [0, 0, 1, 1, 1]
    dist.destroy_process_group()


def worker(rank, port, weight, text, videos, out):
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group('gloo', rank=rank, world_size=2)
    layer = torch.nn.Linear(4, 4, bias=False)
    layer.weight.data.copy_(weight)
    model = torch.nn.parallel.DistributedDataParallel(layer)
    part = slice(3 * rank, 3 * rank + 3)
    both = encode(model, torch.cat([text[part], videos[part]]))  # one forward: DDP's rule
    mine_text, mine_videos = both.split(3)
    logits = 5 * gather_with_grad(mine_text) @ gather_with_grad(mine_videos).T
    video_index = gather_video_index(torch.arange(3), 3)
    assert video_index.tolist() == list(range(6))
    sum(SymmetricContrastiveLoss()(logits, video_index).values()).backward()
    out[rank] = layer.weight.grad
    dist.destroy_process_group()


def free_port() -> int:
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def test_processes_may_hold_different_numbers_of_captions_and_frames():
    mp.start_processes(unequal, (free_port(),), nprocs=2, start_method='fork')


def test_two_processes_give_the_gradient_of_one():
    weight, text, videos = torch.randn(4, 4), torch.randn(6, 4), torch.randn(6, 4)
    port = free_port()
    out = mp.get_context('fork').Manager().dict()
    mp.start_processes(worker, (port, weight, text, videos, out), nprocs=2, start_method='fork')
    expected = one_process_gradient(weight, text, videos)
    torch.testing.assert_close(out[0], expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(out[1], expected, rtol=1e-5, atol=1e-6)


def test_one_process_gathers_nothing():
    features = torch.randn(2, 3)
    assert gather_with_grad(features) is features
    assert gather_video_index(features[:, 0], 2) is not None
