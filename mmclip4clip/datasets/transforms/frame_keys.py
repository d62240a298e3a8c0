"""Which keys of an item say something of its frames, and so may come from a cache of frames."""

from ..frame_cache.entry import to_json

# What transforms say of frames, mmaction2's and ours. Nothing else comes from a cache.
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


def can_be_kept(value: object) -> bool:
    """Tell whether an entry has a form for a value."""
    try:
        to_json(value)
        return True
    except TypeError:
        return False
