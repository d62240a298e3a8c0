"""mmaction2's augmentations in our pipelines: on current numpy, the whole clip alike, as the seed says."""

import colorsys
import random

import numpy as np
import pytest
import torch
from mmaction.registry import TRANSFORMS
from mmengine.dataset import Compose

from ...videos import decode_in_order

DECODE = dict(type='DecodeVideo', time_limit=None, sampling=dict(type='SampleEvenly', num_frames=4))
RESIZE = dict(type='Resize', scale=(32, 32), keep_ratio=False)
ANNOTATION = dict(
    start_index=0,
    modality='RGB',
    captions=['a dog'],
    tokens=np.ones((1, 3), np.int64),
    text_mask=np.ones((1, 3), np.int64),
)


def run(files, *steps, seed=0, first=(DECODE,)):
    """Run a pipeline from a video to what a model gets, and return frames (T, H, W, 3)."""
    np.random.seed(seed), random.seed(seed), torch.manual_seed(seed)
    pipeline = Compose(
        [
            *map(dict, first),
            *map(dict, steps),
            dict(type='FormatShape', input_format='NCHW'),
            dict(type='PackVideoCaptions'),
        ]
    )
    imgs = pipeline(dict(ANNOTATION, filename=str(files['mp4'])))['inputs']['imgs']
    return imgs.permute(0, 2, 3, 1).numpy()


def places_of(clip, frames):
    """Find every place (y, x) at which a clip (T, h, w, 3) lies in frames (T, H, W, 3)."""
    (_, h, w, _), (_, height, width, _) = clip.shape, frames.shape
    return [
        (y, x)
        for y in range(height - h + 1)
        for x in range(width - w + 1)
        if np.array_equal(frames[:, y : y + h, x : x + w], clip)
    ]


@pytest.fixture(scope='module')
def frames(files):
    return np.stack([decode_in_order(files['mp4'])[i] for i in np.linspace(0, 59, 4).round().astype(int)])


@pytest.mark.parametrize(
    'step',
    [
        dict(type='RandomCrop', size=24),
        dict(type='RandomResizedCrop', area_range=(0.3, 1.0)),
        dict(type='MultiScaleCrop', input_size=48, scales=(1, 0.8, 0.6), max_wh_scale_gap=1),
        dict(type='MultiScaleCrop', input_size=48, scales=(0.6,), random_crop=True),
    ],
    ids=str,
)
def test_a_random_crop_is_one_place_for_the_whole_clip_drawn_anew_for_each(files, frames, step):
    found = set()
    for seed in range(5):
        clip = run(files, step, seed=seed)
        (place,) = places_of(clip, frames)
        found.add((place, clip.shape))
        assert np.array_equal(clip, run(files, step, seed=seed))
    assert len(found) > 2


@pytest.mark.parametrize('direction, axis', [('horizontal', 2), ('vertical', 1)])
@pytest.mark.parametrize(
    'before',
    [(), (dict(type='CenterCrop', crop_size=40),), (dict(type='RandomShift', pixels=3),)],
    ids=['frames', 'views', 'shifted'],
)
def test_a_flip_turns_the_whole_clip_or_nothing(files, direction, axis, before):
    flip = dict(type='Flip', flip_ratio=0.5, direction=direction)
    seen = []
    for seed in range(8):
        clip, plain = run(files, *before, flip, seed=seed), run(files, *before, seed=seed)
        seen.append(np.array_equal(clip, np.flip(plain, axis)))
        assert seen[-1] or np.array_equal(clip, plain)
    assert len(set(seen)) == 2


def test_a_flip_turns_a_frame_that_comes_twice_once(files):
    twice = dict(DECODE, sampling=dict(type='SampleEvenly', num_frames=90))
    plain = run(files, first=[twice])
    assert np.array_equal(run(files, dict(type='Flip', flip_ratio=1.0), first=[twice]), plain[:, :, ::-1])


def test_operations_put_off_and_fused_give_the_same_clip(files):
    steps = [dict(type='RandomResizedCrop', area_range=(0.5, 1.0)), RESIZE, dict(type='Flip', flip_ratio=0.5)]
    for seed in range(4):
        lazy = [*(dict(step, lazy=True) for step in steps), dict(type='Fuse')]
        assert np.array_equal(run(files, *lazy, seed=seed), run(files, *steps, seed=seed))


JITTERS = [dict(), dict(hue=0.5), dict(hue=(-0.5, -0.1)), dict(brightness=0, contrast=0, hue=0)]


@pytest.mark.parametrize('options', JITTERS, ids=str)
def test_color_jitter_runs_for_every_draw_and_changes_all_frames_by_the_same(files, frames, options):
    jitter = TRANSFORMS.build(dict(type='ColorJitter', **options))
    np.random.seed(0)
    for _ in range(25):
        jittered = jitter(dict(imgs=[frames[0].copy() for _ in range(3)]))['imgs']
        assert all(img.dtype == np.uint8 and img.shape == frames[0].shape for img in jittered)
        assert np.array_equal(jittered[0], jittered[1]) and np.array_equal(jittered[0], jittered[2])
    clip = run(files, dict(type='ColorJitter', **options), seed=3)
    assert np.array_equal(clip, run(files, dict(type='ColorJitter', **options), seed=3))
    assert not np.array_equal(clip, run(files, dict(type='ColorJitter', **options), seed=4))


@pytest.mark.parametrize('hue', [-0.5, -0.3, -0.1, -0.004, 0.004, 0.1, 0.3, 0.4, 0.5])
def test_hues_turn_on_their_circle_as_colorsys_turns_them(hue):
    jitter = TRANSFORMS.build(
        dict(type='ColorJitter', brightness=0, contrast=0, saturation=0, hue=(hue, hue))
    )
    colors = np.array([[colorsys.hsv_to_rgb(h / 90, 1, 1) for h in range(90)]])
    img = (255 * colors).round().astype(np.uint8)
    turned = jitter(dict(imgs=[img.copy()]))['imgs'][0]
    steps = int(hue * 255)  # mmaction2's own measure, of OpenCV's 180 on the circle
    expected = np.array([[colorsys.hsv_to_rgb((h / 90 + steps / 180) % 1, 1, 1) for h in range(90)]])
    assert np.abs(turned - 255 * expected).max() < 10  # OpenCV rounds hues to 2 degrees, that is 8.5 levels


def test_the_order_of_the_jitters_is_drawn_with_the_item_and_not_with_the_transform(files):
    clips = []
    for built in range(3):
        np.random.seed(built)
        jitter = TRANSFORMS.build(dict(type='ColorJitter'))
        np.random.seed(7)
        clips.append(jitter(dict(imgs=[np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 5]))['imgs'][0])
    assert np.array_equal(clips[0], clips[1]) and np.array_equal(clips[0], clips[2])


@pytest.mark.parametrize(
    'crop', [dict(type='ThreeCrop', crop_size=48), dict(type='TenCrop', crop_size=24)], ids=str
)
def test_several_crops_of_a_frame_are_not_taken_for_frames(files, crop):
    with pytest.raises(ValueError, match=r'a.mp4: expected 4 frames \(clip_len=4, .*\), got (12|40) imgs'):
        run(files, crop)


@pytest.mark.parametrize(
    'sampler, count',
    [
        (dict(type='SampleFrames', clip_len=1, frame_interval=1, num_clips=8), 8),
        (dict(type='SampleFrames', clip_len=4, frame_interval=2, num_clips=2), 8),
        (dict(type='DenseSampleFrames', clip_len=4, frame_interval=2, num_clips=2), 8),
        (dict(type='UniformSample', clip_len=8), 8),
        (dict(type='UniformSample', clip_len=70), 70),
        (dict(type='UntrimmedSampleFrames', clip_len=1, frame_interval=15), 4),
    ],
    ids=str,
)
@pytest.mark.parametrize('decoder', ['ours', 'decord'])
def test_the_samplers_of_mmaction2_give_frames_of_the_video_as_the_seed_says(files, sampler, count, decoder):
    first = (
        [dict(DECODE, sampling=sampler)]
        if decoder == 'ours'
        else [dict(type='DecordInit'), sampler, dict(type='DecordDecode')]
    )
    clip = run(files, first=first, seed=5)
    whole = {frame.tobytes() for frame in decode_in_order(files['mp4'])}
    assert len(clip) == count and {frame.tobytes() for frame in clip} <= whole
    assert np.array_equal(clip, run(files, first=first, seed=5))
