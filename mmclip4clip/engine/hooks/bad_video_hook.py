import logging
from collections import Counter
from pathlib import Path

from mmaction.registry import HOOKS
from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log


@HOOKS.register_module()
class BadVideoHook(Hook):
    """Count the videos that could not be read, list them, and stop when there are too many.

    ``VideoCaptionDataset`` replaces such videos in training and reports them in
    a test; this hook gathers what the samples of all processes say of it. The
    numbers go to the log, whenever there are new ones and at the end of each
    epoch and evaluation. Each video goes to a file in the work dir, one a line,
    with a tab and the reason: by its id, or by its path where two datasets that are joined
    have the same id. Videos that the storage did not give in time are counted in the log
    alone: they may be sound, and are tried again.

    Args:
        max_share (float): The largest share of the training videos that may be
            unreadable, from 0 to 1, over all epochs of the run.
        interval (int): Training steps from one look at all processes to the next.
        filename (str): The file in the work dir.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(self, max_share: float = 0.05, interval: int = 50, filename: str = 'bad_videos.txt') -> None:
        if not 0 <= max_share <= 1:
            raise ValueError(f'max_share must lie between 0 and 1, got {max_share}')
        if interval < 1:
            raise ValueError(f'interval must be at least 1, got {interval}')
        self.max_share, self.interval, self.filename = max_share, interval, filename
        self._found: dict[str, str] = {}  # in training, by all processes; reasons by the key of the video
        self._replaced = 0
        self._new: tuple[dict[str, str], int] = {}, 0  # in this process, since the last look
        self._unavailable: dict[str, str] = {}  # in this process and epoch: not given by the storage
        self._unreadable: dict[str, str] = {}  # in this process, in a test

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Note what was replaced, and now and then look at all processes.

        Raises:
            RuntimeError: If too large a share of the videos is unreadable.
        """
        found, replaced = self._new
        for sample in (data_batch or {}).get('data_samples', []):
            found.update(reasons_by_key(sample, 'replaced'))
            self._unavailable.update(reasons_by_key(sample, 'unavailable'))
            replaced += 'replaced' in sample
        self._new = found, replaced
        if self.every_n_train_iters(runner, self.interval) and self._sync(runner):
            self._report(runner)

    def after_train_epoch(self, runner) -> None:
        """Look at all processes, and say the numbers so far, new or not."""
        self._sync(runner)
        if self._found:
            self._report(runner)
        away = _merge(all_gather_object(self._unavailable))
        self._unavailable = {}
        if away:
            runner.logger.warning(
                f'{len(away)} videos were replaced at times as the storage did not give '
                f'them; the last one: {[*away.values()][-1]}'
            )

    def after_val_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Note what could not be read."""
        self._unreadable.update(
            (sample.get('video_key', sample.video_id), sample.unreadable)
            for sample in (data_batch or {}).get('data_samples', [])
            if 'unreadable' in sample
        )

    def after_val_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """List what a validation could not read and counted as missed."""
        self._list_unreadable(runner, 'val')

    def after_test_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """List what a test could not read and counted as missed."""
        self._list_unreadable(runner, 'test')

    after_test_iter = after_val_iter

    def _list_unreadable(self, runner, stage: str) -> None:
        found = _merge(all_gather_object(self._unreadable))
        self._unreadable = {}
        if found:
            loader = getattr(runner, f'{stage}_dataloader', None)
            self._list(runner, name_unreadable(found, videos_of(getattr(loader, 'dataset', None))))
            runner.logger.warning(
                f'{len(found)} videos could not be read and count as missed; they are '
                f'listed in {Path(runner.work_dir) / self.filename}'
            )

    def _sync(self, runner) -> bool:
        """Add up all processes, and tell whether there are videos not seen before."""
        parts, self._new = all_gather_object(self._new), ({}, 0)
        new = {
            video: reason for found, _ in parts for video, reason in found.items() if video not in self._found
        }
        self._found.update(new)
        self._replaced += sum(replaced for _, replaced in parts)
        if not new:
            return False
        dataset = runner.train_dataloader.dataset
        self._list(runner, name_unreadable(new, videos_of(dataset)))
        total = count_videos(dataset)
        if len(self._found) > self.max_share * total:  # in all processes alike
            raise RuntimeError(
                f'{len(self._found)} of the {total} training videos could not be read, more than '
                f'max_share={self.max_share:g} of them; they are listed in '
                f'{Path(runner.work_dir) / self.filename}. The last one: {[*new.values()][-1]}'
            )
        return True

    def _report(self, runner) -> None:
        runner.logger.warning(
            f'{len(self._found)} videos could not be read, {self._replaced} samples were '
            f'replaced so far; listed in {Path(runner.work_dir) / self.filename}'
        )

    def _list(self, runner, found: dict[str, str]) -> None:
        """Append videos to the file, but for those that are in it."""
        append_videos(Path(runner.work_dir) / self.filename, found)


def _merge(parts: list[dict[str, str]]) -> dict[str, str]:
    return {video: reason for part in parts for video, reason in part.items()}


def reasons_by_key(sample, name: str) -> dict[str, str]:
    """Return the reasons that a data sample has under a name, by the key of the video."""
    bad = sample.get(name, [])
    keys = sample.get(f'{name}_keys', [video for video, _ in bad])
    return {key: reason for key, (_, reason) in zip(keys, bad)}


def append_videos(path: Path, found: dict[str, str]) -> None:
    """Append videos and reasons to a list, one a line, but for those that are in it; in the main process."""
    if not is_main_process():
        return
    try:
        _append_lines(path, found)
    except OSError as error:  # such as a full disk, which must not end a training of days
        print_log(
            f'{path} could not be written: {error}; it lacks {", ".join(found)}',
            logger='current',
            level=logging.WARNING,
        )


def _append_lines(path: Path, found: dict[str, str]) -> None:
    text = path.read_text(encoding='utf-8', errors='replace') if path.exists() else ''
    known = {line.split('\t')[0] for line in text.split('\n')}
    with path.open('a', encoding='utf-8', errors='backslashreplace') as file:
        if text and not text.endswith('\n'):  # a run was killed in the middle of a line
            file.write('\n')
        for video, reason in found.items():
            if video not in known:
                file.write(f'{video}\t{" ".join(reason.split())}\n')


def videos_of(dataset) -> dict[str, str]:
    """Return the id of each video by its key, of a dataset and of one that wraps or joins others."""
    if hasattr(dataset, 'video_ids'):
        return dataset.video_ids
    parts = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    return {key: name for part in parts if part is not None for key, name in videos_of(part).items()}


def name_unreadable(found: dict[str, str], ids: dict[str, str]) -> dict[str, str]:
    """Name videos by their ids instead of their keys, but where an id is that of several videos."""
    counts = Counter(ids.values())
    return {ids[key] if counts[ids.get(key)] == 1 else key: reason for key, reason in found.items()}


def count_videos(dataset) -> int:
    """Count the videos of a dataset, also of one that wraps or joins others; the same one of two is one."""
    videos = videos_of(dataset)
    if videos:
        return len(videos)
    if hasattr(dataset, 'num_videos'):
        return dataset.num_videos
    parts = dataset.datasets if hasattr(dataset, 'datasets') else [dataset.dataset]
    return sum(map(count_videos, parts))
