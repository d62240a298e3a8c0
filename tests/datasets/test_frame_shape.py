import numpy as np
import pytest
import torch
from mmaction.registry import DATASETS, TRANSFORMS
from mmcv.transforms import BaseTransform

from mmclip4clip.datasets.frame_shape import find_frame_shape
from mmclip4clip.datasets.pipeline_description import (
    describe_pipeline,
    pipeline_differences,
    pipelines,
)

CROP = [dict(type='Resize', scale=(-1, 256)), dict(type='CenterCrop', crop_size=224)]


def build(*steps):
    return [TRANSFORMS.build(dict(step)) for step in steps]


def decord(*sampling):
    return [dict(type='DecordInit'), *sampling, dict(type='DecordDecode')]


def decode(*sampling):
    return [dict(type='DecodeVideo', sampling=list(sampling), time_limit=None)]


SAMPLERS = [
    (dict(type='SampleAtRate', fps=1, max_frames=64), 64),
    (dict(type='SampleAtRate', fps=0.5, max_frames=12, cut='head'), 12),
    (dict(type='SampleEvenly', num_frames=10), 10),
    (dict(type='UniformSample', clip_len=12), 12),
    (dict(type='UniformSample', clip_len=12, num_clips=2, test_mode=True), 24),
    (dict(type='SampleFrames', clip_len=4, frame_interval=8, num_clips=3), 12),
    (dict(type='DenseSampleFrames', clip_len=4, frame_interval=8, num_clips=1), 4),
    (dict(type='UntrimmedSampleFrames', clip_len=1, frame_interval=16), None),
]  # the longer, the more


@pytest.mark.parametrize('sampler, frames', SAMPLERS)
def test_the_most_frames_of_every_sampler_are_found(sampler, frames):
    assert find_frame_shape(build(*decord(sampler), *CROP)).num_frames == frames
    assert find_frame_shape(build(*decode(sampler), *CROP)).num_frames == frames


@pytest.mark.parametrize(
    'steps, size',
    [
        (CROP, (224, 224)),
        ([dict(type='Resize', scale=(320, 192), keep_ratio=False)], (192, 320)),
        ([dict(type='RandomResizedCrop'), dict(type='Resize', scale=(64, 64), keep_ratio=False)], (64, 64)),
        ([dict(type='Resize', scale=(-1, 224))], None),  # the long side is that of the video
        ([], None),
    ],
)
def test_the_size_of_frames_is_found_unless_the_video_decides(steps, size):
    form = dict(type='FormatShape', input_format='NCHW')
    assert find_frame_shape(build(*decode(SAMPLERS[0][0]), *steps, form)).size == size


def test_crops_that_give_several_frames_count(tmp_path):
    steps = [
        *decode(dict(type='SampleEvenly', num_frames=4)),
        dict(type='Resize', scale=(-1, 256)),
        dict(type='ThreeCrop', crop_size=256),
    ]
    assert find_frame_shape(build(*steps)) == (12, (256, 256))
    cached = dict(type='CacheFrames', folder=str(tmp_path / 'cache'), max_gib=0.01, transforms=steps[:2])
    assert find_frame_shape(build(cached, steps[2])) == (12, (256, 256))
    assert not (tmp_path / 'cache').exists()


@TRANSFORMS.register_module(force=True)
class NeedsMore(BaseTransform):
    def transform(self, results):
        return dict(results, imgs=results['flow'])


def test_a_transform_that_cannot_be_tried_leaves_it_open():
    assert find_frame_shape(build(*decode(SAMPLERS[0][0]), dict(type='NeedsMore'), *CROP)) == (None, None)


def test_random_numbers_stay_where_they_were():
    np.random.seed(3), torch.manual_seed(3)
    expected = np.random.rand(), torch.rand(1)
    np.random.seed(3), torch.manual_seed(3)
    find_frame_shape(build(*decode(dict(type='UniformSample', clip_len=12)), dict(type='RandomResizedCrop')))
    assert (np.random.rand(), torch.rand(1)) == expected


def described(*steps, **dataset):
    return describe_pipeline(type('D', (), dataset), build(*steps))


def test_the_same_steps_are_the_same_however_they_are_written(tmp_path):
    sampler = dict(type='SampleAtRate', max_frames=12)
    plain = described(*decord(sampler), *CROP)
    spelled = dict(sampler, fps=1.0, cut='uniform')
    cached = dict(
        type='CacheFrames', folder=str(tmp_path), max_gib=0.01, transforms=[*decode(spelled), CROP[0]]
    )
    for other in (
        described(*decord(spelled), *CROP),
        described(*decode(spelled), *CROP),
        described(cached, dict(CROP[1], crop_size=(224, 224))),
    ):
        assert pipeline_differences(plain, other) == []


def test_differences_are_named_by_step_and_argument():
    before = described(*decode(SAMPLERS[3][0]), *CROP, caption_mode='all')
    after = described(
        *decode(SAMPLERS[3][0]),
        dict(CROP[0], interpolation='bicubic'),
        dict(type='Flip', flip_ratio=0.5),
        dict(CROP[1], crop_size=192),
        caption_mode='paragraph',
    )
    lines = pipeline_differences(before, after)
    assert lines[0].startswith('none -> Flip(flip_ratio=0.5')
    assert lines[1:] == [
        'Resize.interpolation: bilinear -> bicubic',
        'CenterCrop.crop_size: [224, 224] -> [192, 192]',
        'caption_mode: all -> paragraph',
    ]
    assert pipeline_differences(before, after, alike=False) == ['size: [224, 224] -> [192, 192]']
    turned = dict(before, frames=before['frames'][::-1])
    assert pipeline_differences(before, turned) == ['Resize, CenterCrop -> CenterCrop, Resize']


def test_what_another_version_did_not_tell_is_not_compared():
    before = described(*decode(SAMPLERS[3][0]), *CROP)
    old = dict(sampling=[dict(type='UniformSample', clip_len=12)], max_words=None)
    assert pipeline_differences(old, before) == []


def test_running_a_pipeline_changes_no_description():
    steps = build(*decode(SAMPLERS[2][0]), *CROP)
    before = describe_pipeline(None, steps)
    steps[1](dict(imgs=[np.zeros((300, 400, 3), np.uint8)], img_shape=(300, 400)))
    assert describe_pipeline(None, steps) == before


@DATASETS.register_module(force=True)
class Plain:
    def __init__(self, pipeline):
        self.pipeline = type('P', (), dict(transforms=pipeline))

    def __len__(self):
        return 1


def test_wrapped_and_joined_datasets_are_all_found():
    one, two = Plain([1]), Plain([2])
    joined = type('C', (), dict(datasets=[type('R', (), dict(dataset=one))(), two]))()
    assert [transforms for _, transforms in pipelines(joined)] == [[1], [2]]
    assert [dataset for dataset, _ in pipelines(one)] == [one]
