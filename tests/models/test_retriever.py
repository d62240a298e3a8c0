import math

import pytest
import torch
import torch.nn.functional as F
from mmaction.registry import DATASETS, MODELS
from mmengine.dataset import pseudo_collate
from mmengine.runner import load_checkpoint

from mmclip4clip.evaluation import score_videos
from mmclip4clip.models import BaseAdapter
from mmclip4clip.models.features import cat_features, join_features


@pytest.fixture
def batch(shapes, pipeline):
    dataset = DATASETS.build(
        dict(
            type='VideoCaptionDataset',
            ann_file='test.json',
            data_root=str(shapes),
            data_prefix=dict(video='videos'),
            test_mode=True,
            pipeline=pipeline,
        )
    )
    return pseudo_collate([dataset[i] for i in range(3)])


def build(tiny_clip, **adapter):
    return MODELS.build(
        dict(
            type='CLIP4ClipRetriever',
            backbone=dict(type='CLIPBackbone', config=tiny_clip),
            adapter=adapter or dict(type='MeanAdapter'),
        )
    ).eval()


@pytest.mark.parametrize('mode, message', [('predict', 'needs data_samples'), ('other', 'mode must be')])
def test_a_mode_that_cannot_be_run_is_refused_by_name(tiny_clip, batch, mode, message):
    model = build(tiny_clip)
    inputs = model.data_preprocessor(batch)['inputs']
    with pytest.raises(ValueError, match=message):
        model(inputs, mode=mode)


def test_loss_is_the_scaled_cosine_contrasted(tiny_clip, batch):
    model = build(tiny_clip)
    data = model.data_preprocessor(batch)
    losses = model(**data, mode='loss')
    text, videos = model(**data, mode='tensor')
    scale = model.backbone.logit_scale.exp()
    logits, video_index = (
        scale * F.normalize(text['text'], dim=1) @ videos['video'].T,
        data['inputs']['video_index'],
    )
    torch.testing.assert_close(losses['loss_t2v'], F.cross_entropy(logits, video_index) / 2)
    torch.testing.assert_close(losses['logit_scale'], scale.detach())


def test_predict_gives_each_video_its_features_and_those_of_its_captions(tiny_clip, batch):
    model = build(tiny_clip)
    samples = model.val_step(batch)
    assert [s.text_features['text'].shape for s in samples] == [(3, 32)] * 3
    with torch.no_grad():
        text, videos = model(**model.data_preprocessor(batch), mode='tensor')
    torch.testing.assert_close(join_features([s.video_features for s in samples]), videos)
    torch.testing.assert_close(cat_features([s.text_features for s in samples]), text)


def test_logit_scale_is_held_at_log_100_and_can_come_down_again(tiny_clip, batch):
    model = build(tiny_clip)
    model.backbone.logit_scale.data.fill_(7.0)
    losses = model(**model.data_preprocessor(batch), mode='loss')
    assert model.backbone.logit_scale.item() == pytest.approx(math.log(100))
    (losses['loss_t2v'] + losses['loss_v2t']).backward()
    assert model.backbone.logit_scale.grad != 0


def test_init_weights_keeps_all_weights(tiny_clip):
    model = build(tiny_clip, type='SeqTransformerAdapter', width=32, num_layers=2, num_heads=2, max_frames=24)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.init_weights()
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    positions = model.adapter.transformer.positions.weight
    text = model.backbone.clip.text_model.embeddings.position_embedding.weight
    assert torch.equal(positions, text)
    positions.data.add_(1)  # as a loaded checkpoint would
    model.init_weights()
    assert torch.equal(positions, text + 1)


BLOCKS = dict(width=32, num_layers=2, num_heads=2, start='random')
ADAPTERS = [
    dict(type='MeanAdapter'),
    dict(type='SeqLSTMAdapter', width=32),
    dict(type='SeqTransformerAdapter', **BLOCKS),
    dict(type='TightAdapter', **BLOCKS),
    dict(type='TightAdapter', variant='paper', **BLOCKS),
    dict(type='WTIAdapter', **BLOCKS),
    dict(type='XPoolAdapter', width=32),
]


@pytest.mark.parametrize('adapter', ADAPTERS, ids=lambda a: a['type'])
def test_every_trained_parameter_gets_a_gradient(tiny_clip, batch, adapter):
    model = build(tiny_clip, **adapter).train()
    losses = model(**model.data_preprocessor(batch, True), mode='loss')
    (losses['loss_t2v'] + losses['loss_v2t']).backward()
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    frozen = [n for n, p in model.named_parameters() if not p.requires_grad]
    assert frozen == (['backbone.clip.logit_scale'] if adapter['type'] == 'TightAdapter' else [])


@pytest.mark.parametrize('adapter', ADAPTERS, ids=lambda a: a['type'])
def test_features_that_predict_leaves_score_as_the_batch_does(tiny_clip, batch, adapter):
    model = build(tiny_clip, **adapter)
    with torch.no_grad():
        data = model.data_preprocessor(batch)
        together = model.similarity(*model(**data, mode='tensor'))
        samples = model(**data, mode='predict')
        videos = join_features([s.video_features for s in samples])
        apart = torch.cat([model.similarity(s.text_features, videos) for s in samples])
    torch.testing.assert_close(apart, together, rtol=1e-5, atol=1e-5)


def test_text_blocks_and_positions_are_the_start_of_the_tight_head(tiny_clip):
    model = build(tiny_clip, type='TightAdapter', width=32, num_layers=1, num_heads=2, max_frames=23)
    text = model.backbone.clip.text_model
    assert torch.equal(model.adapter.transformer.positions.weight, text.embeddings.position_embedding.weight)
    ours = model.adapter.transformer.blocks[0].state_dict()
    assert all(torch.equal(ours[k], v) for k, v in text.encoder.layers[0].state_dict().items())


def test_training_starts_from_the_backbone_of_another_heads_checkpoint(tiny_clip, tmp_path):
    torch.save(dict(state_dict=build(tiny_clip).state_dict()), tmp_path / 'mean.pth')
    source = torch.load(tmp_path / 'mean.pth', weights_only=True)['state_dict']
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'mean.pth'), prefix='backbone.')
    model = MODELS.build(
        dict(
            type='CLIP4ClipRetriever',
            backbone=dict(type='CLIPBackbone', config=tiny_clip, init_cfg=init_cfg),
            adapter=dict(type='TightAdapter', width=32, num_layers=1, num_heads=2, max_frames=23),
        )
    )
    model.init_weights()
    for name, value in source.items():
        assert torch.equal(model.state_dict()[name], value), name
    positions = 'clip.text_model.embeddings.position_embedding.weight'
    assert torch.equal(model.adapter.transformer.positions.weight, source[f'backbone.{positions}'])


def test_a_backbone_that_does_not_fit_is_refused(tiny_clip, tmp_path):
    state = build(tiny_clip).state_dict()
    state.pop('backbone.clip.text_projection.weight')
    torch.save(dict(state_dict=state), tmp_path / 'less.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'less.pth'), prefix='backbone.')
    model = MODELS.build(dict(type='CLIPBackbone', config=tiny_clip, init_cfg=init_cfg))
    with pytest.raises(RuntimeError, match='text_projection.weight'):
        model.init_weights()
    with pytest.raises(ValueError, match="init_cfg of CLIPBackbone must be .* got {'type': 'Normal'}"):
        MODELS.build(dict(type='CLIPBackbone', config=tiny_clip, init_cfg=dict(type='Normal')))


def test_unknown_gathering_is_refused(tiny_clip):
    with pytest.raises(ValueError, match="gather must be .* got 'all'"):
        MODELS.build(
            dict(
                type='CLIP4ClipRetriever',
                backbone=dict(type='CLIPBackbone', config=tiny_clip),
                adapter=dict(type='MeanAdapter'),
                gather='all',
            )
        )


def test_unknown_mode_is_refused(tiny_clip, batch):
    with pytest.raises(ValueError, match="got 'losses'"):
        build(tiny_clip)(**build(tiny_clip).data_preprocessor(batch), mode='losses')


@pytest.mark.parametrize(
    'layers, message',
    [
        (1, r'16 missing keys; the first ones:\n  adapter.transformer.blocks.1'),
        (3, r'16 unexpected keys; the first ones:\n  adapter.transformer.blocks.2'),
    ],
)
def test_part_of_an_adapter_is_refused_by_loaders_that_are_not_strict(tiny_clip, tmp_path, layers, message):
    def build(num_layers):
        return MODELS.build(
            dict(
                type='CLIP4ClipRetriever',
                backbone=dict(type='CLIPBackbone', config=tiny_clip),
                adapter=dict(
                    type='SeqTransformerAdapter', width=32, num_layers=num_layers, num_heads=2, start='random'
                ),
            )
        )

    torch.save(dict(state_dict=build(layers).state_dict()), tmp_path / 'other.pth')
    with pytest.raises(RuntimeError, match=f'only a part of what this CLIP4ClipRetriever needs: {message}'):
        load_checkpoint(build(2), str(tmp_path / 'other.pth'))


class BareMean(BaseAdapter):
    """An adapter as users wrote them when features could be a tensor."""

    def pool(self, frames, frame_mask):
        """Average all frames."""
        return F.normalize(frames.mean(dim=1), dim=-1)

    def similarity(self, text, videos):
        """Compare tensors."""
        return F.normalize(text, dim=-1) @ videos.T


def test_an_adapter_that_returns_tensors_still_compares_tensors(tiny_clip, batch):
    model = build(tiny_clip)
    data = model.data_preprocessor(batch)
    model.adapter = BareMean()
    with pytest.warns(FutureWarning, match='BareMean returned features as a tensor'):
        text, videos = model(**data, mode='tensor')
    assert list(videos) == ['tensor'] and list(text) == ['text']
    expected = F.normalize(text['text'], dim=-1) @ videos['tensor'].T
    torch.testing.assert_close(model.similarity(text, videos), expected)
    samples = model.val_step(batch)
    assert score_videos(model, samples) == {}
    torch.testing.assert_close(torch.cat([s.scores for s in samples]), expected)
    with pytest.warns(FutureWarning, match='BareMean'):
        assert list(model.adapter.encode(torch.ones(1, 2, 4), torch.ones(1, 2))) == ['tensor']


@pytest.mark.parametrize('adapter', ADAPTERS, ids=lambda a: a['type'])
def test_features_are_dicts_of_tensors_for_every_head(tiny_clip, batch, adapter):
    model = build(tiny_clip, **adapter)
    data = model.data_preprocessor(batch)
    text, videos = model(**data, mode='tensor')
    captions = len(data['inputs']['tokens'])
    for features, count in ((text, captions), (videos, 3)):
        assert isinstance(features, dict) and all(len(part) == count for part in features.values())
    for sample in model(**data, mode='predict'):
        assert isinstance(sample.video_features, dict) and isinstance(sample.text_features, dict)
