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
from ..resume.missing_evaluation import EVALUATED, RUN_ID
from ..resume.run_check import KEY
from .ordered_checkpoint_hook import INTERIM, OBSOLETE, OrderedCheckpointHook


@HOOKS.register_module()
class SafeCheckpointHook(OrderedCheckpointHook):
    """Save checkpoints from which a run that is killed at any time resumes exactly.

    The hook has all features and arguments of mmengine's hook, with these additions:

    - A file is removed only after its replacement is complete. A run that resumes in another folder copies
      its best checkpoint, because the first folder belongs to the first run.
    - A checkpoint is saved again after its evaluation, with a note that it was evaluated. A run that resumes
      from a checkpoint without this note is evaluated first.
    - ``resume=True`` without a checkpoint uses the newest intact one, see :func:`find_checkpoint`.
    - A checkpoint that does not match this training is rejected, see :func:`check_resumable`.

    Args:
        **kwargs: Arguments of :class:`mmengine.hooks.CheckpointHook`.

    Examples:
        >>> default_hooks = dict(checkpoint=dict(type='SafeCheckpointHook', interval=1, max_keep_ckpts=3))
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._run: dict | None = None  # settings of the training; None if this run does not train
        self._resumed: str | None = None  # the checkpoint that the run resumes

    def before_run(self, runner) -> None:
        """Store the settings of the training, and find the checkpoint to resume if none is given."""
        if not isinstance(runner._train_loop, BaseLoop):
            return
        self._run = describe_run(runner)
        if runner._resume and not runner._load_from:
            runner._load_from = find_checkpoint(runner.work_dir, self.out_dir, self.filename_tmpl)
            runner._resume = runner._load_from is not None

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Reject a checkpoint that the training cannot resume.

        Raises:
            RuntimeError: If settings differ. The message names them and says what to do.
        """
        if self._run and runner._resume and self._resumed is None:
            self._resumed = str(runner._load_from)
            join_schedules(runner.param_schedulers, checkpoint, self._resumed)
            check_resumable(runner, checkpoint, self._run, self._resumed)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Add the settings of the training, and reduce paths to file names."""
        if self._run:
            run = dict(self._run, id=runner.message_hub.get_info(RUN_ID))
            checkpoint['meta'].setdefault(KEY, {})['run'] = run
        known = checkpoint['message_hub']['runtime_info']
        for key in known:
            if key.startswith(('best_ckpt', 'last_ckpt')) and known[key]:
                known[key] = osp.basename(known[key])

    def before_train(self, runner) -> None:
        """Prepare the folder, and run an evaluation that was interrupted."""
        hub, folder = runner.message_hub, checkpoint_folder(runner.work_dir, self.out_dir)
        same_folder = self._resumed is None or osp.realpath(osp.dirname(self._resumed)) == osp.realpath(
            folder
        )
        if self._resumed is None or RUN_ID not in hub.runtime_info:
            drawn = [uuid.uuid4().hex]
            broadcast_object_list(drawn)
            hub.update_info(RUN_ID, drawn[0])
        if not same_folder:  # the files in this folder belong to another run
            hub.update_info('keep_ckpt_ids', [])
            for key in (OBSOLETE, INTERIM, 'last_ckpt'):
                hub.pop_info(key, None)
        for key in [key for key in hub.runtime_info if key.startswith('best_ckpt') and hub.get_info(key)]:
            hub.update_info(key, osp.join(folder, osp.basename(hub.get_info(key))))
        super().before_train(runner)
        if is_main_process() and '://' not in str(self.out_dir):
            folders = {osp.realpath(folder) for folder in (self.out_dir, runner.work_dir)}
            # A concurrent test may be writing its metrics, which the next evaluation replaces.
            for path in [path for folder in folders for path in remove_unfinished(folder, keep=[METRICS])]:
                runner.logger.info(f'{path} was left by an interrupted save; it is removed')
        if self._resumed is not None:
            self._adopt_files(runner, self._resumed, same_folder)
            self._run_missing_evaluation(runner, self._resumed)
        if self._resumed is None or EVALUATED not in hub.runtime_info:
            hub.update_info(EVALUATED, 0)

    def after_val_epoch(self, runner, metrics: dict[str, float] | None = None) -> None:
        """Save best checkpoints, then save the evaluated checkpoint again, marked as evaluated."""
        if not self._run:
            return
        runner.message_hub.update_info(EVALUATED, runner.iter)
        before = list(self._best_files())
        super().after_val_epoch(runner, metrics)
        step = runner.epoch if self.by_epoch else runner.iter
        if self._last_step == step or (self.last_ckpt is not None and list(self._best_files()) != before):
            self._save_checkpoint_with_step(runner, step, dict(epoch=runner.epoch, iter=runner.iter))
        self._remove(runner, self._replaced)  # if the run has not saved a resumable checkpoint yet
        self._replaced = []

    def _adopt_files(self, runner, resumed: str, same_folder: bool) -> None:
        """Take over the files of the resumed run."""
        hub, name = runner.message_hub, osp.basename(resumed)
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
                else bring_best_checkpoint(Path(path), resumed, hub.get_info(RUN_ID))
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

    def _run_missing_evaluation(self, runner, resumed: str) -> None:
        """Run the evaluation that the resumed run had not finished."""
        hooks = [hook for hook in runner.hooks if isinstance(hook, SafeCheckpointHook)]
        if self is hooks[-1] and evaluation_is_missing(runner, resumed):
            runner.logger.info(
                f'the evaluation of {resumed}, after {runner.epoch} epochs and '
                f'{runner.iter} iterations, was not finished: it runs first'
            )
            runner.val_loop.run()
        if runner.iter >= runner.max_iters:
            print_log(
                f'no steps remain: {resumed} has finished all {runner.max_iters} '
                f'iterations. To train further, start a new training with load_from={self._resumed}',
                logger='current',
                level=logging.WARNING,
            )
