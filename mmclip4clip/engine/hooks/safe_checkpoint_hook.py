import logging
import os.path as osp
import uuid
from pathlib import Path

from mmaction.registry import HOOKS
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.logging import print_log
from mmengine.runner.base_loop import BaseLoop

from ...atomic_file import remove_unfinished
from ..metrics_file import METRICS
from ..resume import (
    bring_best_checkpoint,
    check_resumable,
    checkpoint_folder,
    describe_run,
    evaluation_is_missing,
    find_checkpoint,
    join_schedules,
)
from ..resume.evaluations import EVALUATED, RUN_ID
from ..resume.run_check import KEY
from .ordered_checkpoint_hook import INTERIM, OBSOLETE, OrderedCheckpointHook


@HOOKS.register_module()
class SafeCheckpointHook(OrderedCheckpointHook):
    """Save checkpoints so that a run that is killed at any moment goes on as if it had not been.

    What mmengine's hook does, with all its arguments, and:

    - A file is removed only when what replaces it is whole. A best checkpoint of before belongs to the run
      whose folder it is in: one that is resumed in another folder gets a copy.
    - A checkpoint is saved once more after the evaluation that follows it, and so says that it was evaluated.
      A run that goes on from one that was not is evaluated first.
    - ``resume=True`` without a checkpoint takes the newest one that is whole, see :func:`find_checkpoint`.
    - A checkpoint that this training cannot go on from is refused, see :func:`check_resumable`.

    Args:
        **kwargs: As for :class:`mmengine.hooks.CheckpointHook`.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._run: dict | None = None  # how the training is set up, None without one
        self._resumed: str | None = None  # the checkpoint that it goes on from

    def before_run(self, runner) -> None:
        """Note how the training is set up, and look for the checkpoint to resume if none is named."""
        if not isinstance(runner._train_loop, BaseLoop):
            return
        self._run = describe_run(runner)
        if runner._resume and not runner._load_from:
            runner._load_from = find_checkpoint(runner.work_dir, self.out_dir, self.filename_tmpl)
            runner._resume = runner._load_from is not None

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Refuse what a training cannot go on from.

        Raises:
            RuntimeError: Naming what differs, and what to do.
        """
        if self._run and runner._resume and self._resumed is None:
            self._resumed = str(runner._load_from)
            join_schedules(runner.param_schedulers, checkpoint, self._resumed)
            check_resumable(runner, checkpoint, self._run, self._resumed)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Add how the training is set up, and leave out where its folder is."""
        if self._run:
            run = dict(self._run, id=runner.message_hub.get_info(RUN_ID))
            checkpoint['meta'].setdefault(KEY, {})['run'] = run
        known = checkpoint['message_hub']['runtime_info']
        for key in known:
            if key.startswith(('best_ckpt', 'last_ckpt')) and known[key]:
                known[key] = osp.basename(known[key])

    def before_train(self, runner) -> None:
        """Prepare the folder, and make up for an evaluation that was lost."""
        hub, folder = runner.message_hub, checkpoint_folder(runner.work_dir, self.out_dir)
        same_folder = self._resumed is None or osp.realpath(osp.dirname(self._resumed)) == osp.realpath(
            folder
        )
        if self._resumed is None or RUN_ID not in hub.runtime_info:
            drawn = [uuid.uuid4().hex]
            broadcast_object_list(drawn)
            hub.update_info(RUN_ID, drawn[0])
        if not same_folder:  # what is in this folder is not of the run that goes on
            hub.update_info('keep_ckpt_ids', [])
            for key in (OBSOLETE, INTERIM, 'last_ckpt'):
                hub.pop_info(key, None)
        for key in [key for key in hub.runtime_info if key.startswith('best_ckpt') and hub.get_info(key)]:
            hub.update_info(key, osp.join(folder, osp.basename(hub.get_info(key))))
        super().before_train(runner)
        if is_main_process() and '://' not in str(self.out_dir):
            folders = {osp.realpath(folder) for folder in (self.out_dir, runner.work_dir)}
            # A test beside this training may be writing its figures, which the next evaluation replaces.
            for path in [path for folder in folders for path in remove_unfinished(folder, keep=[METRICS])]:
                runner.logger.info(f'{path} was left by a save that did not end; it is removed')
        if self._resumed is not None:
            self._adopt_files(runner, same_folder)
            self._run_missing_evaluation(runner)
        if self._resumed is None or EVALUATED not in hub.runtime_info:
            hub.update_info(EVALUATED, 0)

    def after_val_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """Save best checkpoints, then the one that was evaluated, which says so from now on."""
        if not self._run:
            return
        runner.message_hub.update_info(EVALUATED, runner.iter)
        before = list(self._best_files())
        super().after_val_epoch(runner, metrics)
        step = runner.epoch if self.by_epoch else runner.iter
        if self._last_step == step or (self.last_ckpt is not None and list(self._best_files()) != before):
            self._save_checkpoint_with_step(runner, step, dict(epoch=runner.epoch, iter=runner.iter))
        self._remove(runner, self._replaced)  # of a run that has saved nothing yet from which it could go on
        self._replaced = []

    def _adopt_files(self, runner, same_folder: bool) -> None:
        """Go on with the files of the run that is resumed."""
        hub, name = runner.message_hub, osp.basename(self._resumed)
        step = runner.epoch if self.by_epoch else runner.iter
        if same_folder and name == self.filename_tmpl.format(step):
            self._last_step = step
        last = hub.get_info('last_ckpt')
        if last:
            self.last_ckpt = self.file_backend.join_path(self.out_dir, osp.basename(last))
        self._remove(runner, hub.get_info(OBSOLETE) or [])
        for key, path in zip(getattr(self, 'key_indicators', []), list(self._best_files())):
            there = path and (
                self.file_backend.exists(path)
                if same_folder or '://' in str(self.out_dir)
                else bring_best_checkpoint(Path(path), self._resumed, hub.get_info(RUN_ID))
            )
            if path and not there:
                print_log(
                    f'the best checkpoint so far, {osp.basename(path)}, is missing; only a better '
                    'score gives a new one',
                    logger='current',
                    level=logging.WARNING,
                )
                self._set_best_file(key, None)
                hub.pop_info('best_ckpt' if len(self.key_indicators) == 1 else f'best_ckpt_{key}', None)

    def _run_missing_evaluation(self, runner) -> None:
        """Evaluate what a run had trained but not evaluated when it was stopped."""
        hooks = [hook for hook in runner.hooks if isinstance(hook, SafeCheckpointHook)]
        if self is hooks[-1] and evaluation_is_missing(runner, self._resumed):
            runner.logger.info(
                f'the evaluation of {self._resumed}, after {runner.epoch} epochs and '
                f'{runner.iter} iterations, did not end: it comes first'
            )
            runner.val_loop.run()
        if runner.iter >= runner.max_iters:
            print_log(
                f'nothing is left to train: {self._resumed} has done all {runner.max_iters} '
                f'iterations. To train on, begin a new training with load_from={self._resumed}',
                logger='current',
                level=logging.WARNING,
            )
