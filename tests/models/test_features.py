import torch

from mmclip4clip.models.features import join_features, split_features


def test_joining_what_was_split_gives_the_same_tensors():
    features = dict(frames=torch.randn(3, 5, 4), frame_mask=torch.ones(3, 5, dtype=torch.long))
    joined = join_features(split_features(features))
    assert all(torch.equal(joined[key], features[key]) for key in features)
    vectors = torch.randn(3, 4)
    assert torch.equal(join_features(split_features(vectors)), vectors)


def test_joining_pads_shorter_videos_with_zeros():
    joined = join_features([dict(frames=torch.ones(2, 4), frame_mask=torch.ones(2)),
                          dict(frames=torch.ones(3, 4), frame_mask=torch.ones(3))])
    assert joined['frames'].shape == (2, 3, 4)
    assert joined['frame_mask'].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert joined['frames'][0, 2].abs().sum() == 0
