from typing import Dict, List, Sequence

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mmaction.registry import MODELS

# OpenAI CLIP's mean and standard deviation of RGB, here in steps of 0 to 255.
CLIP_MEAN = tuple(255 * x for x in (0.48145466, 0.4578275, 0.40821073))
CLIP_STD = tuple(255 * x for x in (0.26862954, 0.26130258, 0.27577711))


@MODELS.register_module()
class VideoCaptionPreprocessor(BaseDataPreprocessor):
    """Move a batch to the device, pad it with masks, and normalise the frames there.

    Frames travel as uint8. Captions are padded to the longest of the batch.

    Args:
        mean (Sequence[float]): Mean of R, G and B, in 0 to 255.
        std (Sequence[float]): Standard deviation of R, G and B, in 0 to 255.
    """

    def __init__(self, mean: Sequence[float] = CLIP_MEAN, std: Sequence[float] = CLIP_STD) -> None:
        super().__init__()
        self.register_buffer('mean', torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, data: Dict, training: bool = False) -> Dict:
        """Turn what :class:`PackVideoCaptions` packed into tensors for the model.

        Args:
            data (dict): ``inputs`` with lists over the V videos of the batch:
                ``imgs`` (T, 3, H, W) uint8, ``tokens`` and ``text_mask`` (N, L);
                and ``data_samples``.
            training (bool): Not used; the batch is treated alike.

        Returns:
            dict: ``inputs`` with ``frames`` (V, T, 3, H, W), ``frame_mask``
            (V, T), ``tokens`` (N, L), ``text_mask`` (N, L) and ``owner`` (N,),
            and ``data_samples``.

        Raises:
            ValueError: If the frames of two videos differ in size, or a video has none.
        """
        data = self.cast_data(data)
        imgs, data_samples = data['inputs']['imgs'], data['data_samples']
        self._check(imgs, data_samples)
        frames = (pad_sequence(imgs, batch_first=True).float() - self.mean) / self.std
        lengths = torch.tensor([len(x) for x in imgs], device=frames.device)
        frame_mask = (torch.arange(frames.shape[1], device=frames.device) < lengths[:, None]).long()
        counts = torch.tensor([len(x) for x in data['inputs']['tokens']], device=frames.device)
        inputs = dict(
            frames=frames,
            frame_mask=frame_mask,
            tokens=self._pad_rows(data['inputs']['tokens']),
            text_mask=self._pad_rows(data['inputs']['text_mask']),
            owner=torch.repeat_interleave(counts))
        return dict(inputs=inputs, data_samples=data_samples)

    @staticmethod
    def _pad_rows(parts: List[Tensor]) -> Tensor:
        """Stack (N_i, L_i) of all videos into (N, L), padded with zeros."""
        return pad_sequence([row for part in parts for row in part], batch_first=True)

    @staticmethod
    def _check(imgs: List[Tensor], data_samples: list) -> None:
        for frames, sample in zip(imgs, data_samples):
            name = sample.get('video_id', 'a video')
            if len(frames) == 0:
                raise ValueError(f'{name} has no frames')
            if frames.shape[1:] != imgs[0].shape[1:]:
                raise ValueError(
                    f'{name} has frames of (C, H, W) = {tuple(frames.shape[1:])}, others of its '
                    f'batch {tuple(imgs[0].shape[1:])}: the pipeline must resize and crop')
