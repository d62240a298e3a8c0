import json

import numpy as np
import pytest
from mmaction.registry import TRANSFORMS

from mmclip4clip.datasets.frame_cache.entry import from_json, to_json
from mmclip4clip.datasets.transforms.frame_keys import FRAME_KEYS, ITEM_KEYS, is_storable

GIVEN = ('filename', 'modality')
READERS = {'video_reader', 'new_path'}  # open files and their copies, which no cache can hold


@pytest.mark.parametrize(
    'transforms',
    [
        [
            dict(type='DecordInit'),
            dict(type='SampleFrames', clip_len=2, num_clips=2, frame_interval=3),
            dict(type='DecordDecode'),
        ],
        [dict(type='PyAVInit'), dict(type='UniformSample', clip_len=3), dict(type='PyAVDecode')],
        [dict(type='OpenCVInit'), dict(type='SampleFrames', clip_len=3), dict(type='OpenCVDecode')],
        [dict(type='DecodeVideo', sampling=dict(type='SampleEvenly', num_frames=3))],
    ],
    ids=['decord', 'pyav', 'opencv', 'package'],
)
def test_all_keys_that_decoding_and_resizing_add_are_stored(shapes, transforms):
    video = shapes / 'videos' / json.loads((shapes / 'train.json').read_text())[0]['video']
    results = dict(filename=str(video), start_index=0, modality='RGB')
    for transform in (
        *transforms,
        dict(type='Resize', scale=(-1, 32)),
        dict(type='CenterCrop', crop_size=24),
        dict(type='Flip', flip_ratio=1),
        dict(type='FormatShape', input_format='NCHW'),
    ):
        results = TRANSFORMS.build(transform)(results)
    added = results.keys() - {*GIVEN, 'imgs'} - READERS
    assert added <= FRAME_KEYS, added - FRAME_KEYS
    values = {key: results[key] for key in added}
    assert all(map(is_storable, values.values()))


def test_no_key_is_of_the_frames_and_of_the_item():
    assert not FRAME_KEYS & ITEM_KEYS
    assert {'captions', 'video_id', 'start', 'end', 'filename', 'imgs'} <= ITEM_KEYS


@pytest.mark.parametrize(
    'value',
    [
        None,
        True,
        3,
        2.5,
        'RGB',
        (1, 2),
        [1, (2, 'x')],
        dict(crop=(0, 1)),
        np.float32(0.5),
        np.arange(6, dtype=np.uint8).reshape(2, 3),
        np.zeros((0, 2)),
    ],
    ids=repr,
)
def test_plain_values_and_arrays_are_storable_and_come_back(value):
    assert is_storable(value)
    expected = value.item() if isinstance(value, np.generic) else value
    assert repr(from_json(json.loads(json.dumps(to_json(value))))) == repr(expected)


@pytest.mark.parametrize(
    'value',
    [object(), {1, 2}, b'x', 1j, np.array(['x'], object), np.array(['x']), (1, [object()]), dict(a={1})],
    ids=lambda value: type(value).__name__,
)
def test_other_objects_are_not_storable(value):
    assert not is_storable(value)
