import hashlib
import os.path as osp
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from math import inf

import numpy as np
from mmaction.datasets import BaseActionDataset
from mmaction.datasets.transforms import DecordInit
from mmaction.registry import DATASETS

from ..compat import apply_patches
from .annotations import load_annotations, paragraph
from .bad_videos import substitute_unreadable
from .pipeline_steps import all_steps, find_step
from .storage_wait import StorageWait
from .transforms import DecodeVideo, TimeWindow
from .transforms.shared_windows import share_windows
from .video_names import VideoKeys, add_ending
from .video_readers.storage_errors import path_exists

CAPTION_MODES = ('each', 'random', 'paragraph', 'all')
BAD_VIDEO_POLICIES = {True: ('error', 'report'), False: ('error', 'replace')}  # by test_mode


@DATASETS.register_module()
class VideoCaptionDataset(BaseActionDataset):
    """Videos with captions, from a JSON file in one of the formats of :func:`load_annotations`.

    A name without a video ending gets ``.mp4``, unless a file of that name exists. Each item has a
    ``video_id``, which is shown to users: the name of the file and its window. Its ``video_key`` identifies
    the video: two items belong to one video if they have the same file and window, in any dataset. The
    ``group_key`` identifies the group: groups of different annotation files are always different.

    Args:
        ann_file (str): The JSON file, relative to ``data_root`` if given.
        pipeline (list[dict]): Transforms. The first is ``DecodeVideo``, possibly inside ``CacheFrames``, or
            mmaction2's ``DecordInit``, followed by a sampler and ``DecordDecode``. mmaction2's random crops,
            ``Flip`` and ``ColorJitter`` may follow, before ``FormatShape``. A horizontal ``Flip`` swaps left
            and right, so do not use it if captions mention sides, directions or text. Likewise, do not
            change the hue strongly if captions mention colors.
        data_prefix (dict): ``video`` is the folder of the videos, relative to ``data_root`` if given.
        caption_mode (str, optional): Content of an item. ``'each'``: a video with one caption, one item per
            caption. ``'random'``: a video with a caption that is drawn each time. ``'paragraph'``: a video
            with all its captions joined into one. ``'all'``: a video with all its captions. None means
            ``'each'`` in training and ``'all'`` with ``test_mode``.
        test_mode (bool): Whether the items are for evaluation, where each video occurs once. Requires
            ``'all'`` or ``'paragraph'``.
        bad_videos (str, optional): Policy for a video that ``DecodeVideo`` cannot read. ``'error'``: the run
            ends. ``'replace'``, in training: another random item replaces it. ``'report'``, with
            ``test_mode``: it remains in the test and is ranked last. :class:`BadVideoHook` counts and lists
            these videos. None means ``'replace'`` in training and ``'error'`` with ``test_mode``.
        storage_wait (float): Seconds to wait, with growing pauses, for a video that the storage does not
            return: a file that has disappeared since the start, an I/O error, or a stalled reader. Such a
            video does not count as damaged.
        **kwargs: Arguments of :class:`mmaction.datasets.BaseActionDataset`.

    Raises:
        ValueError: If an argument or an annotation is invalid.
        FileNotFoundError: If ``ann_file`` or a video does not exist. The message counts all missing videos
            and names the first ones.
        VideoUnavailableError: If the storage does not answer within ``storage_wait`` whether a video exists.

    Examples:
        >>> import json, tempfile
        >>> import numpy as np
        >>> from mmclip4clip.datasets import VideoCaptionDataset
        >>> from mmclip4clip.moving_shapes.generator import write_video
        >>> sampling = dict(type='mmaction.SampleEvenly', num_frames=2)
        >>> pipeline = [dict(type='mmaction.DecodeVideo', sampling=sampling)]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_video(f'{folder}/v.mp4', np.zeros((8, 48, 64, 3), np.uint8))
        ...     with open(f'{folder}/train.json', 'w') as file:
        ...         json.dump({'v.mp4': ['a cat', 'a black cat']}, file)
        ...     dataset = VideoCaptionDataset('train.json', pipeline, dict(video=''), data_root=folder)
        ...     item = dataset[1]
        >>> len(dataset), item['captions'], len(item['imgs'])
        (2, ['a black cat'], 2)
    """

    def __init__(
        self,
        ann_file: str,
        pipeline: list[dict],
        data_prefix: dict = dict(video=''),
        caption_mode: str | None = None,
        test_mode: bool = False,
        bad_videos: str | None = None,
        storage_wait: float = 60.0,
        **kwargs,
    ) -> None:
        caption_mode = caption_mode or ('all' if test_mode else 'each')
        if caption_mode not in CAPTION_MODES:
            raise ValueError(f'caption_mode must be one of {CAPTION_MODES}, got {caption_mode!r}')
        if test_mode and caption_mode in ('each', 'random'):
            raise ValueError(
                "with test_mode=True each video must occur once, with caption_mode='all' "
                f"or 'paragraph'; got {caption_mode!r}"
            )
        if 'video' not in data_prefix:
            raise ValueError(f"data_prefix must have the key 'video', got {sorted(data_prefix)}")
        if bad_videos not in (None, *BAD_VIDEO_POLICIES[test_mode]):
            raise ValueError(
                f'bad_videos must be one of {BAD_VIDEO_POLICIES[test_mode]} with '
                f'test_mode={test_mode}, got {bad_videos!r}'
            )
        self.caption_mode, self.bad_videos = caption_mode, bad_videos
        if not 0 <= storage_wait < float('inf'):
            raise ValueError(f'storage_wait must be seconds from 0 up, got {storage_wait}')
        self.storage_wait = storage_wait
        self.content: str | None = None  # digest of videos, windows, captions and groups, in their order
        self.known_bad: dict[str, str] = {}  # reasons why this process could not read videos, by video_id
        self.known_since: dict[str, float] = {}  # and the times of these failures
        super().__init__(ann_file, pipeline=pipeline, data_prefix=data_prefix, test_mode=test_mode, **kwargs)

    def __setstate__(self, state: dict) -> None:
        """Restore a pickled dataset, in a data worker that may begin with nothing patched."""
        apply_patches()
        self.__dict__.update(state)

    def load_data_list(self) -> list[dict]:
        """Read and validate the annotations, and create one item per video or per caption."""
        self._settle_policy()
        folder, make_key = self.data_prefix['video'], VideoKeys()
        by_decord = find_step(self.pipeline.transforms, DecordInit) is not None
        annotations, items, content = osp.realpath(self.ann_file), [], hashlib.sha256()
        for entry in load_annotations(self.ann_file, absolute=not folder):
            video = add_ending(entry.pop('video'), folder, only_dotted=by_decord)
            window = [entry.get('start'), entry.get('end')]
            entry_content = [osp.basename(video), window, entry['captions'], entry.get('group')]
            content.update(repr(entry_content).encode())
            seconds = (
                '' if window == [None, None] else '@{}-{}'.format(*('' if x is None else x for x in window))
            )
            filename = osp.join(folder, video)
            if 'group' in entry:
                entry['group_key'] = f'{annotations}#{entry["group"]}'
            items.append(
                dict(
                    entry, video_id=video + seconds, filename=filename, video_key=make_key(filename, *window)
                )
            )
        self.content = content.hexdigest()
        self._check_files([item['filename'] for item in items])
        self._check_windows([i for i in items if 'start' in i or 'end' in i])
        if self.test_mode:
            self._check_repeats(items)
        if self.caption_mode == 'each':
            items = [dict(item, captions=[c]) for item in items for c in item['captions']]
        elif self.caption_mode == 'paragraph':
            items = [
                dict(
                    item,
                    captions=[paragraph(item['captions'], f'ann_file {self.ann_file} ({item["video_id"]})')],
                )
                for item in items
            ]
        return items

    def get_data_info(self, idx: int) -> dict:
        """Return a copy of one item, with a random caption if ``caption_mode='random'``."""
        item = super().get_data_info(idx)
        if self.caption_mode == 'random':
            item['captions'] = [item['captions'][np.random.randint(len(item['captions']))]]
        return item

    def prepare_data(self, idx: int) -> dict:
        """Run the pipeline on one item, and apply the ``bad_videos`` policy.

        Raises:
            VideoUnavailableError: If the storage remains unavailable.
            VideoReadError: If the policy is ``'error'``, or other videos cannot be read either.
        """
        if self.bad_videos == 'error':
            return StorageWait(self.storage_wait)(lambda: super(VideoCaptionDataset, self).prepare_data(idx))
        return substitute_unreadable(self, idx)

    def __getitems__(self, indices: Sequence[int]) -> list[dict]:
        """Return the items of a batch, for torch's ``DataLoader``; see :meth:`share_windows`."""
        with self.share_windows(indices):
            return [self[index] for index in indices]

    def share_windows(self, indices: Sequence[int]) -> AbstractContextManager[None]:
        """Decode windows of one video together while these items are prepared, with ``test_mode`` only."""
        decode = find_step(self.pipeline.transforms, DecodeVideo) if self.test_mode else None
        return share_windows(decode, [self.get_data_info(index) for index in indices] if decode else [])

    @property
    def file_windows(self) -> list[tuple[str, float, float]]:
        """File of each item, start and end of its window in seconds, perhaps infinity.

        An item without a file, which a subclass may have, is named by its number, so it is alone.
        """
        items = (super(VideoCaptionDataset, self).get_data_info(i) for i in range(len(self)))
        return [
            (it.get('filename', f'{i}'), it.get('start', 0), it.get('end', inf)) for i, it in enumerate(items)
        ]

    @property
    def video_ids(self) -> dict[str, str]:
        """The ``video_id`` of each video, by its ``video_key``; a time window counts as a video."""
        items = (super(VideoCaptionDataset, self).get_data_info(i) for i in range(len(self)))
        return {item['video_key']: item['video_id'] for item in items}

    @property
    def num_videos(self) -> int:
        """Number of different videos; a time window counts as a video."""
        return len(self.video_ids)

    def _settle_policy(self) -> None:
        decodes = find_step(self.pipeline.transforms, DecodeVideo) is not None
        if self.bad_videos in ('replace', 'report') and not decodes:
            raise ValueError(
                f'bad_videos={self.bad_videos!r} needs DecodeVideo in the pipeline: other '
                'decoders do not distinguish unreadable videos from other errors'
            )
        self.bad_videos = self.bad_videos or ('error' if self.test_mode or not decodes else 'replace')

    def _check_files(self, filenames: list[str]) -> None:
        only_files = self.bad_videos == 'error'  # a folder of that name is handled by the other policies
        wait = StorageWait(self.storage_wait)
        missing = sorted(f for f in set(filenames) if not wait(partial(path_exists, f, only_files)))
        if missing:
            shown = '\n  '.join(missing[:10] + ['...'] * (len(missing) > 10))
            raise FileNotFoundError(
                f'{len(missing)} of the {len(set(filenames))} videos named in '
                f'ann_file {self.ann_file} do not exist:\n  {shown}'
            )

    def _check_windows(self, windows: list[dict]) -> None:
        if windows and not any(
            isinstance(t, (TimeWindow, DecodeVideo)) for t in all_steps(self.pipeline.transforms)
        ):
            raise ValueError(
                f'{len(windows)} entries of ann_file {self.ann_file} have start or end, which the '
                "pipeline would ignore: add dict(type='TimeWindow') after DecordInit"
            )

    def _check_repeats(self, items: list[dict]) -> None:
        counts, ids = Counter(i['video_key'] for i in items), {i['video_key']: i['video_id'] for i in items}
        repeated = sorted(ids[key] for key, count in counts.items() if count > 1)
        if repeated:
            raise ValueError(
                f'ann_file {self.ann_file} names {len(repeated)} videos more than once, the first is '
                f'{repeated[0]}: for evaluation, put all captions of a video into one entry'
            )
