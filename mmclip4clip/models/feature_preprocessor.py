import torch
from mmaction.registry import MODELS
from mmengine.model import BaseDataPreprocessor
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from .data_preprocessor import number_samples
from .features import cat_features


@MODELS.register_module()
class FeaturePreprocessor(BaseDataPreprocessor):
    """Pad the stored features of a batch with zeros, and move them to the device in single precision.

    Examples:
        >>> from mmengine.structures import BaseDataElement
        >>> frames = [torch.ones(2, 4), torch.ones(3, 4)]
        >>> text = [torch.ones(1, 4), torch.ones(2, 4)]
        >>> samples = [BaseDataElement(metainfo=dict(video_id=name)) for name in ('a.mp4', 'b.mp4')]
        >>> data = dict(inputs=dict(frames=frames, text=text), data_samples=samples)
        >>> inputs = FeaturePreprocessor()(data)['inputs']
        >>> inputs['frames'].shape, inputs['tokens'].shape, inputs['video_index'].tolist()
        (torch.Size([2, 3, 4]), torch.Size([3, 4]), [0, 1, 1])
    """

    def forward(self, data: dict, training: bool = False) -> dict:
        """Turn items of :class:`FeatureDataset` into tensors for the model.

        Args:
            data (dict): ``inputs``, a dict of lists over the V videos of the batch, and ``data_samples``.
            training (bool): Not used.

        Returns:
            dict: ``data_samples`` and ``inputs`` as of :class:`VideoCaptionPreprocessor`, with features
            ``frames`` (V, T, D), and ``tokens`` (N, D), or (N, L, D) for adapters that use tokens.
        """
        given, samples = data['inputs'], data['data_samples']
        lengths = torch.tensor([len(frames) for frames in given['frames']])
        captions = given['tokens' if 'tokens' in given else 'text']
        inputs = dict(
            _text(given),
            frames=pad_sequence(given['frames'], batch_first=True).float(),
            frame_mask=(torch.arange(int(lengths.max())) < lengths[:, None]).long(),
            video_index=torch.repeat_interleave(torch.tensor([len(rows) for rows in captions])),
            **number_samples(samples),
        )
        return self.cast_data(dict(inputs=inputs, data_samples=samples))


def _text(given: dict) -> dict[str, Tensor]:
    """Return the features and the mask of the captions of a batch."""
    if 'tokens' not in given:
        text = torch.cat(given['text']).float()
        return dict(tokens=text, text_mask=torch.ones(len(text), 1, dtype=torch.long))
    rows = [dict(tokens=t.float(), text_mask=m) for t, m in zip(given['tokens'], given['text_mask'])]
    return cat_features(rows)
