"""One file of features, in the format of safetensors."""

import json
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ...atomic_file import atomic_file

VIDEO = 'video.'  # prefix of the adapter's video features
COUNTS = dict(frames='frame_counts', text='caption_counts', tokens='token_counts')  # of their rows


class StoredVideo(NamedTuple):
    """Features of a video and of its N_i captions. Parts that are not stored are None.

    Args:
        info (dict): Plain data: ``video_id``, ``filename``, ``captions``, window, group and keys, and
            ``unreadable`` with the reason for a video that could not be read.
        frames (Tensor, optional): Features of its frames as the backbone returns them, (T, D).
        text (Tensor, optional): Features of its captions, (N_i, D).
        tokens (list[Tensor], optional): Features of the real tokens of each caption, (L, D) each.

    Examples:
        >>> StoredVideo(dict(video_id='v.mp4', captions=['a cat']), torch.zeros(12, 512)).text is None
        True
    """

    info: dict[str, Any]
    frames: Tensor | None = None
    text: Tensor | None = None
    tokens: list[Tensor] | None = None


def write_shard(
    path: Path, videos: list[StoredVideo], pooled: dict[str, Tensor] | None = None, half: bool = False
) -> None:
    """Write a shard, which gets its name only when it is complete.

    Tensors: ``frames`` (sum of T, D) of all videos one after another with ``frame_counts`` (V,), ``text``
    (N, D) and ``tokens`` (sum of L, D) with ``token_counts`` (N,), always ``caption_counts`` (V,), and
    ``video.*``, the features of the adapter, with V first. The metadata ``videos`` is a JSON list.

    Args:
        path (Path): The file.
        videos (list[StoredVideo]): V videos with the same parts.
        pooled (dict[str, Tensor], optional): Features of the adapter for the V videos.
        half (bool): Whether to store half precision.
    """
    counts = [len(video.info['captions']) for video in videos]
    tensors = {'caption_counts': torch.tensor(counts)}
    for name in ('frames', 'text'):
        parts = [part for part in (getattr(video, name) for video in videos) if part is not None]
        if parts:
            tensors[name] = torch.cat(parts)
            if name == 'frames':
                tensors['frame_counts'] = torch.tensor([len(part) for part in parts])
    rows = [row for video in videos for row in video.tokens or ()]
    if rows:
        tensors.update(tokens=torch.cat(rows), token_counts=torch.tensor([len(row) for row in rows]))
    tensors.update({VIDEO + key: value for key, value in (pooled or {}).items()})
    tensors = {key: _stored(value, half) for key, value in tensors.items()}
    metadata = dict(videos=json.dumps([video.info for video in videos]))
    with atomic_file(path) as file:
        file.write(save(tensors, metadata))


def _stored(value: Tensor, half: bool) -> Tensor:
    if value.is_floating_point():
        value = value.to(torch.float16 if half else torch.float32)
    return value.detach().cpu().contiguous()


class FeatureShard:
    """A shard that is read video by video; its tensors stay on the disk.

    Args:
        path (Path): The file.

    Raises:
        ValueError: If it is damaged or not a shard.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, 'shard-00000.safetensors')
        ...     info = dict(video_id='v', captions=['a cat'])
        ...     video = StoredVideo(info, torch.ones(12, 4), torch.ones(1, 4))
        ...     write_shard(path, [video])
        ...     shard = FeatureShard(path)
        ...     shard.infos[0]['captions'], shard.frames(0).shape, shard.text(0).shape
        (['a cat'], torch.Size([12, 4]), torch.Size([1, 4]))
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: Any = None
        try:
            file = self._open()
            self.names = set(file.keys())
            self.infos: list[dict[str, Any]] = json.loads(file.metadata()['videos'])
            self._ends = {
                name: [0, *accumulate(map(int, file.get_tensor(name).tolist()))]
                for name in COUNTS.values()
                if name in self.names
            }
            captions = [len(info['captions']) for info in self.infos]
            if [0, *accumulate(captions)] != self._ends['caption_counts']:
                raise ValueError('its captions are not as many as it counts')
            for name, counts in COUNTS.items():
                if name in self.names and file.get_slice(name).get_shape()[0] != self._ends[counts][-1]:
                    raise ValueError(f'its {name} are not as many as it counts')
        except (SafetensorError, ValueError, LookupError, TypeError, OSError, RecursionError) as error:
            raise ValueError(f'{path} is no shard of features, or damaged: {error!r}') from error

    @property
    def parts(self) -> set[str]:
        """The parts that are stored."""
        video = {'video'} if any(name.startswith(VIDEO) for name in self.names) else set()
        return video | {name for name in COUNTS if name in self.names}

    def __getstate__(self) -> dict:
        return dict(self.__dict__, _file=None)  # each process opens the file itself

    def _open(self) -> Any:
        if self._file is None:
            self._file = safe_open(self.path, 'pt')
        return self._file

    def _rows(self, name: str, begin: int, end: int) -> Tensor:
        return self._open().get_slice(name)[begin:end]

    def frames(self, video: int) -> Tensor:
        """Return the features of the frames of a video, (T, D)."""
        ends = self._ends['frame_counts']
        return self._rows('frames', ends[video], ends[video + 1])

    def text(self, video: int) -> Tensor:
        """Return the features of the captions of a video, (N_i, D)."""
        ends = self._ends['caption_counts']
        return self._rows('text', ends[video], ends[video + 1])

    def tokens(self, video: int) -> tuple[Tensor, Tensor]:
        """Return the features (N_i, L, D) and mask (N_i, L) of the tokens of a video's captions."""
        ends, rows = self._ends['token_counts'], self._ends['caption_counts']
        starts = ends[rows[video] : rows[video + 1] + 1]
        lengths = [end - begin for begin, end in zip(starts, starts[1:])]
        parts = self._rows('tokens', starts[0], starts[-1]).split(lengths)
        mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
        return pad_sequence(list(parts), batch_first=True), mask.long()
