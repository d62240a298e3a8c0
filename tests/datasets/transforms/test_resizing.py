"""Frames as torchvision's Resize and CenterCrop of PIL images have them, written out here with PIL alone."""

import importlib
import json
import math

import numpy as np
import pytest
import torch
import transformers
from mmaction.registry import TRANSFORMS
from PIL import Image

from mmclip4clip.datasets import DecodeVideo, ResizeCenterCrop, SampleEvenly
from mmclip4clip.datasets.transforms.resizing import resized_size
from mmclip4clip.datasets.video_readers import VideoReadError
from mmclip4clip.models.backbones.families import patchify

SIZES = [
    (320, 240),
    (240, 320),
    (527, 224),
    (224, 527),
    (640, 360),
    (225, 224),
    (226, 224),
    (227, 224),
    (229, 224),
    (224, 224),
    (63, 47),
    (47, 63),
    (100, 100),
    (1, 1),
    (2, 200),
    (341, 256),
    (854, 480),
    (223, 224),
]


def frame_of(width, height) -> np.ndarray:
    return np.random.default_rng(width * height).integers(0, 256, (height, width, 3)).astype(np.uint8)


def half_to_even(value: float) -> int:
    whole = math.floor(value)
    return whole + (value - whole > 0.5 or value - whole == 0.5 and whole % 2 == 1)


def as_torchvision(frame, size) -> np.ndarray:
    """Resize the short side, cut the long one down to a whole number, and crop the center."""
    picture = Image.fromarray(frame)
    width, height = picture.size
    if width < height:
        picture = picture.resize((size, int(size * height / width)), resample=Image.BICUBIC)
    else:
        picture = picture.resize((int(size * width / height), size), resample=Image.BICUBIC)
    left, top = (half_to_even((side - size) / 2) for side in picture.size)
    return np.asarray(picture)[top : top + size, left : left + size]


@pytest.mark.parametrize('size', [224, 225, 64])
@pytest.mark.parametrize('width, height', SIZES)
def test_frames_are_bit_identical_to_torchvisions(width, height, size):
    frame = frame_of(width, height)
    results = ResizeCenterCrop(size)(dict(imgs=[frame, frame[::-1].copy()], img_shape=(height, width)))
    assert np.array_equal(results['imgs'][0], as_torchvision(frame, size))
    assert np.array_equal(results['imgs'][1], as_torchvision(frame[::-1], size))
    assert results['img_shape'] == (size, size) and results['imgs'][0].flags.writeable


def test_the_long_side_is_cut_down_and_the_crop_begins_at_the_even_half():
    assert resized_size(320, 240, 224) == (298, 224)  # mmcv gives 299
    assert resized_size(240, 320, 224) == (224, 298)
    frame = frame_of(527, 224)  # nothing to resize: the crop begins at 151.5, where mmcv takes 151
    assert np.array_equal(ResizeCenterCrop(224)(dict(imgs=[frame]))['imgs'][0], frame[:, 152:376])
    frame = frame_of(225, 224)  # 0.5 to 0
    assert np.array_equal(ResizeCenterCrop(224)(dict(imgs=[frame]))['imgs'][0], frame[:, :224])


def test_mmcvs_resize_and_crop_give_other_pixels():
    frame = frame_of(320, 240)
    theirs = dict(imgs=[frame], img_shape=(240, 320), modality='RGB')
    for step in (
        dict(type='Resize', scale=(-1, 224), interpolation='bicubic'),
        dict(type='CenterCrop', crop_size=224),
    ):
        theirs = TRANSFORMS.build(step)(theirs)
    difference = np.abs(theirs['imgs'][0].astype(int) - as_torchvision(frame, 224))
    assert difference.max() > 20  # if this fails, mmcv resizes as torchvision does


def test_real_clips_are_bit_identical_to_torchvisions(clips):
    for clip in clips:
        frames = DecodeVideo(SampleEvenly(3), time_limit=None)(dict(filename=str(clip)))['imgs']
        for ours, frame in zip(ResizeCenterCrop()(dict(imgs=frames))['imgs'], frames):
            assert np.array_equal(ours, as_torchvision(frame, 224)), clip


def test_frames_of_a_cache_and_a_format_after_it_fit(files, tmp_path):
    steps = [
        dict(type='DecodeVideo', sampling=dict(type='SampleEvenly', num_frames=3), time_limit=None),
        dict(type='ResizeCenterCrop', size=32),
        dict(type='FormatShape', input_format='NCHW'),
    ]
    plain = cached = dict(filename=str(files['mp4']), modality='RGB')
    for step in steps:
        plain = TRANSFORMS.build(step)(plain)
    cache = TRANSFORMS.build(dict(type='CacheFrames', folder=str(tmp_path), transforms=steps))
    for _ in range(2):
        cached = cache(dict(filename=str(files['mp4']), modality='RGB'))
    assert plain['imgs'].shape == (3, 3, 32, 32) and np.array_equal(plain['imgs'], cached['imgs'])
    assert np.array_equal(
        ResizeCenterCrop(8)(dict(imgs=np.zeros((2, 9, 9, 3), np.uint8)))['imgs'][1], np.zeros((8, 8, 3))
    )


@pytest.mark.parametrize('size', [0, -1, 1.5, True, '224', None])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(ValueError, match='size must be a positive integer, got'):
        ResizeCenterCrop(size)


def test_frames_that_are_none_are_refused_by_name():
    with pytest.raises(ValueError, match='v.mp4: expected frames .* of float32; .* before FormatShape'):
        ResizeCenterCrop()(dict(filename='v.mp4', imgs=[np.zeros((9, 9, 3), np.float32)]))
    with pytest.raises(ValueError, match='v.mp4: expected frames'):
        ResizeCenterCrop()(dict(filename='v.mp4', imgs=[np.zeros((3, 9, 9), np.uint8)]))
    with pytest.raises(VideoReadError, match='v.mp4 cannot be read; .* 2000 x 3 pixels'):  # 100 MB
        ResizeCenterCrop()(dict(filename='v.mp4', imgs=[np.zeros((3, 2000, 3), np.uint8)]))


def test_it_says_what_it_is():
    assert repr(ResizeCenterCrop(32)) == 'ResizeCenterCrop(size=32)'
    assert json.dumps(dict(size=ResizeCenterCrop().size)) == '{"size": 224}'


def processor_of(kind: str, size: int):
    """transformers' image processor of a family, which works on PIL images."""
    square, short = dict(height=size, width=size), dict(shortest_edge=size)
    room = kind if kind in ('chinese_clip', 'siglip') else 'clip'  # the others have CLIP's
    module = importlib.import_module(f'transformers.models.{room}.image_processing_pil_{room}')
    name = dict(clip='CLIP', chinese_clip='ChineseCLIP', siglip='Siglip')[room]
    build = getattr(module, f'{name}ImageProcessorPil')
    squeezed = dict(size=square, do_center_crop=False)
    return build(**(squeezed if kind in ('chinese_clip', 'siglip') else dict(size=short, crop_size=square)))


@pytest.mark.skipif(
    int(transformers.__version__.split('.')[0]) < 5,
    reason='the image processors of transformers 4 are in other modules',
)
@pytest.mark.parametrize('kind', ['clip', 'metaclip_2', 'altclip', 'chinese_clip', 'siglip'])
def test_real_frames_are_those_of_the_image_processor_of_each_family(clips, kind):
    """Bit-identical, except where a margin is odd: transformers rounds the offset of a crop down."""
    keep_ratio = kind not in ('chinese_clip', 'siglip')
    shifted = 0
    for clip in clips:
        frames = DecodeVideo(SampleEvenly(2), time_limit=None)(dict(filename=str(clip)))['imgs']
        for size in (224, 336):
            process = processor_of(kind, size)
            ours = ResizeCenterCrop(size, keep_ratio=keep_ratio)(dict(imgs=frames))['imgs']
            for frame, own in zip(frames, ours):
                found = process(frame, do_rescale=False, do_normalize=False, return_tensors='np')
                pixels = found['pixel_values'][0].transpose(1, 2, 0)
                width, height = resized_size(frame.shape[1], frame.shape[0], size)
                offsets = [(side - size) / 2 for side in (width, height)]
                if keep_ratio and any(half_to_even(x) != math.floor(x) for x in offsets):
                    left, top = map(math.floor, offsets)
                    picture = Image.fromarray(frame).resize((width, height), Image.BICUBIC)
                    own = np.asarray(picture)[top : top + size, left : left + size]
                    shifted += 1
                assert np.array_equal(own, pixels), (clip, size)
    assert shifted < len(clips)


def test_square_frames_are_those_of_the_image_processor_of_siglip_2():
    module = pytest.importorskip('transformers.models.siglip2.image_processing_pil_siglip2')
    frame = frame_of(100, 100)
    process = module.Siglip2ImageProcessorPil(patch_size=16, max_num_patches=16)
    theirs = process(frame, return_tensors='pt')
    assert theirs['spatial_shapes'].tolist() == [[4, 4]]
    own = ResizeCenterCrop(64, interpolation='bilinear', keep_ratio=False)(dict(imgs=[frame]))['imgs'][0]
    normalized = (torch.from_numpy(own).permute(2, 0, 1)[None].float() - 127.5) / 127.5
    patches = patchify(normalized, 16)
    torch.testing.assert_close(patches['pixel_values'], theirs['pixel_values'], atol=1e-6, rtol=0)
    assert torch.equal(patches['spatial_shapes'], theirs['spatial_shapes'])


def test_an_unknown_interpolation_is_refused():
    with pytest.raises(ValueError, match="interpolation must be 'bicubic' or 'bilinear', got 'nearest'"):
        ResizeCenterCrop(64, interpolation='nearest')
