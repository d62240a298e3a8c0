import os.path as osp
from collections.abc import Iterable

from ...datasets.feature_files import FeatureFolder
from ...models.features import Features, cat_features


class StoredCaptions:
    """The captions of a split whose features are in files, in the order of its annotations.

    Args:
        folder (str): Folder of the features.
        ann_file (str): Annotations that the captions must be from.
        caption_mode (str): ``'all'`` or ``'paragraph'``.
        per_token (bool): Whether to return the features of all tokens.

    Raises:
        FileNotFoundError: If there are no features.
        ValueError: If the features are of other annotations or captions, or lack what is needed.

    Examples:
        >>> bank = StoredCaptions('features/train', 'train_9k.json', 'all', False)  # doctest: +SKIP
        >>> bank.features([0, 1])['text'].shape  # doctest: +SKIP
        torch.Size([2, 512])
        >>> StoredCaptions('no_folder', 'train.json', 'all', False)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        FileNotFoundError: there are no features in no_folder: the folder does not exist. ...
    """

    def __init__(self, folder: str, ann_file: str, caption_mode: str, per_token: bool) -> None:
        self.folder, self.per_token = FeatureFolder(folder), per_token
        self.folder.need('tokens' if per_token else 'text')
        settings = self.folder.settings
        expected = dict(ann_file=osp.basename(ann_file), caption_mode=caption_mode)
        for key, value in expected.items():
            if getattr(settings, key) != value:
                raise ValueError(
                    f'{folder} has the captions of {key}={getattr(settings, key)!r}, but the query bank '
                    f'needs {key}={value!r}'
                )
        self.captions = [caption for info in self.folder.infos for caption in info['captions']]
        self._places = [
            (video, number)
            for video, info in enumerate(self.folder.infos)
            for number in range(len(info['captions']))
        ]

    def features(self, numbers: Iterable[int]) -> Features:
        """Return the features of captions by their numbers, as the model's ``encode_text`` does."""
        rows = []
        for number in numbers:
            video, place = self._places[number]
            shard, index = self.folder.shard_of(video)
            if self.per_token:
                tokens, mask = shard.tokens(index)
                length = int(mask[place].sum())
                rows.append(dict(tokens=tokens[None, place, :length], text_mask=mask[None, place, :length]))
            else:
                rows.append(dict(text=shard.text(index)[None, place]))
        return cat_features(rows)  # half precision is converted by QueryBank.scores
