import math

import pytest
import torch

from mmclip4clip.models import MeanAdapter


def plain_mean(frames, mask):
    """Compute meanP for one video at a time, in float64 and without tensors' batch axes."""
    videos = []
    for video, keep in zip(frames.double().tolist(), mask.tolist()):
        unit = []
        for frame, kept in zip(video, keep):
            if kept:
                length = math.sqrt(sum(x * x for x in frame))
                unit.append([x / length for x in frame])
        mean = [sum(column) / len(unit) for column in zip(*unit)]
        length = math.sqrt(sum(x * x for x in mean))
        videos.append([x / length for x in mean])
    return torch.tensor(videos, dtype=torch.float64)


@pytest.mark.parametrize('lengths', [(5, 5, 5), (5, 1, 3), (1, 1, 1)])
def test_equals_a_plain_computation(lengths):
    frames = torch.randn(3, 5, 8)
    mask = (torch.arange(5) < torch.tensor(lengths)[:, None]).long()
    torch.testing.assert_close(
        MeanAdapter().encode(frames, mask)['video'].double(), plain_mean(frames, mask), rtol=1e-5, atol=1e-6
    )


def test_each_frame_counts_alike_however_long_its_vector():
    frames = torch.tensor([[[100.0, 0.0], [0.0, 1.0]]])
    video = MeanAdapter().encode(frames, torch.ones(1, 2))['video']
    torch.testing.assert_close(video, torch.tensor([[math.sqrt(0.5), math.sqrt(0.5)]]))


def test_padding_does_not_change_the_mean():
    adapter, frames = MeanAdapter(), torch.randn(2, 4, 8)
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]])
    alone = adapter.encode(frames[:1, :2], mask[:1, :2])['video']
    frames[0, 2:] = 1e3
    torch.testing.assert_close(adapter.encode(frames, mask)['video'][:1], alone)


def test_similarity_is_the_cosine():
    text, videos = torch.tensor([[3.0, 4.0], [0.0, 2.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    torch.testing.assert_close(
        MeanAdapter().similarity(dict(text=text), dict(video=videos)), torch.tensor([[0.6, 0.8], [0.0, 1.0]])
    )
