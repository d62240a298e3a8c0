from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...datasets.annotations import caption_fault, group_fault, name_fault, window_fault
from .source_files import check_type


class Captions:
    """Captions grouped by video and window, in order of appearance, and the skipped ones.

    Attributes:
        skipped (dict[str, list[str]]): Skipped videos or captions by reason.

    Examples:
        >>> from mmclip4clip.preparation.converters import Captions
        >>> captions = Captions()
        >>> captions.add('video0.mp4', 'a man  sings')
        >>> captions.add('video0.mp4', '')
        >>> captions.entries, captions.skipped
        ([{'video': 'video0.mp4', 'captions': ['a man sings']}], {'no text': ['video0.mp4']})
    """

    def __init__(self) -> None:
        self._entries: dict[tuple, dict] = {}
        self.skipped: dict[str, list[str]] = {}

    def add(
        self,
        video: str,
        caption: str,
        start: float | None = None,
        end: float | None = None,
        group: str | None = None,
    ) -> None:
        """Add a caption with normalized white space, or record why it is skipped.

        Args:
            video (str): Official name of the video, with or without suffix.
            caption (str): The caption.
            start (float, optional): Start of the described part in seconds, used with ``end``.
            end (float, optional): End of the described part in seconds.
            group (str, optional): Group of videos that are hard to distinguish.

        Raises:
            TypeError: If the video is not a string, or a time is not a number.
            ValueError: If a video is in two groups.
        """
        check_type(video, str)
        times = [check_type(x, int, float) for x in (start, end) if x is not None]
        fault = name_fault(video)
        if fault:
            return self.skip('invalid file names', fault)
        if not isinstance(caption, str) or not caption.strip():
            return self.skip('no text', video)
        if caption_fault(caption):
            return self.skip('an invalid caption', f'{video}: it {caption_fault(caption)}')
        if group is not None and group_fault(group):
            return self.skip('an invalid group name', f'{video}: it {group_fault(group)}')
        if any(window_fault(x, None) for x in times):
            return self.skip('times that are not seconds >= 0', f'{video} {start}-{end}')
        if window_fault(start, end):
            return self.skip('a start that is not before the end', f'{video} {start}-{end}')
        entry = self._entries.get((video, start, end))
        if entry is None:
            named: dict[str, Any] = dict(video=video, captions=[], start=start, end=end, group=group)
            entry = {key: value for key, value in named.items() if value is not None}
            self._entries[video, start, end] = entry
        if entry.get('group') != group:
            raise ValueError(f'{video} is in the group {group!r} and in {entry.get("group")!r}')
        return entry['captions'].append(' '.join(caption.split()))

    def skip(self, reason: str, what: str) -> None:
        """Record a skipped item and the reason; long items are truncated."""
        what = what.encode(errors='backslashreplace').decode()  # a file name may contain invalid bytes
        self.skipped.setdefault(reason, []).append(what if len(what) <= 300 else f'{what[:300]}...')

    @property
    def entries(self) -> list[dict]:
        """Entries in the format of :func:`mmclip4clip.datasets.annotations.load_annotations`."""
        return list(self._entries.values())


@dataclass(frozen=True)
class Split:
    """One JSON file to write: its sources, its reader, and the expected counts.

    Args:
        name (str): Name of the JSON without suffix.
        sources (tuple[Path]): Official files.
        read (Callable): Function of the sources that returns :class:`Captions`.
        videos (int, optional): Published number of videos.
        captions (int, optional): Published number of captions, or that of the official file.
        aliases (Callable): Function of a video name that returns alternative file names.

    Examples:
        >>> from pathlib import Path
        >>> from mmclip4clip.preparation.converters import Split
        >>> from mmclip4clip.preparation.converters.custom import read_captions
        >>> Split('train', (Path('train.csv'),), read_captions, videos=1000).name
        'train'
    """

    name: str
    sources: tuple[Path, ...]
    read: Callable[..., Captions]
    videos: int | None = None
    captions: int | None = None
    aliases: Callable[[str], Sequence[str]] = lambda video: ()


def count_entries(entries: Sequence[dict]) -> tuple[int, int]:
    """Return the numbers of distinct videos and of captions.

    Examples:
        >>> count_entries([dict(video='v0', captions=['a man sings', 'a singer'])])
        (1, 2)
    """
    return len({e['video'] for e in entries}), sum(len(e['captions']) for e in entries)
