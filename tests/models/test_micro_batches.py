"""Micro-batches against the whole batch."""

import pytest
import torch
from mmaction.registry import MODELS

import mmclip4clip  # noqa: F401  registers the modules
from mmclip4clip.models.micro_batches import encode_in_micro_batches

from ..datasets.transforms.test_tokenization import save_tokenizer
from .test_gathering import BLOCKS, CLIP, TOWER, batch

ADAPTERS = {
    'MeanAdapter': {},
    'SeqTransformerAdapter': BLOCKS,
    'WTIAdapter': BLOCKS,
    'TightAdapter': dict(BLOCKS, dropout=0.0),
}


def build(adapter='MeanAdapter', **options):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='mmaction.CLIP4ClipRetriever',
            backbone=dict(
                type='mmaction.CLIPBackbone', config=CLIP, embedding_std=dict(text=0.5, vision=0.5)
            ),
            adapter=dict(ADAPTERS[adapter], type=f'mmaction.{adapter}'),
            loss=dict(type='mmaction.SymmetricContrastiveLoss'),
            data_preprocessor=dict(type='mmaction.VideoCaptionPreprocessor'),
            **options,
        )
    ).train()


def step(model, captions=2):
    inputs = dict(batch(), video_index=torch.arange(5).repeat_interleave(captions))
    for name in ('tokens', 'text_mask'):
        inputs[name] = inputs[name].repeat_interleave(captions, 0)
    losses = model(inputs, mode='loss')
    sum(value for name, value in losses.items() if name.startswith('loss')).backward()
    return losses, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize('size', [1, 2, 9])
@pytest.mark.parametrize('adapter', ADAPTERS)
def test_losses_and_gradients_are_those_of_the_whole_batch(adapter, size):
    losses, expected = step(build(adapter))
    found_losses, found = step(build(adapter, micro_batch_size=size))
    torch.testing.assert_close(found_losses, losses)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(
            found[name], gradient, rtol=1e-4, atol=1e-6 + 1e-5 * gradient.abs().max(), msg=name
        )


@pytest.mark.parametrize('adapter', ['MeanAdapter', 'WTIAdapter'])
def test_eight_captions_are_encoded_for_each_video_of_a_part(adapter):
    model, seen = build(adapter, micro_batch_size=1), dict(frames=[], text=[])
    for name, parts in seen.items():
        encode = getattr(model.backbone, f'encode_{name}')

        def count(batch, *args, encode=encode, parts=parts, **options):
            parts.append(len(batch))
            return encode(batch, *args, **options)

        setattr(model.backbone, f'encode_{name}', count)
    step(model, captions=4)
    assert seen['frames'][:5] == [1] * 5 and seen['text'][:3] == [8, 8, 4]
    assert len(seen['frames']) == 9 and sorted(seen['text'][3:]) == [8, 8]  # the last part is encoded once


def build_merging(captioner, tokenizer, size):
    """A model whose first two of three blocks merge 3 of 16 patches."""
    vision = dict(TOWER, num_hidden_layers=3, image_size=32, patch_size=8)
    backbone = dict(
        type='mmaction.CLIPBackbone',
        config=dict(CLIP, vision_config=vision),
        embedding_std=dict(text=0.5, vision=0.5),
        token_merging=dict(r=3),
    )
    options = dict(backbone=backbone, adapter=dict(BLOCKS, type='mmaction.SeqTransformerAdapter'))
    if captioner:
        decoder = dict(type='mmaction.CaptionDecoder', num_layers=1, num_heads=2, dropout=0.0)
        caption_loss = dict(type='mmaction.CaptionCrossEntropy')
        options |= dict(decoder=decoder, caption_loss=caption_loss, tokenizer=tokenizer)
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            options,
            type=f'mmaction.CLIP4Clip{"Captioner" if captioner else "Retriever"}',
            loss=dict(type='mmaction.SymmetricContrastiveLoss'),
            data_preprocessor=dict(type='mmaction.VideoCaptionPreprocessor'),
            micro_batch_size=size,
        )
    ).train()


@pytest.mark.parametrize('captioner', [False, True], ids=['retriever', 'captioner'])
def test_merged_tokens_and_captions_have_the_gradients_of_the_whole_batch(captioner, tmp_path):
    tokenizer, found = save_tokenizer(tmp_path, bos_token='[S]', eos_token='[E]'), []
    for size in (None, 1):
        model = build_merging(captioner, tokenizer, size)
        assert model.backbone.token_merging == [3, 3]
        inputs = dict(batch(), video_index=torch.arange(5).repeat_interleave(2))
        for name in ('tokens', 'text_mask'):  # 10 captions, of which a part has 8
            inputs[name] = inputs[name].repeat_interleave(2, 0)
        inputs['frames'] = torch.randn(5, 2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        inputs['tokens'] = inputs['tokens'].clamp(max=4)  # the vocabulary of the tokenizer
        inputs['tokens'][:, 0] = getattr(model, 'start', 2)
        losses = model(inputs, mode='loss')
        assert ('loss_caption' in losses) == captioner
        sum(value for name, value in losses.items() if 'loss' in name).backward()
        trained = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        found.append((losses, trained))
    (expected_losses, expected), (losses, gradients) = found
    torch.testing.assert_close(losses, expected_losses)
    assert gradients.keys() == expected.keys()
    largest = max(gradient.abs().max() for gradient in expected.values())
    for name, gradient in expected.items():
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-4, atol=1e-5 * largest, msg=name)


def test_dropout_is_the_same_in_both_passes():
    layer, dropout, inputs = torch.nn.Linear(4, 4), torch.nn.Dropout(0.5), torch.randn(6, 4)

    def gradient_of(encode_batch):
        torch.manual_seed(3)
        layer.zero_grad()
        features = encode_batch(lambda part: dropout(layer(part)))
        (features @ features.T).logsumexp(dim=1).sum().backward()
        return features.detach(), layer.weight.grad.clone()

    whole = gradient_of(lambda encode: torch.cat([encode(inputs[:4]), encode(inputs[4:])]))
    found = gradient_of(lambda encode: encode_in_micro_batches(encode, 4, inputs))
    assert (found[0] == 0).any()  # something is dropped
    torch.testing.assert_close(found, whole)


def test_the_activations_of_one_part_exist_at_a_time():
    sizes = []

    class Counted(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            sizes.append(len(x))
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            sizes.append(-len(ctx.saved_tensors[0]))
            return gradient

    inputs = torch.randn(5, 2, requires_grad=True)
    encode_in_micro_batches(Counted.apply, 2, inputs).sum().backward()
    # All are encoded, then the last goes back with the activations it has, and each of the others is encoded
    # again directly before it goes back.
    assert sizes == [2, 2, 1, -1, 2, -2, 2, -2]


def test_evaluation_does_not_divide_the_batch():
    model, seen = build(micro_batch_size=2), []
    original = model.backbone.encode_frames
    model.backbone.encode_frames = lambda frames, mask: seen.append(len(frames)) or original(frames, mask)
    inputs = batch()
    with torch.no_grad():
        model.encode_videos(inputs['frames'], inputs['frame_mask'])
    assert seen == [5]


@pytest.mark.parametrize('size', [0, -2, 1.5, True, '8'])
def test_a_wrong_size_is_refused(size):
    with pytest.raises(ValueError, match='micro_batch_size must be None or a positive whole number'):
        build(micro_batch_size=size)


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(gather='some'), "gather must be 'exact'"),
        (
            dict(gather='local_gradient', block=2),
            "block_size=2 of SymmetricContrastiveLoss needs gather='exact'",
        ),
        (dict(adapter='WTIAdapter', block=2), 'needs an adapter that compares one vector .* got WTIAdapter'),
    ],
)
def test_what_a_loss_in_blocks_cannot_do_is_refused(options, message):
    adapter = options.pop('adapter', 'MeanAdapter')
    block = options.pop('block', None)
    with pytest.raises(ValueError, match=message):
        MODELS.build(
            dict(
                type='mmaction.CLIP4ClipRetriever',
                backbone=dict(type='mmaction.CLIPBackbone', config=CLIP),
                adapter=dict(ADAPTERS[adapter], type=f'mmaction.{adapter}'),
                loss=dict(type='mmaction.SymmetricContrastiveLoss', block_size=block),
                **options,
            )
        )
