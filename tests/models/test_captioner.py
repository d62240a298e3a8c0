import copy

import pytest
import torch
from mmaction.registry import MODELS, TRANSFORMS
from mmengine.dataset import pseudo_collate

from mmclip4clip.evaluation import score_videos
from mmclip4clip.models import CaptionCrossEntropy

from ..datasets.transforms.test_tokenization import save_tokenizer
from .test_retriever import ADAPTERS

CLIP = 'backbone.clip.'
TIED = {f'{CLIP}text_model.embeddings.{kind}_embedding.weight' for kind in ('token', 'position')}
TEXT = (f'{CLIP}text_model.', f'{CLIP}text_projection.', f'{CLIP}logit_scale')
SEQUENCE = next(a for a in ADAPTERS if a['type'] == 'SeqTransformerAdapter')


def run(model, batch, mode='loss'):
    return model(**model.data_preprocessor(copy.deepcopy(batch)), mode=mode)


def gradientless(model):
    return [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]


def trained(model):
    return {n for n, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize('adapter', ADAPTERS, ids=lambda a: a['type'])
def test_every_adapter_trains_with_the_decoder_and_writes(build, batch, adapter):
    model = build(adapter).train()
    total, logged = model.parse_losses(run(model, batch))
    total.backward()
    assert gradientless(model) == []
    assert {'loss', 'loss_caption', 'loss_t2v', 'loss_v2t'} <= set(logged)
    samples = model.eval().val_step(batch)
    for sample in samples:
        assert isinstance(sample.generated, str) and sample.generated_score < 0


@pytest.mark.parametrize('adapter', ADAPTERS, ids=lambda a: a['type'])
def test_without_retrieval_all_that_trains_gets_a_gradient_and_no_caption_is_encoded(
    build, batch, adapter, monkeypatch
):
    model = build(adapter, retrieval_weight=0.0).train()
    monkeypatch.setattr(type(model), 'encode_text', lambda *a: pytest.fail('text was encoded'))
    monkeypatch.setattr(type(model.adapter), 'pool', lambda *a: pytest.fail('frames were pooled'))
    losses = run(model, batch)
    assert set(losses) == {'loss_caption'}
    losses['loss_caption'].backward()
    assert gradientless(model) == []
    names = trained(model)
    assert {n for n in names if n.startswith(TEXT)} == TIED
    assert {n for n, _ in model.named_parameters() if n.startswith((f'{CLIP}vis', 'decoder.'))} <= names
    context = dict(
        SeqLSTMAdapter='adapter.', SeqTransformerAdapter='adapter.', WTIAdapter='adapter.transformer.'
    ).get(adapter['type'], 'nothing')
    assert {n for n in names if n.startswith('adapter.')} == {
        n for n, _ in model.named_parameters() if n.startswith(context)
    }


def test_free_embeddings_leave_nothing_of_the_text_tower_to_train(build, batch):
    model = build(decoder=dict(tie_embeddings=False), retrieval_weight=0.0).train()
    run(model, batch)['loss_caption'].backward()
    assert gradientless(model) == [] and not {n for n in trained(model) if n.startswith(TEXT)}


def test_embeddings_that_the_backbone_freezes_stay_frozen(build, tiny_clip):
    backbone = dict(type='CLIPBackbone', config=tiny_clip, frozen_layers=0)
    assert not trained(build(backbone=backbone, retrieval_weight=0.0)) & TIED


def test_the_loss_is_that_of_captions_plus_the_weighted_one_of_retrieval(build, tiny_clip, batch):
    model = build(SEQUENCE, retrieval_weight=0.25)
    retriever = MODELS.build(
        dict(
            type='CLIP4ClipRetriever', adapter=SEQUENCE, backbone=dict(type='CLIPBackbone', config=tiny_clip)
        )
    )
    retriever.load_state_dict(model.state_dict(), strict=False)
    losses, retrieval = run(model, batch), run(retriever.eval(), batch)
    data = model.data_preprocessor(copy.deepcopy(batch))['inputs']
    frames = model.encode_frames(data['frames'], data['frame_mask'])[data['video_index']]
    logits = model.decoder(data['tokens'], data['text_mask'], frames, data['frame_mask'][data['video_index']])
    caption = CaptionCrossEntropy()(logits, data['tokens'], data['text_mask'])['loss_caption']
    torch.testing.assert_close(losses['loss_caption'], caption)
    total, _ = model.parse_losses(losses)
    torch.testing.assert_close(total, caption + 0.25 * (retrieval['loss_t2v'] + retrieval['loss_v2t']))
    torch.testing.assert_close(losses['logit_scale'], retrieval['logit_scale'])


def test_a_frozen_encoder_stays_as_it_is_and_in_evaluation(build, batch):
    model = build(SEQUENCE, retrieval_weight=0.0, freeze_encoder=True).train()
    assert not any(m.training for part in (model.backbone, model.adapter) for m in part.modules())
    assert model.decoder.training
    assert trained(model) == {n for n, _ in model.named_parameters() if n.startswith('decoder.')}
    run(model, batch)['loss_caption'].backward()
    assert gradientless(model) == []
    with pytest.raises(ValueError, match='freeze_encoder=True .* needs retrieval_weight=0, got 1.0'):
        build(freeze_encoder=True)


def test_features_for_retrieval_are_those_of_a_retriever(build, tiny_clip, batch):
    model = build(SEQUENCE)
    retriever = MODELS.build(
        dict(
            type='CLIP4ClipRetriever', adapter=SEQUENCE, backbone=dict(type='CLIPBackbone', config=tiny_clip)
        )
    )
    retriever.load_state_dict(model.state_dict(), strict=False)
    for ours, theirs in zip(model.val_step(copy.deepcopy(batch)), retriever.eval().val_step(batch)):
        torch.testing.assert_close(ours.video_features, theirs.video_features)
        torch.testing.assert_close(ours.text_features, theirs.text_features)


def test_a_video_that_could_not_be_read_gets_no_caption(build, batch):
    batch['data_samples'][1].set_metainfo(dict(unreadable='broken'))
    model = build()
    samples = model.val_step(batch)
    score_videos(model, samples)
    first, second, _ = (sample.record for sample in samples)
    assert first.generated != '' and second.generated == ''
    assert second.generated_score == float('-inf')


def test_features_alone_need_no_caption(build, batch, monkeypatch):
    model = build(SEQUENCE)
    monkeypatch.setattr(type(model), 'generate', lambda *a: pytest.fail('captions were written'))
    text, video = run(model, batch, 'tensor')
    samples = MODELS.get('CLIP4ClipRetriever').forward(model, **model.data_preprocessor(batch), mode='tensor')
    torch.testing.assert_close((text, video), tuple(samples))


def test_captions_are_written_in_mixed_precision(build, batch):
    with torch.autocast('cpu', torch.bfloat16):
        samples = build(SEQUENCE).val_step(batch)
    assert all(isinstance(s.generated, str) and s.generated_score < 0 for s in samples)


def test_a_decoder_with_its_own_tokenizer_learns_and_writes_its_words(build, dataset, tmp_path):
    name = save_tokenizer(tmp_path, cls_token='[S]', sep_token='[E]')
    targets = TRANSFORMS.build(dict(type='TokenizeTargets', tokenizer=name))
    dataset.pipeline.transforms.insert(-1, targets)
    batch = pseudo_collate([dataset[i] for i in range(2)])
    model = build(tokenizer=name, decoder=dict(tie_embeddings=False, width=16, max_positions=40))
    losses = run(model, batch)
    own = batch['inputs']['caption_tokens'][0]
    assert own.max() < 5 and model.decoder.vocab_size == 5
    assert losses['loss_caption'] < 3 and torch.isfinite(losses['loss_t2v'])
    words = set(' '.join(s.generated for s in model.val_step(batch)).split())
    assert words <= {'[UNK]', 'red', 'circle'}


def test_captions_of_another_tokenizer_than_the_models_are_refused(build, batch, tmp_path):
    name = save_tokenizer(tmp_path, bos_token='[S]', eos_token='[E]')
    model = build(tokenizer=name, decoder=dict(tie_embeddings=False))
    with pytest.raises(ValueError, match='start with token 0, .* with 3: .*TokenizeTargets'):
        run(model, batch)


def test_a_small_model_reproduces_its_captions(build, dataset):
    items = [dataset[i] for i in range(0, 16, 3)]
    for item in items:
        item['inputs'].update({key: item['inputs'][key][:1] for key in ('tokens', 'text_mask')})
    batch = pseudo_collate(items)
    model = build(SEQUENCE, decoder=dict(dropout=0.0)).train()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(100):
        optimizer.zero_grad()
        model.parse_losses(run(model, batch))[0].backward()
        optimizer.step()
    samples = model.eval().val_step(batch)
    assert [s.generated for s in samples] == [s.captions[0] for s in samples]


@pytest.mark.parametrize(
    'kwargs, message',
    [
        (dict(retrieval_weight=-1), 'retrieval_weight must be a finite number and not negative, got -1'),
        (dict(retrieval_weight=float('nan')), 'retrieval_weight must be a finite number .* got nan'),
        (dict(retrieval_weight='1'), "retrieval_weight must be a finite number .* got '1'"),
        (dict(generation=dict(beam_size=0)), "'beam_size': 0.* cannot be used: beam_size must be .*got 0"),
        (dict(generation=dict(max_new_tokens=25)), 'max_new_tokens=25 is more than the 24 positions'),
        (
            dict(decoder=dict(vocab_size=900)),
            'has [0-9]+ token ids, and the decoder has vocab_size=900',
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(build, kwargs, message):
    with pytest.raises(ValueError, match=message):
        build(**kwargs)


def test_a_tokenizer_that_knows_more_words_than_clip_is_refused(build, tiny_clip):
    tiny_clip['text_config']['vocab_size'] = 100
    with pytest.raises(ValueError, match=r'vocab_size=\d+ of CaptionDecoder does not fit .* 100 tokens'):
        build()


def test_a_tokenizer_that_cannot_begin_a_caption_is_refused(build, tmp_path):
    with pytest.raises(ValueError, match='neither bos_token and eos_token nor cls_token and sep_token'):
        build(tokenizer=save_tokenizer(tmp_path, bos_token='[S]'))
