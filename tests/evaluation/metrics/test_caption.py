import os

import pytest
from mmaction.registry import METRICS
from mmengine.structures import BaseDataElement

from mmclip4clip.evaluation import as_record, caption_figures, score_captions

from ..java import METEOR_OF_A_QUARTER, fake_java

REFERENCES = dict(
    a=['a man runs away', 'someone runs'], b=['a dog eats food', 'the dog is eating'], c=['a cat']
)
GENERATED = dict(a='a man runs', b='the dog eats', c='a cat')


def samples(**changes):
    return [
        dict(
            dict(
                video_id=v,
                filename=f'{v}.mp4',
                captions=REFERENCES[v],
                start=1.0,
                end=2.0,
                generated=GENERATED[v],
            ),
            **changes.get(v, {}),
        )
        for v in REFERENCES
    ]


def evaluate(data, **kwargs):
    metric = METRICS.build(dict(type='VideoCaptionMetric', java=False, **kwargs))
    metric.process(None, data[:2])
    metric.process(None, data[2:])
    return metric.evaluate(len(data)), metric


def test_figures_and_records_are_those_of_the_function():
    figures, metric = evaluate(samples())
    expected = caption_figures(REFERENCES, GENERATED, java=False)
    assert figures == {f'caption/{key}': value for key, value in expected.figures.items()} | {
        'caption/unreadable_videos': 0
    }
    assert [r.cider for r in metric.records] == [*expected.cider.values()]
    assert metric.records[1].generated == 'the dog eats' and metric.records[1].window == (1.0, 2.0)
    assert 'mine/CIDEr' in evaluate(samples(), prefix='mine')[0]


def test_data_samples_need_no_scores_of_retrieval():
    metric = METRICS.build(dict(type='VideoCaptionMetric', java=False))
    metric.process(None, [BaseDataElement(metainfo=sample).to_dict() for sample in samples()])
    assert metric.evaluate(3) == evaluate(samples())[0]


def test_videos_without_frames_or_words_score_nothing_and_are_counted():
    figures, metric = evaluate(samples(a=dict(generated='...'), b=dict(unreadable='no frames')))
    assert figures['caption/empty'] == 1 and figures['caption/unreadable_videos'] == 1
    assert [r.generated for r in metric.records] == ['...', '', 'a cat']
    expected = caption_figures(REFERENCES, dict(GENERATED, a='', b=''), java=False).figures
    assert figures['caption/ROUGE_L'] == expected['ROUGE_L'] == pytest.approx(100 / 3)
    none = evaluate(samples())[0]  # else mmengine's log repeats what was before
    assert none['caption/empty'] == none['caption/unreadable_videos'] == 0


def test_a_model_that_generates_nothing_is_named_as_the_cause():
    data = samples()
    del data[2]['generated']
    with pytest.raises(KeyError, match='test a CLIP4ClipCaptioner, or remove VideoCaptionMetric from'):
        evaluate(data)


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(c=dict(video_id='a')), "1 videos occur more than once, such as 'a'"),
        (dict(b=dict(captions=[])), r"video 'b': expected at least one reference caption .*got \[\]"),
        (dict(b=dict(captions=['x', ''])), "video 'b': .*no empty one"),
    ],
)
def test_videos_that_cannot_be_scored_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        evaluate(samples(**changes))


def test_java_is_missed_at_construction_unless_done_without(tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(RuntimeError, match='java=False'):
        METRICS.build(dict(type='VideoCaptionMetric'))
    assert 'caption/METEOR' not in evaluate(samples())[0]


def test_with_java_there_is_meteor_too(tmp_path, monkeypatch):
    java = fake_java(tmp_path, METEOR_OF_A_QUARTER)
    monkeypatch.setenv('PATH', f'{java}{os.pathsep}/usr/bin:/bin')
    metric = METRICS.build(dict(type='VideoCaptionMetric'))
    metric.process(None, samples())
    assert metric.evaluate(3)['caption/METEOR'] == 25
    monkeypatch.setenv('PATH', str(tmp_path / 'nothing'))
    metric.process(None, samples())
    with pytest.raises(RuntimeError, match='java does not run here'):  # it has gone since
        metric.evaluate(3)


def test_videos_of_one_name_in_two_datasets_are_scored_apart():
    joined = samples(a=dict(video_key='/one/v'), b=dict(video_key='/two/v', video_id='a'))
    figures, metric = evaluate(joined)
    plain = evaluate(samples())
    assert figures == plain[0]
    assert [r.cider for r in metric.records] == [r.cider for r in plain[1].records]
    assert [r.video_id for r in metric.records] == ['a', 'a', 'c']


def test_one_file_under_two_names_is_refused():
    with pytest.raises(ValueError, match="1 videos occur more than once, such as '/one/v'"):
        evaluate(samples(a=dict(video_key='/one/v'), b=dict(video_key='/one/v')))


def test_records_and_dumps_are_scored_without_a_metric():
    expected = evaluate(samples())[1]
    entries = [as_record(sample).to_dict() for sample in samples()]
    for source in (samples(), entries, [as_record(entry) for entry in entries]):
        assert score_captions(source, java=False).cider == {r.video_id: r.cider for r in expected.records}
