import time
from functools import partial
from pathlib import Path

from mmaction.registry import HOOKS
from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.hooks import Hook

from ...datasets.dataset_traversal import find_decoder, leaf_datasets
from ...datasets.first_frames import FirstFrameResult, probe_videos
from ...datasets.storage_wait import StorageWait
from ...datasets.transforms import DecodeVideo
from ...datasets.video_readers import VideoReadError, VideoUnavailableError
from ...random_states import preserve_random_states
from .bad_video_hook import append_videos, name_unreadable, videos_of

SHOWN = 10  # maximum number of videos in a message
OUTCOMES = dict(
    error='ends the run when it is read',
    report='counts as missed',
    replace='is replaced by another video, up to the share that BadVideoHook allows',
)


@HOOKS.register_module()
class VideoCheckHook(Hook):
    """Find unreadable videos before a run starts, instead of after its first epoch.

    The hook decodes the first frame of each video of validation and test, and of training if
    ``bad_videos='error'``. If that fails, or a window begins after the end, ``DecodeVideo`` reads the video
    and decides. With ``bad_videos='error'`` the run ends and the error names all unreadable videos. With
    ``'report'`` the log states how many will count as missed. Videos that the storage does not return within
    ``storage_wait`` may be intact, so the log counts them without a list. Damage later in a file is found
    only when its frames are read. If videos are not checked, the log states what happens to an unreadable
    one. The processes of a run share the work; 1,000 videos take seconds.

    Args:
        check_videos (bool): Whether to check the videos.
        processes (int): Number of files that each process of the run opens at once.
        time_limit (float): Seconds for the first frame of a video.
        total_time (float): Maximum duration of the check in seconds. The log states how many videos remain.
        filename (str): File in the work dir that lists the videos, the same as of :class:`BadVideoHook`.

    Raises:
        ValueError: If an argument is not positive.

    Examples:
        >>> default_hooks = dict(video_check=dict(type='VideoCheckHook', total_time=60))
    """

    def __init__(
        self,
        check_videos: bool = True,
        processes: int = 4,
        time_limit: float = 10.0,
        total_time: float = 300.0,
        filename: str = 'bad_videos.txt',
    ) -> None:
        if not (processes > 0 and time_limit > 0 and total_time > 0):
            raise ValueError(
                f'processes, time_limit and total_time must be positive, got {processes}, '
                f'{time_limit} and {total_time}'
            )
        self.check_videos, self.processes, self.filename = check_videos, processes, filename
        self.time_limit, self.total_time = time_limit, total_time
        self._done: set[str] = set()

    def before_train(self, runner) -> None:
        """Check the videos of training and validation.

        Raises:
            VideoReadError: If a video is unreadable and ``bad_videos='error'``.
        """
        loaders = dict(train=runner.train_dataloader)
        if runner.val_loop is not None:
            loaders['val'] = runner.val_loop.dataloader
        self._check_all(runner, loaders)

    def before_val(self, runner) -> None:
        """Check the videos of a validation outside of a training."""
        self._check_all(runner, dict(val=runner.val_loop.dataloader))

    def before_test(self, runner) -> None:
        """Check the videos of a test."""
        self._check_all(runner, dict(test=runner.test_loop.dataloader))

    def _check_all(self, runner, loaders: dict) -> None:
        errors = []
        for name in [name for name in loaders if name not in self._done]:
            self._done.add(name)
            for leaf in leaf_datasets(loaders[name].dataset):
                if hasattr(leaf, 'bad_videos'):
                    errors += self._check(runner, f'{name}_dataloader', leaf)
        if errors:
            raise VideoReadError('\n'.join(errors))

    def _check(self, runner, name: str, leaf) -> list[str]:
        """Check one dataset, log the result, and return the errors that end the run."""
        decoder = find_decoder(leaf)
        if not self.check_videos or leaf.bad_videos == 'replace' or decoder is None:
            why = ', because its decoder does not distinguish unreadable videos from other errors'
            runner.logger.info(
                f'{name}: videos are not checked before the run{why if decoder is None else ""}; one that '
                f'cannot be read {OUTCOMES[leaf.bad_videos]} (bad_videos={leaf.bad_videos!r})'
            )
            return []
        begin = time.monotonic()
        items = list_videos(leaf)
        wait = StorageWait(leaf.storage_wait)  # a video that is unavailable at first may be intact
        found, away, unchecked = self._find_bad(items, decoder, wait)
        bad = name_unreadable(found, videos_of(leaf))
        took = f'of {leaf.ann_file}, checked in {time.monotonic() - begin:.1f} s'
        if unchecked:
            runner.logger.warning(
                f'{name}: {unchecked} of {len(items)} videos {took}, were not reached in '
                f'total_time={self.total_time:g} s; one that cannot be read {OUTCOMES[leaf.bad_videos]}'
            )
        if away:
            runner.logger.warning(
                f'{name}: the storage did not return {len(away)} of {len(items)} videos '
                f'{took}; they may be intact, and are tried again. The last one: {away[-1]}'
            )
        if not bad:
            runner.logger.info(
                f'{name}: {len(items) - unchecked - len(away)} videos {took}, can be opened '
                'and have a first frame; damage later in a file is found when it is read'
            )
            return []
        return self._report_bad(runner, name, leaf, bad, f'{name}: {len(bad)} of {len(items)} videos {took}')

    def _report_bad(self, runner, name: str, leaf, bad: dict[str, str], count: str) -> list[str]:
        """List unreadable videos in the file; log them, or return the error that ends the run."""
        path = Path(runner.work_dir) / self.filename
        append_videos(path, bad)
        message = (
            f'{count}, cannot be read; listed in {path}:'
            + ''.join(f'\n  {video}: {" ".join(bad[video].split())}' for video in list(bad)[:SHOWN])
            + '\n  ...' * (len(bad) > SHOWN)
        )
        if leaf.bad_videos == 'error':
            other = 'report' if leaf.test_mode else 'replace'
            return [
                f'{message}\nRepair or remove them, or set {name}.dataset.bad_videos={other!r}: then one '
                f'that cannot be read {OUTCOMES[other]}'
            ]
        runner.logger.warning(f'{message}\nEach {OUTCOMES[leaf.bad_videos]}, with all its captions')
        return []

    def _find_bad(
        self, items: list[dict], decoder: DecodeVideo, wait: StorageWait
    ) -> tuple[dict[str, str], list[str], int]:
        """Return reasons of unreadable and unavailable videos, and the number of unchecked videos."""
        end = time.monotonic() + self.total_time
        files = set(sorted({item['filename'] for item in items})[get_rank() :: get_world_size()])
        opened = probe_videos(sorted(files), self.processes, self.time_limit, self.total_time)
        quick, (bad, away, unchecked) = first_frame_suffices(decoder), ({}, [], 0)
        for item in items:
            if item['filename'] not in opened:
                unchecked += item['filename'] in files
            elif not quick or not looks_sound(item, opened[item['filename']]):
                if time.monotonic() > end:
                    unchecked += 1
                    continue
                try:
                    with preserve_random_states():  # its sampling may be random
                        wait(partial(decoder.transform, dict(item)))
                except VideoUnavailableError as error:
                    away.append(f'{item["video_id"]}: {error}')
                except VideoReadError as error:
                    bad[item.get('video_key', item['video_id'])] = str(error)
        mine = bad, away, unchecked
        parts = [mine] if get_world_size() == 1 else all_gather_object(mine)
        return (
            {video: why for part, _, _ in parts for video, why in part.items()},
            [why for _, part, _ in parts for why in part],
            sum(n for _, _, n in parts),
        )


def first_frame_suffices(decoder: DecodeVideo) -> bool:
    """Return whether this decoder reads every video whose first frame PyAV decodes.

    Other backends, a minimum number of frames, and ``reference_times`` reject more videos.
    """
    return (
        decoder.backends[0] == 'pyav'
        and decoder.min_frames == 1
        and not any(getattr(step, 'reference_times', False) for step in decoder.sampling.transforms)
    )


def looks_sound(item: dict, opening: FirstFrameResult) -> bool:
    """Return whether a file has a first frame and does not end before an item's window."""
    start = item.get('start') or 0
    return opening.error is None and (opening.seconds is None or start < opening.seconds or not start)


def list_videos(leaf) -> list[dict]:
    """Return one item per video of a dataset, without advancing the random generators."""
    items: dict[str | None, dict] = {}
    with preserve_random_states():
        for number in range(len(leaf)):
            item = leaf.get_data_info(number)
            items.setdefault(item['video_id'], item)
    return list(items.values())
