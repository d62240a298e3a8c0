import json

import numpy as np
import pytest
import torch

from mmclip4clip.models import MeanAdapter, TightAdapter, WTIAdapter, XPoolAdapter
from mmclip4clip.search import FeatureLayout, pack_features, unpack_features

FRAMES = dict(frames=torch.ones(2, 3, 4), frame_mask=torch.tensor([[1, 1, 1], [1, 0, 0]]))


@pytest.mark.parametrize(
    'build, size',
    [
        (lambda: TightAdapter(num_layers=1, start='random'), 12 * 512 * 2),
        (lambda: WTIAdapter(num_layers=0), 12 * 512 * 2 + 12 * 2),
        (XPoolAdapter, 24 * 1024),
        (MeanAdapter, 512 * 2),
    ],
)
@torch.no_grad()
def test_a_video_of_12_frames_at_width_512_takes_24_kib_at_most(build, size):
    videos = build().encode(torch.randn(1, 12, 512), torch.ones(1, 12))
    layout = FeatureLayout.of(videos)
    (content,) = pack_features(layout, videos)
    assert len(content) == layout.num_bytes(12) == size <= 24 * 1024


@pytest.mark.parametrize('build', [TightAdapter, WTIAdapter, XPoolAdapter])
@torch.no_grad()
def test_features_come_back_in_half_precision_without_what_was_in_the_padding(build):
    arguments = {} if build is XPoolAdapter else dict(num_layers=1, num_heads=2, start='random')
    adapter = build(width=16, **arguments)
    mask = (torch.arange(4) < torch.tensor([2, 4, 1])[:, None]).long()
    videos = adapter.encode(torch.randn(3, 4, 16), mask)
    layout = FeatureLayout.from_json(json.loads(json.dumps(FeatureLayout.of(videos).as_json())))
    padded = {
        key: torch.where(mask.view(3, 4, *[1] * (part.ndim - 2)) > 0, part, torch.tensor(1e9).to(part.dtype))
        for key, part in videos.items()
        if key != 'frame_mask'
    }
    read = unpack_features(layout, pack_features(layout, dict(padded, frame_mask=mask)))
    assert read.keys() == videos.keys() and torch.equal(read['frame_mask'], mask)
    for key, part in videos.items():
        real = mask.bool()
        assert read[key].dtype == part.dtype and torch.equal(
            read[key][real], part[real].half().to(part.dtype)
        )
        assert not read[key][~real].any()


def test_bytes_are_little_endian_halves_of_the_real_frames_only():
    videos = dict(FRAMES, frames=torch.arange(24.0).view(2, 3, 4))
    first, second = pack_features(FeatureLayout.of(videos), videos)
    assert np.frombuffer(first, '<f2').tolist() == list(range(12))
    assert second == np.arange(12, 16, dtype='<f2').tobytes()


def test_videos_of_different_batches_are_padded_together():
    layout = FeatureLayout.of(FRAMES)
    long = dict(frames=torch.full((1, 5, 4), 2.0), frame_mask=torch.ones(1, 5, dtype=torch.long))
    read = unpack_features(layout, [*pack_features(layout, long), pack_features(layout, FRAMES)[1]])
    assert read['frame_mask'].tolist() == [[1, 1, 1, 1, 1], [1, 0, 0, 0, 0]]
    assert read['frames'][:, :, 0].tolist() == [[2, 2, 2, 2, 2], [1, 0, 0, 0, 0]]


def test_parts_without_frames_are_kept_whole_with_their_types():
    videos = dict(
        FRAMES,
        video=torch.randn(2, 7).half().float(),
        heads=torch.ones(2, 2, 3),
        seconds=torch.tensor([4, 2048]),
        shot=torch.tensor([True, False]),
    )
    layout = FeatureLayout.of(videos)
    read = unpack_features(layout, pack_features(layout, videos))
    assert all(torch.equal(read[key], videos[key]) for key in ('video', 'heads', 'seconds', 'shot'))
    assert {key: part.dtype for key, part in read.items()} == {k: part.dtype for k, part in videos.items()}


def test_a_mask_that_no_part_follows_is_stored():
    videos = dict(video=torch.ones(2, 4), frame_mask=FRAMES['frame_mask'])
    layout = FeatureLayout.of(videos)
    assert torch.equal(
        unpack_features(layout, pack_features(layout, videos))['frame_mask'], videos['frame_mask']
    )


def test_batches_of_different_lengths_tell_frames_from_a_width_of_the_same_size():
    def encode(frames):
        return dict(video=torch.ones(1, 4), frames=torch.ones(1, frames, 8), frame_mask=torch.ones(1, frames))

    layout = FeatureLayout.of(encode(4), encode(3))
    assert not layout.parts['video'].per_frame and layout.parts['frames'].per_frame
    with pytest.raises(ValueError, match=r'frames has the shapes .* only the second axis may differ'):
        FeatureLayout.of(encode(4), dict(encode(3), frames=torch.ones(1, 3, 9)))
    with pytest.raises(ValueError, match='must have the same parts'):
        FeatureLayout.of(encode(4), FRAMES)


@pytest.mark.parametrize(
    'name, value, message',
    [
        ('frames', float('nan'), 'frames of a video is NaN'),
        ('frames', float('inf'), 'frames of a video has values up to inf'),
        ('frames', -70000.0, r'frames of a video has values up to 70000; .* up to 65504'),
        ('count', 2049, 'count of a video has integers beyond 2048'),
    ],
)
def test_what_half_precision_cannot_hold_is_named(name, value, message):
    videos = dict(FRAMES, frames=FRAMES['frames'].clone(), count=torch.zeros(2, dtype=torch.long))
    videos[name][0, ...] = value
    with pytest.raises(ValueError, match=message):
        pack_features(FeatureLayout.of(videos), videos)


@pytest.mark.parametrize('mask', [[0, 0, 0], [1, 0, 1], [0, 1, 1]])
def test_a_video_without_frames_or_with_padding_before_them_is_refused(mask):
    videos = dict(FRAMES, frame_mask=torch.tensor([[1, 1, 0], mask]))
    with pytest.raises(ValueError, match='frame_mask of video 1 must have one or more real frames'):
        pack_features(FeatureLayout.of(videos), videos)


@pytest.mark.parametrize('other', [dict(frames=torch.ones(2, 3, 5)), dict(extra=torch.ones(2))])
def test_features_of_another_form_are_refused(other):
    with pytest.raises(ValueError, match='expected features of the shapes'):
        pack_features(FeatureLayout.of(FRAMES), dict(FRAMES, **other))


@pytest.mark.parametrize('content', [b'', b'1234567', b'1' * 9, b'1' * 12])
def test_damaged_bytes_are_refused(content):
    with pytest.raises(ValueError, match=f'have {len(content)} bytes instead of 0 bytes and 8 per frame'):
        unpack_features(FeatureLayout.of(FRAMES), [content])


def test_nothing_to_read_is_refused():
    with pytest.raises(ValueError, match='contents is empty'):
        unpack_features(FeatureLayout.of(FRAMES), [])


PART = dict(shape=[4], per_frame=True, dtype='float32')


@pytest.mark.parametrize(
    'wrong',
    [None, [], {}, dict(x=1), dict(x=dict(PART, shape=[0])), dict(x=dict(PART, dtype='qint8')),
     dict(x=dict(PART, per_frame=1)), dict(x=dict(PART, shape=4)), dict(x=PART, y=dict(shape=[1]))],
)  # fmt: skip
def test_a_damaged_layout_is_refused(wrong):
    with pytest.raises(ValueError, match='the layout of features must be'):
        FeatureLayout.from_json(wrong)
