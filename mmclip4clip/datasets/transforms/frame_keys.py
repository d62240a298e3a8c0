"""The keys of an item that describe its frames, which a cache of frames may store."""

from ..frame_cache.entry import to_json

# Keys that describe frames, added by transforms of mmaction2 or this package. Only these are cached.
FRAME_KEYS = frozenset(
    (
        'avg_fps',
        'backend',
        'clamped_frames',
        'clip_len',
        'crop_bbox',
        'crop_quadruple',
        'flip',
        'flip_direction',
        'frame_inds',
        'frame_interval',
        'frame_times',
        'img_shape',
        'input_shape',
        'keep_ratio',
        'lazy',
        'num_clips',
        'num_crops',
        'original_shape',
        'reported_frames',
        'scale_factor',
        'start_index',
        'total_frames',
    )
)
ITEM_KEYS = frozenset(
    (
        'caption_mask',
        'caption_tokens',
        'captions',
        'data_samples',
        'end',
        'filename',
        'group',
        'group_key',
        'imgs',
        'start',
        'text_mask',
        'tokens',
        'video_id',
        'video_key',
    )
)


def is_storable(value: object) -> bool:
    """Return whether a cache entry can store a value."""
    try:
        to_json(value)
        return True
    except TypeError:
        return False
