import pytest
import torch
from mmaction.registry import MODELS

from mmclip4clip.models.backbones.families import FAMILIES
from mmclip4clip.models.backbones.towers import text_embeddings, tower_blocks

from ...encoders import KINDS, small_encoder

HEADS = [
    'MeanAdapter',
    'SeqLSTMAdapter',
    'SeqTransformerAdapter',
    'TightAdapter',
    'WTIAdapter',
    'XPoolAdapter',
]
STARTING = ['SeqTransformerAdapter', 'TightAdapter', 'WTIAdapter']
PRE_NORM = [kind for kind in KINDS if FAMILIES[kind].pooling != 'first']


def retriever(kind: str, adapter: str, **values):
    config = small_encoder(kind)
    if 'projection_dim' in config:
        config['projection_dim'] = 32
    config['text_config']['intermediate_size'] = 80
    head = dict(type=adapter, **values)
    return MODELS.build(
        dict(type='CLIP4ClipRetriever', backbone=dict(type='CLIPBackbone', config=config), adapter=head)
    )


@pytest.mark.parametrize('adapter', HEADS)
@pytest.mark.parametrize('kind', KINDS)
def test_each_head_scores_features_of_each_family(kind, adapter):
    start = dict(start='random') if adapter in STARTING and kind not in PRE_NORM else {}
    model = retriever(kind, adapter, **(dict(num_layers=2) if adapter in STARTING else {}), **start)
    videos = model.encode_videos(torch.randn(2, 3, 3, 32, 32), torch.tensor([[1, 1, 1], [1, 1, 0]]))
    text = model.encode_text(torch.randint(4, 99, (4, 6)), torch.ones(4, 6))
    scores = model.similarity(text, videos)
    assert scores.shape == (4, 2)
    scores.sum().backward()
    assert all(p.grad is not None for p in model.adapter.parameters() if p.requires_grad)


@pytest.mark.parametrize('adapter', STARTING)
@pytest.mark.parametrize('kind', PRE_NORM)
def test_blocks_start_from_the_text_tower_with_its_sizes_and_activation(kind, adapter):
    model = retriever(kind, adapter, num_layers=2)
    clip, transformer = model.backbone.clip, model.adapter.transformer
    for own, block in zip(transformer.blocks, tower_blocks(clip, 'text')):
        hidden = torch.randn(2, 5, 32)
        expected = block.mlp(block.layer_norm2(hidden))
        torch.testing.assert_close(own.mlp(own.layer_norm2(hidden)), expected, atol=1e-5, rtol=1e-4)
        assert own.self_attn.num_heads == block.self_attn.num_heads == 2
        assert own.mlp.fc1.out_features == 80
    positions = text_embeddings(clip)[1].weight
    assert len(transformer.positions.weight) == 24  # all that there are, fewer than CLIP's 77
    assert torch.equal(transformer.positions.weight, positions)


@pytest.mark.parametrize('kind', [kind for kind in KINDS if kind not in PRE_NORM])
def test_blocks_of_another_kind_are_named(kind):
    with pytest.raises(ValueError, match="text tower are not like those of an adapter .*give start='random'"):
        retriever(kind, 'SeqTransformerAdapter', num_layers=1)


def test_sizes_of_the_config_come_first():
    model = retriever('clip', 'SeqTransformerAdapter', num_layers=1, num_heads=2, max_frames=7)
    assert model.adapter.max_frames == 7
    with pytest.raises(ValueError, match="num_heads=4 cannot start from CLIP's text tower, which has 2"):
        retriever('clip', 'SeqTransformerAdapter', num_layers=1, num_heads=4)
    with pytest.raises(ValueError, match='width=64'):
        retriever('clip', 'SeqTransformerAdapter', num_layers=1, width=64)
    with pytest.raises(ValueError, match='intermediate_size=96'):
        retriever('clip', 'SeqTransformerAdapter', num_layers=1, intermediate_size=96)


def test_a_head_that_starts_at_random_has_the_sizes_of_before():
    adapter = retriever('clip', 'SeqTransformerAdapter', num_layers=1, start='random').adapter
    block = adapter.transformer.blocks[0]
    assert (block.self_attn.num_heads, block.mlp.fc1.out_features, adapter.max_frames) == (1, 128, 77)


@pytest.mark.parametrize('tied', [True, False])
@pytest.mark.parametrize('kind', KINDS)
def test_a_captioner_takes_each_family(kind, tied, tmp_path):
    from mmclip4clip.tokenizers import train_tokenizer

    vocab_size = len(train_tokenizer(['a dog runs'], tmp_path))
    config = small_encoder(kind, vocab_size=vocab_size)
    model = MODELS.build(
        dict(
            type='CLIP4ClipCaptioner',
            backbone=dict(type='CLIPBackbone', config=config),
            adapter=dict(type='MeanAdapter'),
            decoder=dict(
                type='CaptionDecoder', num_layers=1, num_heads=2, tie_embeddings=tied, max_positions=None
            ),
            tokenizer=str(tmp_path),
            generation=dict(method='greedy', max_new_tokens=3),
        )
    )
    mask = torch.ones(1, 2)
    captions, _ = model.generate(model.encode_frames(torch.randn(1, 2, 3, 32, 32), mask), mask)
    assert len(captions) == 1
