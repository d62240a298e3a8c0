import pytest
import torch

from mmclip4clip.models.features import (
    as_features,
    cat_features,
    count_features,
    join_features,
    move_features,
    split_features,
    vectors,
)


def test_joining_what_was_split_gives_the_same_tensors():
    features = dict(frames=torch.randn(3, 5, 4), frame_mask=torch.ones(3, 5, dtype=torch.long))
    joined = join_features(split_features(features))
    assert all(torch.equal(joined[key], features[key]) for key in features)


def test_joining_pads_shorter_videos_with_zeros():
    joined = join_features(
        [
            dict(frames=torch.ones(2, 4), frame_mask=torch.ones(2)),
            dict(frames=torch.ones(3, 4), frame_mask=torch.ones(3)),
        ]
    )
    assert joined['frames'].shape == (2, 3, 4)
    assert joined['frame_mask'].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert joined['frames'][0, 2].abs().sum() == 0


def test_batches_of_captions_are_padded_to_the_longest():
    whole = cat_features(
        [
            dict(tokens=torch.ones(2, 1, 4), text_mask=torch.ones(2, 1)),
            dict(tokens=torch.ones(1, 3, 4), text_mask=torch.ones(1, 3)),
        ]
    )
    assert whole['text_mask'].tolist() == [[1, 0, 0], [1, 0, 0], [1, 1, 1]]
    assert whole['tokens'].shape == (3, 3, 4) and count_features(whole) == 3


def test_moving_keeps_whole_numbers_and_lifts_half_precision():
    ones = dict(a=torch.ones(1, dtype=torch.bfloat16), b=torch.ones(1, dtype=torch.long))
    moved = move_features(ones, 'cpu')
    assert (moved['a'].dtype, moved['b'].dtype) == (torch.float32, torch.int64)


def test_a_tensor_becomes_a_dict_with_a_warning_that_says_whose_it_is():
    with pytest.warns(FutureWarning, match='MyAdapter returned features as a tensor'):
        features = as_features(torch.ones(2, 3), 'MyAdapter')
    assert list(features) == ['tensor'] and features['tensor'].shape == (2, 3)
    assert as_features(features, 'MyAdapter') is features


def test_vectors_are_the_one_part_that_there_is():
    text = torch.ones(2, 3)
    assert vectors(dict(text=text)) is text and vectors(text) is text
    with pytest.raises(ValueError, match=r"one vector each, got the parts \['text_mask', 'tokens'\]"):
        vectors(dict(tokens=text, text_mask=text))
