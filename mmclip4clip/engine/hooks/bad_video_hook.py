import logging
from collections import Counter
from pathlib import Path

from mmaction.registry import HOOKS
from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log

from ...datasets.dataset_traversal import leaf_datasets


@HOOKS.register_module()
class BadVideoHook(Hook):
    """Count and list unreadable videos, and stop the run if there are too many.

    ``VideoCaptionDataset`` replaces such videos in training and reports them in a test. This hook gathers the
    reports of all processes. It logs the counts when there are new videos, and at the end of each epoch and
    evaluation. It also writes each video to a file in the work dir, one per line, with a tab and the reason.
    The video is named by its id, or by its path if two concatenated datasets share the id. Videos that the
    storage did not return in time are only counted in the log: they may be intact, and are tried again.

    Args:
        max_share (float): Maximum share of unreadable training videos, from 0 to 1, over all epochs of the
            run.
        interval (int): Training steps between two synchronizations of all processes.
        filename (str): The file in the work dir.

    Raises:
        ValueError: If an argument is out of range.

    Examples:
        >>> default_hooks = dict(bad_videos=dict(type='BadVideoHook', max_share=0.1))
    """

    def __init__(self, max_share: float = 0.05, interval: int = 50, filename: str = 'bad_videos.txt') -> None:
        if not 0 <= max_share <= 1:
            raise ValueError(f'max_share must lie between 0 and 1, got {max_share}')
        if interval < 1:
            raise ValueError(f'interval must be at least 1, got {interval}')
        self.max_share, self.interval, self.filename = max_share, interval, filename
        self._found: dict[str, str] = {}  # in training, of all processes: reasons by video_key
        self._replaced = 0
        self._new: tuple[dict[str, str], int] = {}, 0  # in this process, since the last synchronization
        self._unavailable: dict[str, str] = {}  # in this process and epoch: not returned by the storage
        self._unreadable: dict[str, str] = {}  # in this process, in a test

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Collect replaced videos, and synchronize all processes at the interval.

        Raises:
            RuntimeError: If the share of unreadable videos exceeds ``max_share``.
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
        """Synchronize all processes and log the counts so far."""
        self._sync(runner)
        if self._found:
            self._report(runner)
        away = _merge(all_gather_object(self._unavailable))
        self._unavailable = {}
        if away:
            runner.logger.warning(
                f'{len(away)} videos were replaced at times because the storage did not return '
                f'them; the last one: {[*away.values()][-1]}'
            )

    def after_val_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        """Collect unreadable videos."""
        self._unreadable.update(
            (sample.get('video_key', sample.video_id), sample.unreadable)
            for sample in (data_batch or {}).get('data_samples', [])
            if 'unreadable' in sample
        )

    def after_val_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """List the unreadable videos of a validation, which count as missed."""
        self._list_unreadable(runner, 'val')

    def after_test_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """List the unreadable videos of a test, which count as missed."""
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
        """Merge the reports of all processes, and return whether there are new videos."""
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
        if len(self._found) > self.max_share * total:  # the same in all processes
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
        """Append new videos to the file."""
        append_videos(Path(runner.work_dir) / self.filename, found)


def _merge(parts: list[dict[str, str]]) -> dict[str, str]:
    return {video: reason for part in parts for video, reason in part.items()}


def reasons_by_key(sample, name: str) -> dict[str, str]:
    """Return the reasons in a data sample's list ``name``, by video_key."""
    bad = sample.get(name, [])
    keys = sample.get(f'{name}_keys', [video for video, _ in bad])
    return {key: reason for key, (_, reason) in zip(keys, bad)}


def append_videos(path: Path, found: dict[str, str]) -> None:
    """Append new videos and reasons to a list, one per line, in the main process."""
    if not is_main_process():
        return
    try:
        _append_lines(path, found)
    except OSError as error:  # such as a full disk, which must not end a long training
        print_log(
            f'{path} could not be written: {error}; it lacks {", ".join(found)}',
            logger='current',
            level=logging.WARNING,
        )


def _append_lines(path: Path, found: dict[str, str]) -> None:
    text = path.read_text(encoding='utf-8', errors='replace') if path.exists() else ''
    known = {line.split('\t')[0] for line in text.split('\n')}
    with path.open('a', encoding='utf-8', errors='backslashreplace') as file:
        if text and not text.endswith('\n'):  # a run was killed while it wrote a line
            file.write('\n')
        for video, reason in found.items():
            if video not in known:
                file.write(f'{video}\t{" ".join(reason.split())}\n')


def videos_of(dataset) -> dict[str, str]:
    """Return the video_id of each video_key of a dataset, which may wrap or concatenate others."""
    leaves = leaf_datasets(dataset)
    return {key: name for leaf in leaves for key, name in getattr(leaf, 'video_ids', {}).items()}


def name_unreadable(found: dict[str, str], ids: dict[str, str]) -> dict[str, str]:
    """Replace video keys by ids, except for ids that several videos share."""
    counts = Counter(ids.values())
    return {
        ids[key] if key in ids and counts[ids[key]] == 1 else key: reason for key, reason in found.items()
    }


def count_videos(dataset) -> int:
    """Count the different videos of a dataset, which may wrap or concatenate others."""
    others = (leaf for leaf in leaf_datasets(dataset) if not hasattr(leaf, 'video_ids'))
    return len(videos_of(dataset)) + sum(leaf.num_videos for leaf in others)
