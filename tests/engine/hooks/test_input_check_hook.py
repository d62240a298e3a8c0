from types import SimpleNamespace

import pytest
from mmaction.registry import MODELS, TRANSFORMS
from mmengine.dataset import ConcatDataset

from mmclip4clip.engine import InputCheckHook
from mmclip4clip.engine.hooks import input_check_hook
from mmclip4clip.tokenizers.loading import train_tokenizer

from .runs import dataset, run


@pytest.fixture
def log(monkeypatch):
    lines = []
    monkeypatch.setattr(
        input_check_hook, 'print_log', lambda text, level=20, **kwargs: lines.append((level, text))
    )
    return lines


@pytest.fixture
def transforms(shapes):
    """Build a pipeline that fits the model, but for what is given."""

    def transforms(max_words=24, frames=8, crop=64, folder=shapes / 'tokenizer', **others):
        steps = [
            dict(type='DecodeVideo', sampling=dict(type='SampleAtRate', max_frames=frames)),
            dict(type='Resize', scale=(-1, 80)),
            dict(type='CenterCrop', crop_size=crop),
            dict(type='FormatShape', input_format='NCHW'),
            dict(type='TokenizeCaptions', tokenizer=str(folder), max_words=max_words),
        ]
        steps += [dict(type=name, **arguments) for name, arguments in others.items()]
        return [TRANSFORMS.build(step) for step in steps]

    return transforms


@pytest.fixture
def model(tiny_clip):
    """Build a retriever of 8 frames of 64 pixels, and of 24 tokens."""

    def model(adapter='SeqTransformerAdapter', vocab_size=1000, max_frames=8, **kwargs):
        tiny_clip['text_config'].update(vocab_size=vocab_size, **kwargs)
        adapter = dict(type=adapter)
        if adapter['type'] != 'MeanAdapter':
            adapter.update(width=32, num_layers=1, num_heads=2, max_frames=max_frames, start='random')
        return MODELS.build(
            dict(
                type='CLIP4ClipRetriever',
                adapter=adapter,
                backbone=dict(type='CLIPBackbone', config=tiny_clip),
            )
        )

    return model


@pytest.mark.parametrize('stage', ['train', 'val', 'test'])
def test_what_fits_passes_and_says_how_many_captions_are_cut(model, transforms, log, stage):
    parts = {stage: dataset(transforms(max_words=6), captions=['red ' * 5, 'red', 'red', 'red'])}
    InputCheckHook().before_run(run(model(), **parts))
    assert log == [
        (
            30,
            f'{stage}_dataloader: 25.0 % of 4 captions (1) exceed max_words=6 and are truncated; the '
            'longest has 7 tokens, start and end included',
        )
    ]
    log.clear()
    InputCheckHook().before_run(run(model(), **{stage: dataset(transforms())}))
    assert [level for level, _ in log] == [20]


@pytest.mark.parametrize(
    'adapter, change, message',
    [
        (
            'MeanAdapter',
            dict(max_words=25),
            'max_words=25 of TokenizeCaptions exceeds the 24 text positions of '
            r'model.backbone \(text_config.max_position_embeddings\)',
        ),
        (
            'SeqTransformerAdapter',
            dict(frames=9),
            'up to 9 frames per video, but max_frames of model.adapter is 8',
        ),
        ('TightAdapter', dict(frames=9), 'up to 9 frames per video, but max_frames of model.adapter is 8'),
        ('WTIAdapter', dict(frames=9), 'up to 9 frames per video, but max_frames of model.adapter is 8'),
        (
            'MeanAdapter',
            dict(crop=72),
            r'frames of \(H, W\) = \(72, 72\), but model.backbone expects \(64, 64\) '
            r'\(vision_config.image_size\)',
        ),
        ('MeanAdapter', dict(crop=(64, 48)), r'\(H, W\) = \(48, 64\), but model.backbone expects \(64, 64\)'),
    ],
)
def test_what_the_model_cannot_take_is_refused_at_the_start(model, transforms, adapter, change, message):
    joined = ConcatDataset([dataset(transforms()), dataset(transforms(**change))])
    with pytest.raises(ValueError, match=f'train_dataloader: .*{message}'):
        InputCheckHook().before_run(run(model(adapter), train=joined))


@pytest.mark.parametrize('stage', ['val', 'test'])
def test_evaluations_are_compared_too(model, transforms, stage):
    parts = dict(train=dataset(transforms())) if stage == 'val' else {}
    with pytest.raises(ValueError, match=f'{stage}_dataloader: max_words=25'):
        InputCheckHook().before_run(run(model(), **parts, **{stage: dataset(transforms(max_words=25))}))


def test_every_problem_is_named(model, transforms):
    with pytest.raises(ValueError, match='(?s)max_words=30 .*9 frames.*72, 72'):
        InputCheckHook().before_run(run(model(), train=dataset(transforms(max_words=30, frames=9, crop=72))))


def test_a_clip_that_was_not_applied_is_refused(model, transforms, shapes):
    folder, parts = str(shapes / 'tokenizer'), dict(train=dataset(transforms()))
    with pytest.raises(
        ValueError, match=f"clip='other' .* train_dataloader: tokenizer='{folder}': call .*use_clip"
    ):
        InputCheckHook().before_run(run(model(), **parts, clip='other'))
    InputCheckHook().before_run(run(model(), **parts, clip=folder))
    built = model()
    built.backbone.pretrained = 'openai/clip-vit-base-patch32'
    with pytest.raises(
        ValueError, match="not applied, model.backbone.pretrained='openai/clip-vit-base-patch32'"
    ):
        InputCheckHook().before_run(run(built, **parts, clip=folder))


def test_adapters_without_positions_take_any_number(model, transforms, log):
    InputCheckHook().before_run(run(model('MeanAdapter'), train=dataset(transforms(frames=100))))
    InputCheckHook().before_run(run(model('TightAdapter'), train=dataset(transforms(frames=8))))


def test_a_vocabulary_beyond_the_embedding_is_refused(model, transforms, log, tmp_path):
    size = len(train_tokenizer(['a red circle'] * 3, tmp_path))
    InputCheckHook().before_run(run(model(vocab_size=size), train=dataset(transforms(folder=tmp_path))))
    small = run(model(vocab_size=size - 1), train=dataset(transforms(folder=tmp_path)))
    with pytest.raises(
        ValueError,
        match=rf'has ids up to {size - 1}, but the embedding of model.backbone has '
        rf'{size - 1} rows \(text_config.vocab_size\)',
    ):
        InputCheckHook().before_run(small)


def test_other_ids_of_start_and_end_are_said(model, transforms, log):
    InputCheckHook().before_run(run(model(eos_token_id=7), test=dataset(transforms())))
    assert 'eos_token_id 1 of the tokenizer, text_config.eos_token_id=7 of model.backbone' in log[0][1]
    log.clear()
    InputCheckHook().before_run(run(model(eos_token_id=2, bos_token_id=5), test=dataset(transforms())))
    assert len(log) == 1 and 'eos' not in log[0][1]  # how OpenAI's configs say the highest


def test_the_query_bank_is_compared_too(model, transforms):
    bank = SimpleNamespace(tokenize=transforms(max_words=30)[-1])
    with pytest.raises(ValueError, match='query_bank: max_words=30 .* exceeds the 24 text positions'):
        InputCheckHook().before_run(run(model(), test=dataset(transforms()), bank=bank))


@pytest.mark.parametrize('own', [False, True])
def test_captions_must_fit_the_positions_of_the_decoder(model, transforms, shapes, log, own):
    captioner = model()
    captioner.tokenizer, captioner.decoder = 'any', SimpleNamespace(max_positions=16)
    targets = dict(TokenizeTargets=dict(tokenizer=str(shapes / 'tokenizer'), max_words=17)) if own else {}
    good = dict(TokenizeTargets=dict(tokenizer=str(shapes / 'tokenizer'), max_words=16)) if own else {}
    words = 24 if own else 17
    name = 'TokenizeTargets' if own else 'TokenizeCaptions'
    with pytest.raises(ValueError, match=f'max_words=17 of {name} exceeds the 16 positions of model.decoder'):
        InputCheckHook().before_run(run(captioner, train=dataset(transforms(max_words=words, **targets))))
    fits = dataset(transforms(max_words=24 if own else 16, **good))
    InputCheckHook().before_run(run(captioner, train=fits, val=dataset(transforms())))  # decoders read no val


@pytest.mark.parametrize(
    'steps, model, warns',
    [
        (4, dict(loss_module=1), True),
        (1, dict(loss_module=1), False),
        (4, dict(loss_module=1, retrieval_weight=0.5), True),
        (4, dict(loss_module=1, retrieval_weight=0), False),
        (4, {}, False),
    ],
)
def test_accumulated_contrastive_batches_are_warned_of(log, steps, model, warns):
    runner = SimpleNamespace(
        optim_wrapper=SimpleNamespace(_accumulative_counts=steps), model=SimpleNamespace(**model)
    )
    InputCheckHook().before_train(runner)
    assert len(log) == warns
    assert not log or f'accumulative_counts={steps} contrasts each of {steps} batches' in log[0][1]
