"""Losses in blocks against the same losses of the whole matrix."""

import pytest
import torch

from mmclip4clip.models import MeanAdapter, SigmoidLoss, SymmetricContrastiveLoss
from mmclip4clip.models.batch_contrast import contrast_batch

LOSSES = [SymmetricContrastiveLoss, SigmoidLoss]


def batch(num_videos=7, num_captions=11, width=5, dtype=torch.float64):
    """Videos with 0, 1 or several captions; the first and the last are the same video."""
    generator = torch.Generator().manual_seed(0)
    text, videos = (
        torch.nn.functional.normalize(torch.randn(n, width, generator=generator, dtype=dtype), dim=1)
        for n in (num_captions, num_videos)
    )
    key = torch.arange(num_videos)
    key[-1] = 0
    index = torch.randint(num_videos - 2, (num_captions,), generator=generator)
    scale = torch.tensor(9.0, dtype=dtype)
    return [tensor.requires_grad_() for tensor in (text, videos, scale)], index, key


def gradients(losses, tensors):
    total = sum((n + 1) * value for n, value in enumerate(losses.values()))  # unequal weights of the terms
    return [*losses.values(), *torch.autograd.grad(total, tensors)]


@pytest.mark.parametrize('block_size', [1, 3, 11, 100])
@pytest.mark.parametrize('same_video', ['positive', 'negative'])
@pytest.mark.parametrize('loss_type', LOSSES)
def test_blocks_have_the_loss_and_the_gradients_of_the_whole(loss_type, same_video, block_size):
    (text, videos, scale), index, key = batch()
    loss = loss_type(loss_weight=0.7, same_video=same_video, block_size=block_size).double()
    tensors = [text, videos, scale, *loss.parameters()]
    whole = gradients(loss(scale * text @ videos.T, index, key), tensors)
    blocks = gradients(loss.forward_in_blocks(text, videos, scale, index, key), tensors)
    for found, expected in zip(blocks, whole):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    with torch.no_grad():
        found = loss.forward_in_blocks(text, videos, scale, index, key)
    torch.testing.assert_close(list(found.values()), whole[: len(found)], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('loss_type', LOSSES)
def test_mixed_precision_does_not_round_the_loss_of_features_in_single_precision(loss_type):
    (text, videos, scale), index, key = batch(dtype=torch.float32)
    loss = loss_type(block_size=3)
    tensors = [text, videos, scale]
    exact = gradients(loss.forward_in_blocks(text, videos, scale, index, key), tensors)
    with torch.autocast('cpu', torch.bfloat16):
        mixed = loss.forward_in_blocks(text, videos, scale, index, key)
    for found, expected in zip(gradients(mixed, tensors), exact):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize('loss_type', LOSSES)
def test_vectors_of_half_precision_are_compared_as_in_the_whole_matrix(loss_type):
    generator = torch.Generator().manual_seed(0)
    frames, text = (torch.randn(*shape, generator=generator).bfloat16() for shape in ((6, 3, 32), (6, 32)))
    adapter, index = MeanAdapter(), torch.arange(6)
    features = dict(text=text), adapter.encode(frames, torch.ones(6, 3, dtype=torch.long))
    whole, blocks = (
        contrast_batch(
            loss_type(block_size=size),
            adapter.similarity,
            *features,
            torch.tensor(100.0),
            index,
            index,
            'exact',
        )
        for size in (None, 2)
    )
    torch.testing.assert_close(blocks, whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('loss_type', LOSSES)
def test_a_batch_of_2048_is_equal_in_blocks(loss_type):
    (text, videos, scale), *_ = batch(2048, 2048, 64)
    index = key = torch.arange(2048)
    loss = loss_type(block_size=300).double()
    whole = gradients(loss(scale * text @ videos.T, index, key), [text, videos, scale])
    blocks = gradients(loss.forward_in_blocks(text, videos, scale, index, key), [text, videos, scale])
    for found, expected in zip(blocks, whole):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('loss_type', LOSSES)
def test_the_matrix_is_never_whole(loss_type):
    (text, videos, scale), *_ = batch(512, 512, 4)
    index = key = torch.arange(512)
    sizes = []

    class Watched(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            found = function(*args, **(kwargs or {}))
            sizes.extend(
                part.numel()
                for part in (found if isinstance(found, tuple) else [found])
                if isinstance(part, torch.Tensor)
            )
            return found

    with Watched():
        losses = loss_type(block_size=16).double().forward_in_blocks(text, videos, scale, index, key)
        sum(losses.values()).backward()
    assert 16 * 512 <= max(sizes) <= 32 * 512  # a block, and the sums of the columns of 32 blocks


@pytest.mark.parametrize('block_size', [0, -1, 1.5, True, '8'])
@pytest.mark.parametrize('loss_type', LOSSES)
def test_a_wrong_block_size_is_refused(loss_type, block_size):
    with pytest.raises(ValueError, match='block_size must be None or a positive whole number'):
        loss_type(block_size=block_size)
