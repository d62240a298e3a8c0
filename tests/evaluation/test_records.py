import numpy as np
import pytest
import torch

from mmclip4clip.evaluation.records import VideoRecord, as_record, make_record, name_videos, stack_scores


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
    assert record.window == (1.0, 2.0)
    assert isinstance(record.video_features['frames'], np.ndarray)
    assert record.scores.dtype == np.float32


def test_a_record_equals_itself_alone():
    one, other = make_record(sample()), make_record(sample())
    assert one == one and one != other and one in [other, one] and len({one, other}) == 2


def test_a_record_says_why_a_video_could_not_be_read():
    assert make_record(sample(unreadable='empty')).unreadable == 'empty'
    assert make_record(sample()).unreadable is None


def test_what_a_captioner_generated_is_kept_but_not_of_other_frames():
    assert make_record(sample()).generated is None
    record = make_record(sample(generated='a man', generated_score=-0.5))
    assert (record.generated, record.generated_score) == ('a man', -0.5)
    blank = make_record(sample(generated='a man', generated_score=-0.5, unreadable='empty'))
    assert (blank.generated, blank.generated_score) == ('', float('-inf'))


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
    records[1].group = 'g'
    assert stack_scores(records).groups == [None, 'g']


def test_bank_scores_become_a_matrix_with_a_column_a_video():
    records = [
        make_record(sample(bank_scores=torch.tensor([1.0, 2.0, 3.0]))),
        make_record(sample(bank_scores=torch.tensor([4.0, 5.0, 6.0]).bfloat16())),
    ]
    assert stack_scores(records).bank.tolist() == [[1, 4], [2, 5], [3, 6]]
    plain = make_record(sample())
    assert plain.bank_scores is None and stack_scores([plain]).bank is None


def test_groups_of_two_annotation_files_stay_apart():
    records = [
        make_record(sample(group='g', group_key=f'{file}.json#g', video_key=f'/{file}/v.mp4'))
        for file in 'ab'
    ]
    assert stack_scores(records).groups == ['a.json#g', 'b.json#g']
    assert name_videos(records) == ['/a/v.mp4', '/b/v.mp4'] and [r.video_id for r in records] == ['v', 'v']
    assert name_videos([sample(video_id='a'), sample(video_id='b', video_key='/b')]) == ['a', 'b']
    assert name_videos([]) == []


def test_a_dump_holds_one_array_for_features_of_one_part_and_gives_the_record_back():
    record = make_record(sample(video_features=dict(video=torch.ones(4)), group='g'))
    entry = record.to_dict()
    assert list(entry) == [
        'video_id', 'filename', 'captions', 'group', 'window', 'video_features', 'text_features', 'scores'
    ]  # fmt: skip
    assert entry['video_features'].tolist() == [1, 1, 1, 1]
    again = as_record(dict(entry, ranks=[1], top=[]))
    assert isinstance(again, VideoRecord) and list(again.video_features) == ['video']
    np.testing.assert_equal(again.to_dict(), entry)
    parts = dict(frames=torch.ones(5, 4), frame_mask=torch.ones(5))
    assert set(make_record(sample(video_features=parts)).to_dict()['video_features']) == set(parts)


def test_a_record_is_made_once():
    record = make_record(sample())
    assert make_record(record) is record and make_record(sample(record=record)) is record


def test_a_record_is_read_by_key_as_before_with_a_warning():
    record = make_record(sample(unreadable='empty'))
    with pytest.warns(FutureWarning, match='record.video_id now'):
        assert record['video_id'] == 'v'
    assert 'unreadable' in record and 'generated' not in record and record.get('group', 1) is None


def test_no_records_have_no_scores():
    with pytest.raises(ValueError, match='there are no scores to stack: records is empty'):
        stack_scores([])
