import pytest
import torch
from mmaction.registry import METRICS


def samples(rows, groups=(None, None, None)):
    return [
        dict(
            video_id=str(i),
            filename='',
            captions=['x'] * len(r),
            group=g,
            video_features=torch.zeros(2),
            text_features=torch.zeros(len(r), 2),
            scores=torch.tensor(r),
        )
        for i, (r, g) in enumerate(zip(rows, groups))
    ]


ROWS = ([[0.9, 0.1, 0.2], [0.3, 0.8, 0.4]], [[0.5, 0.5, 0.1]], [[0.2, 0.3, 0.6]])  # ranks 1, 3, 2, 1


def evaluate(data, size=3, **kwargs):
    metric = METRICS.build(dict(type='VideoTextRetrievalMetric', **kwargs))
    metric.process(None, data[:2])
    metric.process(None, data[2:])
    return metric.evaluate(size), metric


def test_keys_are_mmactions_and_their_reverse():
    figures, metric = evaluate(samples(ROWS))
    assert figures == {
        'retrieval/R1': 50.0,
        'retrieval/R5': 100.0,
        'retrieval/R10': 100.0,
        'retrieval/MdR': 1.5,
        'retrieval/MnR': 1.75,
        'retrieval/v2t_R1': pytest.approx(200 / 3),
        'retrieval/v2t_R5': 100.0,
        'retrieval/v2t_R10': 100.0,
        'retrieval/v2t_MdR': 1.0,
        'retrieval/v2t_MnR': pytest.approx(4 / 3),
        'retrieval/unreadable_videos': 0.0,
    }
    assert [r.video_id for r in metric.records] == ['0', '1', '2']
    assert metric.records[0].text_features is None


def test_the_references_lower_median_is_of_text_to_video_alone():
    figures, _ = evaluate(samples(ROWS), lower_median=True)  # ranks 1, 1, 2, 3
    assert figures['retrieval/MdR'] == float(torch.median(torch.tensor([1.0, 3.0, 2.0, 1.0]))) == 1
    assert figures['retrieval/v2t_MdR'] == 1 and figures['retrieval/MnR'] == 1.75


def test_videos_that_could_not_be_read_are_counted():
    data = samples(ROWS)
    data[1]['unreadable'] = 'empty'
    figures, metric = evaluate(data)
    assert figures['retrieval/unreadable_videos'] == 1.0
    assert metric.records[1].unreadable == 'empty'


def test_groups_add_their_own_figure():
    figures, _ = evaluate(samples(ROWS, ('g', 'g', 'h')))
    assert figures['retrieval/group_R1'] == pytest.approx(100 / 3)
    assert 'retrieval/group_R1' not in evaluate(samples(ROWS, ('f', 'g', 'h')))[0]


def test_other_recalls_and_prefixes():
    figures, _ = evaluate(samples(ROWS), recall_at=[1, 50], prefix='anet')
    assert figures['anet/R50'] == 100.0 and 'anet/R5' not in figures


def test_a_perfect_model_with_forty_captions_a_video_scores_100():
    videos = torch.eye(50)
    figures, _ = evaluate(samples([[row.tolist()] * 40 for row in videos], [None] * 50), size=50)
    assert figures['retrieval/R1'] == figures['retrieval/v2t_R1'] == 100.0


def test_unknown_protocol_is_refused_at_construction():
    with pytest.raises(ValueError, match="got 'sentences'"):
        METRICS.build(dict(type='VideoTextRetrievalMetric', v2t_protocol='sentences'))


BANK = ([0.9, 0.1], [0.1, 0.1], [0.1, 0.1])  # a row a video: video 0 is the hub
OPTIONS = dict(post_processing=['dual_softmax', 'qb_norm'], recall_at=[1])


def with_bank(rows=ROWS):
    return [dict(s, bank_scores=torch.tensor(b)) for s, b in zip(samples(rows), BANK)]


def test_post_processing_adds_keys_and_changes_none():
    plain, _ = evaluate(samples(ROWS), recall_at=[1])
    figures, _ = evaluate(with_bank(), **OPTIONS)
    assert {key: figures[key] for key in plain} == plain
    added = set(figures) - set(plain)
    assert added == {f'retrieval/{p}{k}' for p in ('dsl_', 'dsl_v2t_', 'qb_') for k in ('R1', 'MdR', 'MnR')}
    assert evaluate(with_bank(), recall_at=[1])[0] == plain  # a bank alone changes nothing


def test_post_processed_figures_by_hand():
    # Video 0 is first for both captions and prefers its own, caption 0, by e^30: caption 1 gets video 1.
    # From video to text, caption 0 prefers video 0 by e^80 and caption 1 by e^10, but each video's own
    # caption stays first: .9 > .6, and .5 e^-10 > .1 e^-80. The bank takes 20 * .9 from video 0 and
    # 20 * .1 + ln 2 from video 1: for caption 1, 12 - 18 < 10 - 2.7.
    rows = [[[0.9, 0.1]], [[0.6, 0.5]]]
    data = [dict(s, bank_scores=torch.tensor(b)) for s, b in zip(samples(rows, 'ab'), BANK)]
    figures, _ = evaluate(data, size=2, **OPTIONS)
    assert figures['retrieval/R1'] == 50.0 and figures['retrieval/MnR'] == 1.5
    assert figures['retrieval/dsl_R1'] == 100.0 and figures['retrieval/dsl_MnR'] == 1.0
    assert figures['retrieval/dsl_v2t_R1'] == 100.0
    assert figures['retrieval/qb_R1'] == 100.0 and figures['retrieval/qb_MnR'] == 1.0


def test_dual_softmax_weighs_captions_by_what_they_prefer_from_video_to_text():
    # Caption 1 beats caption 0 for video 0, but prefers its own video by e^20.
    data, dual = samples([[[0.6, 0.1]], [[0.7, 0.9]]], 'ab'), dict(size=2, post_processing=['dual_softmax'])
    figures, _ = evaluate(data, **dual)
    assert figures['retrieval/v2t_R1'] == 50.0 and figures['retrieval/dsl_v2t_R1'] == 100.0
    assert evaluate(data, **dual, temperature=1e-6)[0]['retrieval/dsl_v2t_R1'] == 50.0


def test_the_options_reach_the_functions():
    def figure(key, bank, **options):
        data = samples([[[0.9, 0.1, 0.0]], [[0.6, 0.5, 0.0]], [[0.0, 0.0, 1.0]]])
        data = [dict(s, bank_scores=torch.tensor(b)) for s, b in zip(data, bank)]
        return evaluate(data, **OPTIONS, **options)[0][f'retrieval/{key}_R1']

    two_thirds = pytest.approx(200 / 3)
    # Weights that are all alike leave caption 1 with video 0, which scores .6.
    assert [figure('dsl', BANK), figure('dsl', BANK, temperature=1e-6)] == [100.0, two_thirds]
    # A large beta takes from a video the maximum of the bank, .6 - .9 < .5 - .6; a small one the mean.
    bank = [[0.9, 0.1], [0.6, 0.6], [0.5, 0.5]]
    assert [figure('qb', bank), figure('qb', bank, qb_beta=1e-3)] == [100.0, two_thirds]
    # Video 0 is only the bank's second answer.
    bank = [[0.8], [0.1], [0.9]]
    assert [figure('qb', bank), figure('qb', bank, qb_k=2)] == [two_thirds, 100.0]


def test_the_best_caption_protocol_is_kept_with_dual_softmax():
    # Video 1's captions are both better for video 0 than its own one, also when weighted.
    rows = [[[0.5, 0.4]], [[0.9, 0.1], [0.8, 0.1]]]
    groups, _ = evaluate(samples(rows, 'ab'), size=2, **dict(OPTIONS, post_processing=['dual_softmax']))
    single, _ = evaluate(
        samples(rows, 'ab'),
        size=2,
        v2t_protocol='best_caption',
        **dict(OPTIONS, post_processing=['dual_softmax']),
    )
    assert groups['retrieval/dsl_v2t_MnR'] == 2.0 and single['retrieval/dsl_v2t_MnR'] == 2.5


def test_qb_norm_without_a_bank_says_how_to_give_one():
    with pytest.raises(ValueError, match=r"val_cfg=dict\(type='VideoTextValLoop', query_bank=dict\("):
        evaluate(samples(ROWS), **OPTIONS)
    partly = with_bank()
    del partly[1]['bank_scores']
    with pytest.raises(ValueError, match=r'expected bank \(captions, 3\) .*got \(2, 2\)'):
        evaluate(partly, **OPTIONS)


@pytest.mark.parametrize(
    'kwargs, message',
    [
        (dict(post_processing=['sinkhorn']), r"any of \('dual_softmax', 'qb_norm'\), got \['sinkhorn'\]"),
        (dict(post_processing='qb_norm'), "must be a list .*got 'qb_norm'"),
        (dict(temperature=0), 'temperature must be .* above 0, got 0'),
        (dict(qb_beta=-1), 'qb_beta must be .* above 0, got -1'),
        (dict(qb_k=0), 'qb_k must be .*got 0'),
    ],
)
def test_unknown_post_processing_is_refused_at_construction(kwargs, message):
    with pytest.raises(ValueError, match=message):
        METRICS.build(dict(type='VideoTextRetrievalMetric', **kwargs))
