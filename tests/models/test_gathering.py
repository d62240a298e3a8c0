"""One batch spread over two processes against the same batch on one."""

import os
import socket
from importlib import import_module
from importlib.util import find_spec

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmaction.registry import MODELS

import mmclip4clip  # noqa: F401  registers the modules

from ..datasets.transforms.test_tokenization import save_tokenizer
from ..extras import needs_peft

TOWER = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
SPECIAL = dict(bos_token_id=0, eos_token_id=1, pad_token_id=1)
CLIP = dict(
    text_config=dict(**TOWER, **SPECIAL, vocab_size=20, max_position_embeddings=8),
    vision_config=dict(**TOWER, image_size=16, patch_size=8),
    projection_dim=16,
)
BLOCKS = dict(width=16, num_layers=1, num_heads=2, start='random')
ADAPTERS = dict(
    mean=dict(type='MeanAdapter'),
    tight=dict(type='TightAdapter', dropout=0.0, **BLOCKS),
    tight_paper=dict(type='TightAdapter', variant='paper', dropout=0.0, **BLOCKS),
    wti=dict(type='WTIAdapter', **BLOCKS),
)
LOSSES = dict(
    whole=dict(type='mmaction.SymmetricContrastiveLoss'),
    blocks=dict(type='mmaction.SymmetricContrastiveLoss', block_size=2),
    micro_batches=dict(type='mmaction.SymmetricContrastiveLoss'),
    sigmoid=dict(type='mmaction.SigmoidLoss', init_bias=-1.0),
    sigmoid_blocks=dict(type='mmaction.SigmoidLoss', init_bias=-1.0, block_size=2),
)
CASES = [
    ('mean', 'exact', 'blocks'),
    ('mean', 'none', 'blocks'),
    ('mean', 'exact', 'micro_batches'),
    ('mean', 'exact', 'sigmoid'),
    ('mean', 'exact', 'sigmoid_blocks'),
    ('mean', 'exact'),
    ('tight', 'exact'),
    ('tight_paper', 'exact'),
    ('wti', 'exact'),
    ('mean', 'local_gradient'),
    ('mean', 'none'),
    ('tight', 'none'),
]
CAPTIONERS = dict(
    joint=dict(),
    alone=dict(retrieval_weight=0.0),
    frozen=dict(retrieval_weight=0.0, freeze_encoder=True),
    free=dict(decoder=dict(tie_embeddings=False)),
    checkpointed=dict(backbone=dict(gradient_checkpointing=True)),
    lora=dict(backbone=dict(gradient_checkpointing=True, lora=dict(r=2, target_modules='all-linear'))),
)
WAYS = [*list(CAPTIONERS)[:-1], pytest.param('lora', marks=needs_peft)]
SHARES = (slice(0, 3), slice(3, 5))  # unequal: the first process holds a video more


def build(adapter, gather, loss='whole'):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='mmaction.CLIP4ClipRetriever',
            gather=gather,
            backbone=dict(
                type='mmaction.CLIPBackbone', config=CLIP, embedding_std=dict(text=0.5, vision=0.5)
            ),
            adapter=dict(ADAPTERS[adapter], type='mmaction.' + ADAPTERS[adapter]['type']),
            loss=LOSSES[loss],
            micro_batch_size=2 if loss == 'micro_batches' else None,
            data_preprocessor=dict(type='mmaction.VideoCaptionPreprocessor'),
        )
    ).train()


def build_captioner(way, tokenizer):
    torch.manual_seed(0)
    options = dict(CAPTIONERS[way])
    decoder = dict(
        type='mmaction.CaptionDecoder', num_layers=2, num_heads=2, dropout=0.0, **options.pop('decoder', {})
    )
    return MODELS.build(
        dict(
            type='mmaction.CLIP4ClipCaptioner',
            tokenizer=tokenizer,
            decoder=decoder,
            backbone=dict(
                type='mmaction.CLIPBackbone',
                config=CLIP,
                embedding_std=dict(text=0.5, vision=0.5),
                **options.pop('backbone', {}),
            ),
            adapter=dict(BLOCKS, type='mmaction.SeqTransformerAdapter'),
            loss=dict(type='mmaction.SymmetricContrastiveLoss'),
            caption_loss=dict(type='mmaction.CaptionCrossEntropy', label_smoothing=0.1),
            data_preprocessor=dict(type='mmaction.VideoCaptionPreprocessor'),
            **options,
        )
    ).train()


def batch():
    generator = torch.Generator().manual_seed(1)
    mask = torch.tensor([[1, 1], [1, 0], [1, 1], [1, 0], [1, 0]])
    text_mask = (torch.arange(4) < torch.tensor([4, 3, 4, 2, 3])[:, None]).long()
    return dict(
        frames=torch.randn(5, 2, 3, 16, 16, generator=generator),
        frame_mask=mask,
        tokens=torch.randint(2, 20, (5, 4), generator=generator),
        text_mask=text_mask,
        video_key=torch.tensor([1, 2, 3, 1, 4]),
    )  # videos 0 and 3 are one, on two processes


def gradients(model, share):
    return losses_and_gradients(model, share)[1]


def losses_and_gradients(model, share, **changed):
    inputs = {key: value[share] for key, value in dict(batch(), **changed).items()}
    frames, words = (inputs[mask].sum(1).max() for mask in ('frame_mask', 'text_mask'))
    inputs.update(  # each process pads to its own longest video and caption
        frames=inputs['frames'][:, :frames],
        frame_mask=inputs['frame_mask'][:, :frames],
        tokens=inputs['tokens'][:, :words],
        text_mask=inputs['text_mask'][:, :words],
        video_index=torch.arange(len(inputs['frames'])),
    )
    model.zero_grad()
    losses = model(inputs, mode='loss')
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    inner = getattr(model, 'module', model)
    return {name: value.detach() for name, value in losses.items()}, {
        n: p.grad.clone() for n, p in inner.named_parameters() if p.grad is not None
    }


def captions():
    """The texts of the batch in words that the tokenizer of captions has, its start first."""
    tokens = batch()['tokens'] % 3
    return torch.cat([torch.full_like(tokens[:, :1], 3), tokens[:, 1:]], dim=1)


def worker(rank, port, tokenizer, out):
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group('gloo', rank=rank, world_size=2)
    for case in CASES:
        model = torch.nn.parallel.DistributedDataParallel(build(*case))
        out[rank, case] = losses_and_gradients(model, SHARES[rank])
    for way in CAPTIONERS if find_spec('peft') else list(CAPTIONERS)[:-1]:
        model = torch.nn.parallel.DistributedDataParallel(
            build_captioner(way, tokenizer), find_unused_parameters=way == 'checkpointed'
        )
        for _ in range(2):  # DDP complains of parameters without a gradient at the second step
            out[rank, way] = losses_and_gradients(model, SHARES[rank], tokens=captions())
    dist.destroy_process_group()


@pytest.fixture(scope='module')
def tokenizer(tmp_path_factory):
    """The folder of a tokenizer of five words."""
    return save_tokenizer(tmp_path_factory.mktemp('words'), cls_token='[S]', sep_token='[E]')


@pytest.fixture(scope='module')
def spread(tokenizer):
    """What two processes made of the batch, by rank and case."""
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    if find_spec('peft'):
        import_module('peft')  # takes seconds, so here and not in both processes
    out = mp.get_context('fork').Manager().dict()
    mp.start_processes(worker, (port, tokenizer, out), nprocs=2, start_method='fork')
    return dict(out)


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient, rtol=1e-4, atol=1e-6 + 1e-5 * gradient.abs().max())


@pytest.mark.parametrize('adapter', ['mean', 'tight', 'wti'])
def test_exact_gathering_gives_the_gradients_of_one_process(spread, adapter):
    expected = gradients(build(adapter, 'exact'), slice(None))
    assert_same(spread[0, (adapter, 'exact')][1], expected)
    assert_same(spread[1, (adapter, 'exact')][1], expected)


@pytest.mark.parametrize(
    'loss, whole',
    [
        ('blocks', 'whole'),
        ('micro_batches', 'whole'),
        ('sigmoid', 'sigmoid'),
        ('sigmoid_blocks', 'sigmoid'),
    ],
)
def test_losses_are_those_of_one_process_and_the_whole_batch(spread, loss, whole):
    losses, expected = losses_and_gradients(build('mean', 'exact', whole), slice(None))
    for rank in (0, 1):
        torch.testing.assert_close(spread[rank, ('mean', 'exact', loss)][0], losses)
        assert_same(spread[rank, ('mean', 'exact', loss)][1], expected)


def test_without_gathering_blocks_are_of_one_process(spread):
    losses, _ = losses_and_gradients(build('mean', 'none'), SHARES[1])
    torch.testing.assert_close(spread[1, ('mean', 'none', 'blocks')][0], losses)
    assert_same(spread[1, ('mean', 'none', 'blocks')][1], spread[1, ('mean', 'none')][1])


def test_the_references_rule_divides_the_encoders_gradients_by_the_processes(spread):
    expected = gradients(build('mean', 'exact'), slice(None))
    scale = expected.pop('backbone.clip.logit_scale')
    ours = dict(spread[0, ('mean', 'local_gradient')][1])
    torch.testing.assert_close(ours.pop('backbone.clip.logit_scale'), scale, rtol=1e-4, atol=1e-6)
    assert_same(ours, {name: gradient / 2 for name, gradient in expected.items()})


@pytest.mark.parametrize('adapter', ['mean', 'tight'])
def test_without_gathering_each_process_contrasts_its_own_batch(spread, adapter):
    model = build(adapter, 'none')
    first, second = (gradients(model, share) for share in SHARES)
    assert_same(spread[1, (adapter, 'none')][1], {n: (first[n] + second[n]) / 2 for n in first})


@pytest.mark.parametrize('way', WAYS)
def test_a_captioner_has_the_losses_and_gradients_of_one_process(spread, tokenizer, way):
    losses, expected = losses_and_gradients(build_captioner(way, tokenizer), slice(None), tokens=captions())
    assert 'loss_caption' in losses and ('loss_t2v' in losses) == (way not in ('alone', 'frozen'))
    for rank in (0, 1):
        torch.testing.assert_close(spread[rank, way][0], losses)
        assert_same(spread[rank, way][1], expected)
