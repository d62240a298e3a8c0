import copy
import logging
from typing import Any

import numpy as np
from mmaction.registry import DATASETS
from mmaction.structures import ActionDataSample
from mmengine.logging import print_log
from torch import Tensor
from torch.utils.data import Dataset

from .feature_files import FeatureFolder
from .video_caption_dataset import CAPTION_MODES


@DATASETS.register_module()
class FeatureDataset(Dataset):
    """Videos and captions whose features were extracted to files, see ``tools/extract_features.py``.

    No video and no caption is read again. ``--features`` of tools/test.py and tools/train.py replaces the
    datasets of a config by this one, see :func:`use_features`.

    Args:
        folder (str): Folder of the split.
        caption_mode (str, optional): See :class:`VideoCaptionDataset`. ``'paragraph'`` needs features that
            were extracted with it, the others features of all captions.
        test_mode (bool): Whether the items are for evaluation. In training, unreadable videos are left out.
        per_token (bool): Whether to return the features of all tokens, for adapters that use them.

    Raises:
        FileNotFoundError: If there are no features.
        ValueError: If features are missing or damaged, or an argument is invalid.

    Examples:
        >>> train_dataset = dict(  # in a config
        ...     type='FeatureDataset', folder='work_dirs/features/train', caption_mode='random')
    """

    metainfo: dict[str, Any] = {}

    def __init__(
        self, folder: str, caption_mode: str | None = None, test_mode: bool = False, per_token: bool = False
    ) -> None:
        self.folder, self.test_mode, self.per_token = FeatureFolder(folder), test_mode, per_token
        self.caption_mode = caption_mode or ('all' if test_mode else 'each')
        settings = self.folder.settings
        if self.caption_mode not in CAPTION_MODES:
            raise ValueError(f'caption_mode must be one of {CAPTION_MODES}, got {caption_mode!r}')
        if (self.caption_mode == 'paragraph') != (settings.caption_mode == 'paragraph'):
            raise ValueError(
                f'caption_mode={self.caption_mode!r} does not fit {folder}, whose features are of '
                f'caption_mode={settings.caption_mode!r}: extract them with the caption_mode of the dataset'
            )
        self.folder.need('frames', 'tokens' if per_token else 'text')
        self.ann_file, self.content = settings.ann_file, settings.content
        self.preprocessing = dict(settings.preprocessing, caption_mode=self.caption_mode)
        videos = range(len(self.folder.infos))
        if not test_mode:
            videos = [v for v in videos if 'unreadable' not in self.folder.infos[v]]  # type: ignore[assignment]
            self._report_left_out(len(self.folder.infos) - len(videos))
        self._items: list[tuple[int, int | None]] = [(video, None) for video in videos]
        if self.caption_mode == 'each':
            counts = [len(info['captions']) for info in self.folder.infos]
            self._items = [(video, n) for video in videos for n in range(counts[video])]

    def _report_left_out(self, count: int) -> None:
        if count:
            print_log(
                f'{self.folder.path}: {count} of {len(self.folder.infos)} videos could not be read and are '
                'left out of the training',
                logger='current',
                level=logging.WARNING,
            )

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self._items)

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Return a copy of the metainfo of an item, with ``caption_index``, the numbers of its captions."""
        video, number = self._items[idx]
        info = copy.deepcopy(self.folder.infos[video])
        chosen = list(range(len(info['captions']))) if number is None else [number]
        if self.caption_mode == 'random':
            chosen = [int(np.random.randint(len(chosen)))]
        return dict(info, captions=[info['captions'][n] for n in chosen], caption_index=chosen)

    def __getitem__(self, idx: int) -> dict[str, Any]:
        """Return ``inputs`` and ``data_samples`` for :class:`FeaturePreprocessor`.

        Returns:
            dict: ``inputs`` has ``frames`` (T, D), and ``text`` (N_i, D), or ``tokens`` (N_i, L, D) and
            ``text_mask`` (N_i, L). ``data_samples`` has the metainfo.
        """
        if not self.test_mode:
            # As substitute_unreadable does, so that caption_mode='random' draws as in a run with videos.
            np.random.randint(2**31)
        info = self.get_data_info(idx)
        chosen = info.pop('caption_index')
        shard, place = self.folder.shard_of(self._items[idx][0])
        inputs: dict[str, Tensor] = dict(frames=shard.frames(place))
        if self.per_token:
            tokens, mask = shard.tokens(place)
            length = int(mask[chosen].sum(dim=1).max())
            inputs.update(tokens=tokens[chosen, :length], text_mask=mask[chosen, :length])
        else:
            inputs['text'] = shard.text(place)[chosen]
        sample = ActionDataSample()
        sample.set_metainfo(info)
        return dict(inputs=inputs, data_samples=sample)

    @property
    def video_ids(self) -> dict[str, str]:
        """The ``video_id`` of each video, by its ``video_key``."""
        infos = [self.folder.infos[video] for video, _ in self._items]
        return {info.get('video_key', info['video_id']): info['video_id'] for info in infos}

    @property
    def num_videos(self) -> int:
        """Number of different videos."""
        return len(self.video_ids)
