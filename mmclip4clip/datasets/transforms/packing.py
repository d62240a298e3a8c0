from collections.abc import Sequence

import numpy as np
import torch
from mmaction.registry import TRANSFORMS
from mmaction.structures import ActionDataSample
from mmcv.transforms import BaseTransform

KEYS = ('video_key', 'group_key')


@TRANSFORMS.register_module()
class PackVideoCaptions(BaseTransform):
    """Pack frames, tokens and the identity of the video for the model.

    Required Keys:

    - imgs (np.ndarray, uint8, (T, 3, H, W)), as ``FormatShape('NCHW')`` returns them
    - tokens (np.ndarray, int64, (N, L))
    - text_mask (np.ndarray, int64, (N, L))
    - caption_tokens and caption_mask (np.ndarray, int64, (N, L)), if :class:`TokenizeTargets` added them
    - every key of ``meta_keys`` that the video has

    Added Keys:

    - inputs (dict): ``imgs`` as a tensor, tokens and masks as arrays. A small array reaches the main process
      faster than a tensor in shared memory
    - data_samples (ActionDataSample): The meta keys

    Args:
        meta_keys (Sequence[str]): Annotation keys to keep. ``video_key`` and ``group_key``, which identify
            videos and groups, are always kept.

    Examples:
        >>> import numpy as np
        >>> from mmclip4clip.datasets import PackVideoCaptions
        >>> tokens = np.array([[49406, 320, 2368, 49407]])
        >>> frames = np.zeros((2, 3, 64, 64), np.uint8)
        >>> results = dict(imgs=frames, tokens=tokens, text_mask=np.ones_like(tokens), video_id='v')
        >>> packed = PackVideoCaptions(meta_keys=['video_id'])(results)
        >>> packed['inputs']['imgs'].shape, packed['data_samples'].video_id
        (torch.Size([2, 3, 64, 64]), 'v')
    """

    def __init__(
        self, meta_keys: Sequence[str] = ('video_id', 'filename', 'captions', 'start', 'end', 'group')
    ) -> None:
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict) -> dict:
        """Pack one video.

        Raises:
            ValueError: If the frames are not (T, 3, H, W) uint8, or if their number differs from the number
                of sampled frames, as after mmaction2's ``ThreeCrop``.
        """
        imgs = torch.as_tensor(np.ascontiguousarray(results['imgs']))
        if imgs.ndim != 4 or imgs.shape[1] != 3 or imgs.dtype != torch.uint8:
            raise ValueError(
                f'{results.get("filename")}: expected imgs of (T, 3, H, W) uint8, got '
                f'{tuple(imgs.shape)} {imgs.dtype}; end the pipeline with '
                "dict(type='FormatShape', input_format='NCHW') and leave normalization to the model"
            )
        clip_len, num_clips = results.get('clip_len', len(imgs)), results.get('num_clips', 1)
        if len(imgs) != clip_len * num_clips:
            raise ValueError(
                f'{results.get("filename")}: expected {clip_len * num_clips} frames ({clip_len=}, '
                f'{num_clips=}), got {len(imgs)} imgs: several crops of a frame would count as frames; '
                'remove ThreeCrop, TenCrop and the like'
            )
        sample = ActionDataSample()
        sample.set_metainfo({key: results[key] for key in (*self.meta_keys, *KEYS) if key in results})
        inputs = dict(imgs=imgs, tokens=results['tokens'], text_mask=results['text_mask'])
        inputs.update({key: results[key] for key in ('caption_tokens', 'caption_mask') if key in results})
        return dict(inputs=inputs, data_samples=sample)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(meta_keys={self.meta_keys})'
