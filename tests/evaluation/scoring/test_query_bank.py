import json
from types import SimpleNamespace

import pytest
import torch
from mmaction.registry import DATASETS, METRICS, MODELS
from mmaction.structures import ActionDataSample
from torch.utils.data import ConcatDataset

from mmclip4clip.evaluation import QueryBank
from mmclip4clip.evaluation.scoring.query_bank import build_query_bank, caption_settings
from mmclip4clip.models.features import split_features


@pytest.fixture
def bank(shapes):
    """Build a bank of the moving shapes' captions."""

    def bank(**kwargs):
        return QueryBank(
            **dict(
                dict(ann_file=str(shapes / 'train.json'), tokenizer=str(shapes / 'tokenizer'), max_words=24),
                **kwargs,
            )
        )

    return bank


@pytest.fixture
def captions(shapes):
    return [c for entry in json.loads((shapes / 'train.json').read_text()) for c in entry['captions']]


def test_the_bank_holds_every_caption_or_paragraph(bank, captions, shapes):
    assert bank().captions == captions and len(captions) == 48
    first = json.loads((shapes / 'train.json').read_text())[0]['captions']
    paragraphs = bank(caption_mode='paragraph').captions
    assert len(paragraphs) == 16 and paragraphs[0] == ' '.join(first)


def test_a_draw_takes_so_many_without_repetition_and_repeats_with_its_seed(bank, tmp_path):
    words = [f'word{i}' for i in range(30)]
    (tmp_path / 'words.json').write_text(json.dumps({'v.mp4': words}))
    file = str(tmp_path / 'words.json')
    drawn = bank(ann_file=file, max_captions=20).captions
    assert len(set(drawn)) == 20 and set(drawn) < set(words)
    assert bank(ann_file=file, max_captions=20).captions == drawn
    assert bank(ann_file=file, max_captions=20, seed=1).captions != drawn
    for enough in (30, None):
        assert bank(ann_file=file, max_captions=enough).captions == words


def test_what_is_not_given_is_as_the_dataset_has_it(shapes, pipeline):
    data = DATASETS.build(
        dict(
            type='VideoCaptionDataset',
            ann_file=str(shapes / 'test.json'),
            test_mode=True,
            data_prefix=dict(video=str(shapes / 'videos')),
            pipeline=pipeline,
            caption_mode='paragraph',
        )
    )
    built = build_query_bank(dict(ann_file=str(shapes / 'train.json')), [], ConcatDataset([data]))
    assert (built.tokenize.name, built.tokenize.max_words) == (str(shapes / 'tokenizer'), 24)
    assert built.caption_mode == 'paragraph' and len(built.captions) == 16
    cfg = dict(ann_file=str(shapes / 'train.json'), caption_mode='all', max_words=20)
    told = build_query_bank(cfg, [], data)
    assert (told.caption_mode, told.tokenize.max_words) == ('all', 20)
    assert caption_settings([1, 2]) == {}


def test_scores_are_the_cosines_of_each_caption_alone_whatever_the_batch(bank, captions, tiny_clip):
    model = MODELS.build(
        dict(
            type='CLIP4ClipRetriever',
            adapter=dict(type='MeanAdapter'),
            backbone=dict(type='CLIPBackbone', config=tiny_clip),
        )
    ).eval()
    videos = torch.nn.functional.normalize(torch.randn(3, 32), dim=1)
    tokenize = bank().tokenize.tokenizer
    with torch.no_grad():
        text = [
            model.encode_text(torch.tensor([ids]), torch.ones(1, len(ids)))['text'][0]
            for ids in (tokenize(c)['input_ids'] for c in captions)
        ]
    cosines = torch.stack([torch.stack([(t @ v) / t.norm() for v in videos]) for t in text])
    for size in (7, 48, 1000):
        scores = bank(batch_size=size).scores(model, dict(video=videos), torch.device('cpu'))
        torch.testing.assert_close(scores, cosines)
    assert not scores.requires_grad


def test_features_of_several_parts_are_scored_as_those_of_the_test_are(bank, captions, tiny_clip):
    adapter = dict(type='WTIAdapter', width=32, num_layers=1, num_heads=2, max_frames=8, start='random')
    model = MODELS.build(
        dict(type='CLIP4ClipRetriever', adapter=adapter, backbone=dict(type='CLIPBackbone', config=tiny_clip))
    ).eval()
    with torch.no_grad():
        clips = [model.adapter.encode(torch.randn(1, n, 32), torch.ones(1, n)) for n in (2, 4)]
        batch = bank().tokenize(dict(captions=captions))
        text = model.encode_text(*(torch.from_numpy(batch[k]) for k in ('tokens', 'text_mask')))
        expected = torch.cat([model.similarity(text, clip) for clip in clips], dim=1)
    samples = [ActionDataSample() for _ in clips]
    for sample, clip in zip(samples, clips):
        sample.set_field(split_features(clip)[0], 'video_features')
    bank(batch_size=11).add_scores(samples, model, torch.device('cpu'))
    for number, sample in enumerate(samples):  # videos of different lengths, joined with padding
        torch.testing.assert_close(sample.bank_scores, expected[:, number])


def test_the_message_comes_before_the_run_if_there_is_no_bank(bank, shapes):
    metric = METRICS.build(dict(type='VideoTextRetrievalMetric', post_processing=['qb_norm']))
    plain = METRICS.build(dict(type='VideoTextRetrievalMetric', post_processing=['dual_softmax']))
    with pytest.raises(ValueError, match='query_bank=dict'):
        build_query_bank(None, [plain, metric])
    assert build_query_bank(None, [plain, SimpleNamespace()]) is None
    cfg = dict(ann_file=str(shapes / 'train.json'), tokenizer=str(shapes / 'tokenizer'), max_captions=5)
    assert len(build_query_bank(cfg, [metric]).captions) == 5


@pytest.mark.parametrize(
    'kwargs, error, message',
    [
        (dict(ann_file='none.json'), FileNotFoundError, 'none.json'),
        (dict(max_captions=0), ValueError, 'max_captions of the query bank must be at least 1, got 0'),
        (dict(batch_size=-1), ValueError, 'batch_size of the query bank must be at least 1, got -1'),
        (dict(caption_mode='each'), ValueError, "must be 'all' or 'paragraph', got 'each'"),
    ],
)
def test_bad_arguments_are_refused(bank, kwargs, error, message):
    with pytest.raises(error, match=message):
        bank(**kwargs)
