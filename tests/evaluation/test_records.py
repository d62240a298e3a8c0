import numpy as np
import pytest
import torch

from mmclip4clip.evaluation.records import make_record, name_videos, stack_scores


def sample(**kwargs):
    return dict(
        dict(
            video_id='v',
            filename='v.mp4',
            captions=['x', 'y'],
            video_features=torch.zeros(4),
            text_features=torch.zeros(2, 4),
            scores=torch.zeros(2, 3, dtype=torch.bfloat16),
        ),
        **kwargs,
    )


def test_a_record_is_plain_data():
    record = make_record(sample(video_features=dict(frames=torch.ones(5, 4)), start=1.0, end=2.0))
    assert record['window'] == (1.0, 2.0)
    assert isinstance(record['video_features']['frames'], np.ndarray)
    assert record['scores'].dtype == np.float32


def test_a_record_says_why_a_video_could_not_be_read():
    assert make_record(sample(unreadable='empty'))['unreadable'] == 'empty'
    assert 'unreadable' not in make_record(sample())


def test_what_a_captioner_generated_is_kept_but_not_of_other_frames():
    assert 'generated' not in make_record(sample())
    record = make_record(sample(generated='a man', generated_score=-0.5))
    assert (record['generated'], record['generated_score']) == ('a man', -0.5)
    assert make_record(sample(generated='a man', unreadable='empty'))['generated'] == ''


def test_another_loop_is_named_as_the_cause():
    unscored = sample()
    del unscored['scores']
    with pytest.raises(KeyError, match='VideoTextValLoop'):
        make_record(unscored)


def test_scores_are_stacked_with_their_owners():
    records = [
        make_record(sample(scores=torch.ones(2, 2))),
        make_record(sample(captions=['z'], scores=torch.zeros(1, 2))),
    ]
    scores = stack_scores(records)
    assert scores.similarity.tolist() == [[1, 1], [1, 1], [0, 0]]
    assert scores.video_index.tolist() == [0, 0, 1]
    assert scores.groups is None
    records[1]['group'] = 'g'
    assert stack_scores(records).groups == [None, 'g']


def test_bank_scores_become_a_matrix_with_a_column_a_video():
    records = [
        make_record(sample(bank_scores=torch.tensor([1.0, 2.0, 3.0]))),
        make_record(sample(bank_scores=torch.tensor([4.0, 5.0, 6.0]).bfloat16())),
    ]
    assert stack_scores(records).bank.tolist() == [[1, 4], [2, 5], [3, 6]]
    plain = make_record(sample())
    assert 'bank_scores' not in plain and stack_scores([plain]).bank is None


def test_groups_of_two_annotation_files_stay_apart():
    records = [
        make_record(sample(group='g', group_key=f'{file}.json#g', video_key=f'/{file}/v.mp4'))
        for file in 'ab'
    ]
    assert stack_scores(records).groups == ['a.json#g', 'b.json#g']
    assert name_videos(records) == ['/a/v.mp4', '/b/v.mp4'] and [r['video_id'] for r in records] == ['v', 'v']
    assert name_videos([dict(video_id='a'), dict(video_id='b', video_key='/b')]) == ['a', 'b']
    assert name_videos([]) == []
