"""A model of stored features is the whole model with a frozen encoder."""

import numpy as np
import pytest
import torch
from mmaction.registry import DATASETS, MODELS
from mmaction.structures import ActionDataSample
from mmengine.dataset import pseudo_collate

from mmclip4clip.datasets.feature_files import StoredVideo
from mmclip4clip.engine.hooks.feature_checkpoint_hook import split_encoder
from mmclip4clip.models.backbones.stored_features import StoredFeatureBackbone
from mmclip4clip.models.weight_digest import digest_encoder

from ..datasets.feature_folders import write_folder

KEY = 'backbone.clip.logit_scale'
BLOCKS = dict(num_layers=2, num_heads=2, max_frames=8, start='random')
HEADS = dict(Mean={}, SeqTransformer=BLOCKS, SeqLSTM={}, Tight=BLOCKS, WTI=BLOCKS, XPool={})
CAPTIONS, FRAMES = (2, 1, 3), (4, 2, 3)


@pytest.fixture
def batch() -> dict:
    """Three videos of other lengths, with one to three captions."""
    draw = np.random.default_rng(0)
    items = []
    for number, (frames, captions) in enumerate(zip(FRAMES, CAPTIONS)):
        mask = np.tri(captions, 6, 3, dtype=np.int64)  # captions of 4 to 6 tokens
        tokens = draw.integers(2, 1000, mask.shape) * mask
        imgs = torch.from_numpy(draw.integers(0, 256, (frames, 3, 64, 64), np.uint8))
        sample = ActionDataSample(metainfo=dict(video_id=f'v{number}', filename=f'v{number}.mp4'))
        sample.set_metainfo(dict(captions=[f'caption {n}' for n in range(captions)]))
        items.append(dict(inputs=dict(imgs=imgs, tokens=tokens, text_mask=mask), data_samples=sample))
    return pseudo_collate(items)


def build(backbone: dict, head: str, **kwargs) -> torch.nn.Module:
    torch.manual_seed(0)
    adapter = dict(type=f'{head}Adapter', **HEADS[head])
    return MODELS.build(dict(type='CLIP4ClipRetriever', backbone=backbone, adapter=adapter, **kwargs))


def store(whole, batch, folder) -> None:
    """Write the features of the whole model's encoder, one video at a time."""
    videos = []
    for number, sample in enumerate(batch['data_samples']):
        one = {key: values[number : number + 1] for key, values in batch['inputs'].items()}
        inputs = whole.data_preprocessor(dict(inputs=one, data_samples=[sample]))['inputs']
        with torch.no_grad():
            frames = whole.backbone.encode_frames(inputs['frames'], inputs['frame_mask'])[0]
            text = whole.backbone.encode_text(inputs['tokens'], inputs['text_mask'])
            tokens = whole.backbone.encode_text(inputs['tokens'], inputs['text_mask'], per_token=True)
        rows = [row[: m.sum()] for row, m in zip(tokens['tokens'], tokens['text_mask'])]
        videos.append(StoredVideo(dict(sample.metainfo_items()), frames, text, rows))
    write_folder(folder, videos, width=32)


def stored_model(whole, head: str) -> torch.nn.Module:
    """The model of stored features with the weights that a checkpoint of the whole model has."""
    digest, weights = split_encoder(whole.state_dict(), KEY)
    backbone = dict(type='StoredFeatureBackbone', width=32, encoder=digest)
    model = build(backbone, head, data_preprocessor=dict(type='FeaturePreprocessor'))
    model.load_state_dict({**weights, 'backbone.encoder': model.backbone.encoder})
    return model


def stored_batch(model, folder) -> dict:
    uses = model.adapter.uses_tokens
    dataset = DATASETS.build(
        dict(type='FeatureDataset', folder=str(folder), caption_mode='all', per_token=uses)
    )
    return pseudo_collate([dataset[i] for i in range(len(dataset))])


@pytest.mark.parametrize('head', HEADS)
def test_steps_from_features_are_those_of_a_frozen_encoder(tiny_clip, batch, tmp_path, head):
    whole = build(dict(type='CLIPBackbone', config=tiny_clip), head)
    for name, parameter in whole.backbone.named_parameters():
        parameter.requires_grad = name == 'clip.logit_scale' and parameter.requires_grad
    store(whole, batch, tmp_path)
    model = stored_model(whole, head)
    batches = batch, stored_batch(model, tmp_path)
    trained = [[p for p in m.parameters() if p.requires_grad] for m in (whole, model)]
    assert [p.shape for p in trained[0]] == [p.shape for p in trained[1]]
    losses = [[], []]
    for number, one in enumerate((whole.train(), model.train())):
        optimizer = torch.optim.SGD(trained[number], lr=0.1) if trained[number] else None
        for step in range(3):
            torch.manual_seed(step)  # of dropout
            inputs = one.data_preprocessor(batches[number], True)['inputs']
            loss = sum(value for key, value in one(inputs, mode='loss').items() if 'loss' in key)
            losses[number].append(loss.item())
            if optimizer:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert not trained[0] or len(set(losses[0])) == 3
    for expected, found in zip(*trained):
        torch.testing.assert_close(found.grad, expected.grad, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('head', HEADS)
def test_scores_from_features_are_those_of_videos(tiny_clip, batch, tmp_path, head):
    whole = build(dict(type='CLIPBackbone', config=tiny_clip), head).eval()
    store(whole, batch, tmp_path)
    model = stored_model(whole, head).eval()
    scores = []
    for one, given in ((whole, batch), (model, stored_batch(model, tmp_path))):
        with torch.no_grad():
            scores.append(one.similarity(*one(one.data_preprocessor(given)['inputs'])))
    assert scores[0].shape == (sum(CAPTIONS), len(FRAMES)) and scores[0].std() > 0
    torch.testing.assert_close(scores[1], scores[0], rtol=1e-5, atol=1e-6)


def test_only_the_adapter_and_the_logit_scale_are_in_a_checkpoint(tiny_clip):
    whole = build(dict(type='CLIPBackbone', config=tiny_clip), 'SeqTransformer')
    model = stored_model(whole, 'SeqTransformer')
    others = {key for key in model.state_dict() if not key.startswith('adapter.')}
    assert others == {'backbone.logit_scale', 'backbone.encoder'}
    assert model.backbone.logit_scale == whole.backbone.logit_scale


def test_an_adapter_starts_from_the_text_tower_which_is_then_dropped(tiny_clip, tmp_path):
    whole = build(dict(type='CLIPBackbone', config=tiny_clip), 'Mean')
    digest = digest_encoder(whole.backbone.state_dict(), 'clip.logit_scale')
    checkpoint = str(tmp_path / 'whole.pth')
    torch.save(dict(state_dict=whole.state_dict()), checkpoint)
    start = dict(
        type='CLIPBackbone', config=tiny_clip, init_cfg=dict(type='Pretrained', checkpoint=checkpoint)
    )
    adapter = dict(type='SeqTransformerAdapter', num_layers=1)  # start='clip_text'
    backbone = dict(type='StoredFeatureBackbone', width=32, encoder=digest, start=start)
    model = MODELS.build(dict(type='CLIP4ClipRetriever', backbone=backbone, adapter=adapter))
    expected = whole.backbone.clip.text_model.embeddings.position_embedding.weight
    found = model.adapter.transformer.positions.weight
    assert len(found) and torch.equal(found, expected[: len(found)])
    model.init_weights()
    assert not hasattr(model.backbone, 'clip')
    with pytest.raises(ValueError, match='is another encoder'):
        MODELS.build(dict(backbone, encoder='ab' * 16))


def test_another_encoder_has_another_digest(tiny_clip):
    one, other = (build(dict(type='CLIPBackbone', config=tiny_clip), 'Mean') for _ in range(2))
    with torch.no_grad():
        other.backbone.clip.logit_scale += 1
    assert split_encoder(one.state_dict(), KEY)[0] == split_encoder(other.state_dict(), KEY)[0]
    with torch.no_grad():
        other.backbone.clip.visual_projection.weight[0, 0] += 1
    assert split_encoder(one.state_dict(), KEY)[0] != split_encoder(other.state_dict(), KEY)[0]


def test_features_of_half_precision_are_read_as_single():
    model = StoredFeatureBackbone(width=4, encoder='ab' * 16)
    frames = [torch.ones(2, 4).half(), torch.ones(3, 4).half()]
    samples = [ActionDataSample(metainfo=dict(video_id=str(i))) for i in range(2)]
    data = dict(inputs=dict(frames=frames, text=[torch.ones(1, 4).half()] * 2), data_samples=samples)
    inputs = MODELS.build(dict(type='FeaturePreprocessor'))(data)['inputs']
    assert inputs['frames'].dtype == inputs['tokens'].dtype == torch.float32
    assert model.encode_frames(inputs['frames'], inputs['frame_mask']) is inputs['frames']
