import os.path as osp
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from mmengine.dist import master_only
from mmengine.hooks import CheckpointHook

from ...atomic_file import atomic_file
from ..resume.checkpoint_search import LAST

OBSOLETE = 'obsolete_ckpts'  # in the message hub: files that the checkpoint replaces
INTERIM = 'interim_ckpt'  # likewise: a checkpoint saved between regular ones, until the next regular one


class OrderedCheckpointHook(CheckpointHook):
    """Save checkpoints, and remove a file only after its replacement is complete.

    A checkpoint lists the files that it replaces. If a run is killed before it removes them, the resumed run
    removes them. ``compat.save_atomically`` ensures that a file is complete or absent.

    Args:
        **kwargs: Arguments of :class:`mmengine.hooks.CheckpointHook`.

    Examples:
        >>> from mmclip4clip.engine.hooks.ordered_checkpoint_hook import OrderedCheckpointHook
        >>> OrderedCheckpointHook(interval=1, max_keep_ckpts=3).max_keep_ckpts
        3
    """

    keep_ckpt_ids: deque[int]

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._last_step: int | None = None  # of the last regular checkpoint
        self._replaced: list[str] = []  # best checkpoints to remove once the next regular one is complete

    def save_interim(self, runner, iterations: int) -> str:
        """Save an interim checkpoint of a run that has to stop; the next regular one replaces it.

        Args:
            runner (Runner): The runner.
            iterations (int): Number of finished steps. After a step, ``runner.iter`` is one less.

        Returns:
            str: Path of the file.
        """
        meta = dict(epoch=runner.epoch, iter=iterations)
        if not self.by_epoch:
            self._save_checkpoint_with_step(runner, iterations, meta)
            return self.last_ckpt
        name = f'iter_{iterations}.pth'
        runner.message_hub.update_info(INTERIM, name)
        runner.message_hub.update_info(OBSOLETE, [])
        self._write(runner, name, meta)
        self._point_to(runner, name)
        return self.file_backend.join_path(self.out_dir, name)

    def _save_checkpoint_with_step(self, runner, step: int, meta: dict) -> None:
        """Save a regular checkpoint, then remove the files that it replaces."""
        name, interim = self.filename_tmpl.format(step), runner.message_hub.pop_info(INTERIM, None)
        obsolete = [*self._replaced, *self._rotate(runner, step), *([interim] if interim else [])]
        obsolete = [old for old in obsolete if old != name]
        self.last_ckpt, self._last_step = self.file_backend.join_path(self.out_dir, name), step
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.message_hub.update_info(OBSOLETE, obsolete)
        self._write(runner, name, meta)
        self._point_to(runner, name)
        self._remove(runner, obsolete)
        self._replaced = []

    def _write(self, runner, name: str, meta: dict) -> None:
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )

    @master_only
    def _point_to(self, runner, name: str) -> None:
        """Write the path of the newest checkpoint to ``last_checkpoint``, as mmengine does."""
        with atomic_file(Path(runner.work_dir, LAST), 'w') as file:
            file.write(self.file_backend.join_path(self.out_dir, name))

    def _rotate(self, runner, step: int) -> list[str]:
        """Add a checkpoint to those to keep, and return the names of those to remove."""
        if self.max_keep_ckpts <= 0:
            return []
        steps = [kept for kept in self.keep_ckpt_ids if kept != step] + [step]
        self.keep_ckpt_ids = deque(steps, self.max_keep_ckpts)
        runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        return [self.filename_tmpl.format(old) for old in steps[: -self.max_keep_ckpts]]

    @master_only
    def _remove(self, runner, names: list[str]) -> None:
        """Remove files, or the folders that DeepSpeed saves, from the folder of this run."""
        for name in names:
            path = self.file_backend.join_path(self.out_dir, osp.basename(name))
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)
            elif self.file_backend.isdir(path):
                self.file_backend.rmtree(path)

    def _save_best_checkpoint(self, runner, metrics: dict[str, float]) -> None:
        """Save a best checkpoint for each key whose score has improved.

        Raises:
            KeyError: If a metric that ``save_best`` names was not computed.
        """
        if not self.save_best:
            return
        if 'auto' in self.key_indicators:
            self._init_rule(self.rules, [next(iter(metrics))])
        hub = runner.message_hub
        unit, step = ('epoch', runner.epoch) if self.by_epoch else ('iter', runner.iter)
        for key, rule in zip(self.key_indicators, self.rules):
            if key not in metrics:
                raise KeyError(
                    f'save_best={key!r} is not a metric of this evaluation, which has: {", ".join(metrics)}'
                )
            suffix = '' if len(self.key_indicators) == 1 else f'_{key}'
            best = hub.get_info(f'best_score{suffix}', self.init_value_map[rule])
            if metrics[key] is None or not self.is_better_than[key](metrics[key], best):
                continue
            name = f'best_{key}_{self.filename_tmpl.format(step)}'.replace('/', '_')
            old = self._set_best_file(key, self.file_backend.join_path(self.out_dir, name))
            hub.update_info(f'best_score{suffix}', metrics[key])
            hub.update_info(f'best_ckpt{suffix}', self.file_backend.join_path(self.out_dir, name))
            runner.save_checkpoint(
                self.out_dir,
                name,
                self.file_client_args,
                save_optimizer=False,
                save_param_scheduler=False,
                meta=dict(epoch=runner.epoch, iter=runner.iter),
                by_epoch=False,
                backend_args=self.backend_args,
            )
            runner.logger.info(
                f'The best checkpoint with {metrics[key]:0.4f} {key} at {step} {unit} is saved to {name}.'
            )
            if old and osp.basename(old) != name:
                self._replaced.append(osp.basename(old))

    def _best_files(self) -> Iterator[str | None]:
        """Yield the path of the best checkpoint of each key, None if there is none yet."""
        if self.save_best and len(self.key_indicators) == 1:
            yield self.best_ckpt_path
        elif self.save_best:
            yield from map(self.best_ckpt_path_dict.get, self.key_indicators)

    def _set_best_file(self, key: str, path: str | None) -> str | None:
        """Set the best checkpoint of a key, and return the previous one."""
        old = dict(zip(self.key_indicators, self._best_files()))[key]
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = path
        else:
            self.best_ckpt_path_dict[key] = path
        return old
