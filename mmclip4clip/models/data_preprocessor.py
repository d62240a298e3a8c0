import hashlib
from collections.abc import Sequence
from uuid import uuid4

import numpy as np
import torch
from mmaction.registry import MODELS
from mmengine.model import BaseDataPreprocessor
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

# OpenAI CLIP's mean and standard deviation of RGB, here in steps of 0 to 255.
CLIP_MEAN = tuple(255 * x for x in (0.48145466, 0.4578275, 0.40821073))
CLIP_STD = tuple(255 * x for x in (0.26862954, 0.26130258, 0.27577711))


@MODELS.register_module()
class VideoCaptionPreprocessor(BaseDataPreprocessor):
    """Move a batch to the device, pad it with masks, and normalize the frames there.

    Frames travel as uint8. Captions are padded to the longest of the batch.

    Args:
        mean (Sequence[float]): Mean of R, G and B, in 0 to 255.
        std (Sequence[float]): Standard deviation of R, G and B, in 0 to 255.
    """

    def __init__(self, mean: Sequence[float] = CLIP_MEAN, std: Sequence[float] = CLIP_STD) -> None:
        super().__init__()
        self.register_buffer('mean', torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Turn what :class:`PackVideoCaptions` packed into tensors for the model.

        Args:
            data (dict): ``inputs`` with lists over the V videos of the batch:
                ``imgs``, tensors (T, 3, H, W) uint8; ``tokens`` and
                ``text_mask``, and perhaps ``caption_tokens`` and ``caption_mask``,
                arrays (N, L) int64; and ``data_samples``.
            training (bool): Not used; the batch is treated alike.

        Returns:
            dict: ``inputs`` with ``frames`` (V, T, 3, H, W), ``frame_mask``
            (V, T), tokens and masks, (N, L) each, ``video_index`` (N,), the
            video of each caption, ``video_key`` (V,), a number a video, made of its ``video_key``, and
            ``id_number`` (V,), a number made of its ``video_id`` alone, whatever folder the video
            lies in; and ``data_samples``.

        Raises:
            ValueError: If the frames of two videos differ in size, or a video has none.
        """
        self._check(data['inputs']['imgs'], data['data_samples'])
        text = {key: self._pad_rows(rows) for key, rows in data['inputs'].items() if key != 'imgs'}
        video_index = torch.repeat_interleave(torch.tensor([len(x) for x in data['inputs']['tokens']]))
        lengths = torch.tensor([len(x) for x in data['inputs']['imgs']])
        frame_mask = (torch.arange(int(lengths.max())) < lengths[:, None]).long()
        data = self.cast_data(
            dict(
                imgs=data['inputs']['imgs'],
                data_samples=data['data_samples'],
                inputs=dict(
                    text, video_index=video_index, frame_mask=frame_mask, **_numbers(data['data_samples'])
                ),
            )
        )
        imgs = data.pop('imgs')
        same = len({len(x) for x in imgs}) == 1
        frames = torch.stack(imgs) if same else pad_sequence(imgs, batch_first=True)
        data['inputs']['frames'] = (frames.float() - self.mean) / self.std
        return data

    @staticmethod
    def _pad_rows(parts: list[np.ndarray]) -> Tensor:
        """Stack (N_i, L_i) of all videos into (N, L), padded with zeros."""
        length = max(part.shape[1] for part in parts)
        rows = [np.pad(part, ((0, 0), (0, length - part.shape[1]))) for part in parts]
        return torch.from_numpy(np.concatenate(rows))

    @staticmethod
    def _check(imgs: list[Tensor], data_samples: list) -> None:
        for frames, sample in zip(imgs, data_samples):
            name = sample.get('video_id', 'a video')
            if len(frames) == 0:
                raise ValueError(f'{name} has no frames')
            if frames.shape[1:] != imgs[0].shape[1:]:
                raise ValueError(
                    f'{name} has frames of (C, H, W) = {tuple(frames.shape[1:])}, others of its '
                    f'batch {tuple(imgs[0].shape[1:])}: the pipeline must resize and crop'
                )


def _numbers(data_samples: list) -> dict[str, Tensor]:
    """Return ``video_key`` and ``id_number``, (V,) each, equal on all processes for equal keys and ids."""
    ids = [sample.get('video_id', uuid4()) for sample in data_samples]
    keys = [sample.get('video_key', name) for sample, name in zip(data_samples, ids)]
    return dict(video_key=_digest(keys), id_number=_digest(ids))


def _digest(names: list) -> Tensor:
    """Return a number of 63 bits a name, (V,)."""
    digests = (hashlib.sha256(str(name).encode(errors='surrogatepass')).digest() for name in names)
    return torch.tensor([int.from_bytes(digest[:8], 'big') >> 1 for digest in digests])
