import numpy as np
import pytest
import torch

from mmclip4clip.datasets import PackVideoCaptions


def results(**kwargs):
    return dict(
        dict(
            imgs=np.zeros((2, 3, 4, 4), np.uint8),
            tokens=np.ones((1, 3), int),
            text_mask=np.ones((1, 3), int),
            video_id='v',
            filename='v.mp4',
            captions=['x'],
            label=3,
        ),
        **kwargs,
    )


def test_frames_stay_uint8_and_the_annotation_goes_along():
    packed = PackVideoCaptions()(results(group='g'))
    assert packed['inputs']['imgs'].dtype == torch.uint8
    assert packed['data_samples'].metainfo == dict(video_id='v', filename='v.mp4', captions=['x'], group='g')


@pytest.mark.parametrize('imgs', [np.zeros((2, 4, 4, 3), np.uint8), np.zeros((2, 3, 4, 4), np.float32)])
def test_frames_of_another_form_are_refused_with_the_cure(imgs):
    with pytest.raises(ValueError, match='v.mp4: expected imgs .*FormatShape'):
        PackVideoCaptions()(results(imgs=imgs))


def test_the_decoders_tokens_go_along_if_there_are_any():
    assert set(PackVideoCaptions()(results())['inputs']) == {'imgs', 'tokens', 'text_mask'}
    own = dict(caption_tokens=np.full((1, 2), 5), caption_mask=np.ones((1, 2), int))
    inputs = PackVideoCaptions()(results(**own))['inputs']
    assert inputs['caption_tokens'] is own['caption_tokens'] and inputs['caption_mask'] is own['caption_mask']
