import hashlib
from collections.abc import Sequence
from uuid import uuid4

import numpy as np
import torch
from mmaction.registry import MODELS
from mmengine.model import BaseDataPreprocessor
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from .backbones.families import CLIP_NORMALIZATION

# Mean and standard deviation of RGB in OpenAI's CLIP, scaled to 0 to 255.
CLIP_MEAN, CLIP_STD = (tuple(255 * x for x in values) for values in CLIP_NORMALIZATION)
TOLERANCE = 1.0  # of 255, for rounded values such as those of mmaction2's configs


@MODELS.register_module()
class VideoCaptionPreprocessor(BaseDataPreprocessor):
    """Pad a batch, move it to the device and normalize the frames there.

    Frames are moved as uint8. Captions are padded to the longest caption of the batch, videos to the
    longest video.

    Args:
        mean (Sequence[float], optional): Mean of R, G and B, in 0 to 255. Defaults to the encoder's.
        std (Sequence[float], optional): Standard deviation of R, G and B, in 0 to 255. Defaults to the
            encoder's.
        any_normalization (bool): Whether to accept other values than those of a pretrained encoder.

    Examples:
        >>> import numpy as np, torch
        >>> from mmengine.structures import BaseDataElement
        >>> imgs = [torch.zeros(frames, 3, 32, 32, dtype=torch.uint8) for frames in (2, 1)]
        >>> text = [np.ones((captions, 4), np.int64) for captions in (1, 3)]
        >>> samples = [BaseDataElement(metainfo=dict(video_id=name)) for name in ('a.mp4', 'b.mp4')]
        >>> data = dict(inputs=dict(imgs=imgs, tokens=text, text_mask=text), data_samples=samples)
        >>> inputs = VideoCaptionPreprocessor()(data)['inputs']
        >>> inputs['frames'].shape, inputs['frame_mask'].tolist(), inputs['video_index'].tolist()
        (torch.Size([2, 2, 3, 32, 32]), [[1, 1], [1, 0]], [0, 1, 1, 1])
    """

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        any_normalization: bool = False,
    ) -> None:
        super().__init__()
        self.given, self.any_normalization = dict(mean=mean, std=std), any_normalization
        for key, default in dict(mean=CLIP_MEAN, std=CLIP_STD).items():
            given = self.given[key]
            value = default if given is None else given
            self.register_buffer(key, torch.tensor(value).view(3, 1, 1), persistent=False)

    def use_normalization(self, mean: Sequence[float], std: Sequence[float], pretrained: bool) -> None:
        """Take the mean and standard deviation of the encoder, where the config gives none.

        Args:
            mean (Sequence[float]): Mean of R, G and B, in 0 to 255.
            std (Sequence[float]): Standard deviation of R, G and B, in 0 to 255.
            pretrained (bool): Whether the encoder was trained with them, so that others are wrong.

        Raises:
            ValueError: If the config gives others than those of a pretrained encoder.
        """
        for key, value in dict(mean=mean, std=std).items():
            given = self.given[key]
            if given is None:
                self.register_buffer(key, torch.tensor(tuple(value)).view(3, 1, 1), persistent=False)
            elif pretrained and not self.any_normalization and not _near(given, value):
                raise ValueError(
                    f'model.data_preprocessor has {key}={list(given)}, but the pretrained encoder was '
                    f'trained with {[round(x, 2) for x in value]} (of 255): leave mean and std out, or set '
                    'any_normalization=True to train with others'
                )

    def forward(self, data: dict, training: bool = False) -> dict:
        """Turn the output of :class:`PackVideoCaptions` into tensors for the model.

        Args:
            data (dict): ``inputs``, a dict of lists over the V videos of the batch, and ``data_samples``.
                ``imgs`` are tensors (T, 3, H, W) uint8. ``tokens`` and ``text_mask``, and optionally
                ``caption_tokens`` and ``caption_mask``, are arrays (N, L) int64.
            training (bool): Not used.

        Returns:
            dict: ``data_samples`` and ``inputs``: ``frames`` (V, T, 3, H, W), ``frame_mask`` (V, T), tokens
            and masks (N, L), ``video_index`` (N,) with the video of each caption, ``video_key`` (V,), a
            number computed from the ``video_key`` of each sample, and ``id_number`` (V,), a number
            computed from its ``video_id``, which does not depend on the folder of the video.

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
                    text,
                    video_index=video_index,
                    frame_mask=frame_mask,
                    **number_samples(data['data_samples']),
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


def number_samples(data_samples: list) -> dict[str, Tensor]:
    """Return ``video_key`` and ``id_number``, (V,) each; the same on all processes."""
    ids = [sample.get('video_id', uuid4()) for sample in data_samples]
    keys = [sample.get('video_key', name) for sample, name in zip(data_samples, ids)]
    return dict(video_key=_digest(keys), id_number=_digest(ids))


def _digest(names: list) -> Tensor:
    """Return a 63-bit hash of each name, (V,)."""
    digests = (hashlib.sha256(str(name).encode(errors='surrogatepass')).digest() for name in names)
    return torch.tensor([int.from_bytes(digest[:8], 'big') >> 1 for digest in digests])


def _near(given: Sequence[float], value: Sequence[float]) -> bool:
    return bool(np.abs(np.subtract(given, value)).max() <= TOLERANCE)
