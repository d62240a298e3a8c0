from collections.abc import Sequence

import numpy as np
import torch
from mmaction.registry import TRANSFORMS
from mmaction.structures import ActionDataSample
from mmcv.transforms import BaseTransform

KEYS = ('video_key', 'group_key')


@TRANSFORMS.register_module()
class PackVideoCaptions(BaseTransform):
    """Pack frames and tokens for the model, and what identifies the video beside them.

    Required Keys:

    - imgs (np.ndarray, uint8, (T, 3, H, W)), as ``FormatShape('NCHW')`` leaves them
    - tokens (np.ndarray, int64, (N, L))
    - text_mask (np.ndarray, int64, (N, L))
    - caption_tokens and caption_mask, likewise, if :class:`TokenizeTargets` added them
    - every key of ``meta_keys`` that the video has

    Added Keys:

    - inputs (dict): ``imgs`` as a tensor, tokens and masks as they are: a small array reaches the main
      process in less time than a tensor's shared memory
    - data_samples (ActionDataSample): The meta keys

    Args:
        meta_keys (Sequence[str]): What to keep of the annotation, beside what tells videos and
            groups apart, ``video_key`` and ``group_key``.
    """

    def __init__(
        self, meta_keys: Sequence[str] = ('video_id', 'filename', 'captions', 'start', 'end', 'group')
    ) -> None:
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict) -> dict:
        """Pack one video.

        Raises:
            ValueError: If the frames are not (T, 3, H, W) uint8, or more or fewer than were sampled, as
                after mmaction2's ``ThreeCrop``.
        """
        imgs = torch.as_tensor(np.ascontiguousarray(results['imgs']))
        if imgs.ndim != 4 or imgs.shape[1] != 3 or imgs.dtype != torch.uint8:
            raise ValueError(
                f'{results.get("filename")}: expected imgs of (T, 3, H, W) uint8, got '
                f'{tuple(imgs.shape)} {imgs.dtype}; end the pipeline with '
                "dict(type='FormatShape', input_format='NCHW') and leave normalising to the model"
            )
        clip_len, num_clips = results.get('clip_len', len(imgs)), results.get('num_clips', 1)
        if len(imgs) != clip_len * num_clips:
            raise ValueError(
                f'{results.get("filename")}: expected {clip_len * num_clips} frames ({clip_len=}, '
                f'{num_clips=}), got {len(imgs)} imgs: several crops of a frame would be taken for frames; '
                'leave out ThreeCrop, TenCrop and the like'
            )
        sample = ActionDataSample()
        sample.set_metainfo({key: results[key] for key in (*self.meta_keys, *KEYS) if key in results})
        inputs = dict(imgs=imgs, tokens=results['tokens'], text_mask=results['text_mask'])
        inputs.update({key: results[key] for key in ('caption_tokens', 'caption_mask') if key in results})
        return dict(inputs=inputs, data_samples=sample)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(meta_keys={self.meta_keys})'
