import pytest
import torch
from mmaction.registry import METRICS


def samples(rows, groups=(None, None, None)):
    return [dict(video_id=str(i), filename='', captions=['x'] * len(r), group=g,
                 video_features=torch.zeros(2), text_features=torch.zeros(len(r), 2),
                 scores=torch.tensor(r)) for i, (r, g) in enumerate(zip(rows, groups))]


ROWS = ([[.9, .1, .2], [.3, .8, .4]], [[.5, .5, .1]], [[.2, .3, .6]])  # ranks 1, 3, 2, 1


def evaluate(data, size=3, **kwargs):
    metric = METRICS.build(dict(type='VideoTextRetrievalMetric', **kwargs))
    metric.process(None, data[:2])
    metric.process(None, data[2:])
    return metric.evaluate(size), metric


def test_keys_are_mmactions_and_their_reverse():
    figures, metric = evaluate(samples(ROWS))
    assert figures == {
        'retrieval/R1': 50., 'retrieval/R5': 100., 'retrieval/R10': 100., 'retrieval/MdR': 1.5,
        'retrieval/MnR': 1.75, 'retrieval/v2t_R1': pytest.approx(200 / 3), 'retrieval/v2t_R5': 100.,
        'retrieval/v2t_R10': 100., 'retrieval/v2t_MdR': 1., 'retrieval/v2t_MnR': pytest.approx(4 / 3)}
    assert [r['video_id'] for r in metric.records] == ['0', '1', '2']
    assert 'text_features' not in metric.records[0]


def test_groups_add_their_own_figure():
    figures, _ = evaluate(samples(ROWS, ('g', 'g', 'h')))
    assert figures['retrieval/group_R1'] == pytest.approx(100 / 3)
    assert 'retrieval/group_R1' not in evaluate(samples(ROWS, ('f', 'g', 'h')))[0]


def test_other_recalls_and_prefixes():
    figures, _ = evaluate(samples(ROWS), recall_at=[1, 50], prefix='anet')
    assert figures['anet/R50'] == 100. and 'anet/R5' not in figures


def test_a_perfect_model_with_forty_captions_a_video_scores_100():
    videos = torch.eye(50)
    figures, _ = evaluate(samples([[row.tolist()] * 40 for row in videos], [None] * 50), size=50)
    assert figures['retrieval/R1'] == figures['retrieval/v2t_R1'] == 100.


def test_unknown_protocol_is_refused_at_construction():
    with pytest.raises(ValueError, match="got 'sentences'"):
        METRICS.build(dict(type='VideoTextRetrievalMetric', v2t_protocol='sentences'))
