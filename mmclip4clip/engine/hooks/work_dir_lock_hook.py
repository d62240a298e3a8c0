from mmaction.registry import HOOKS
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.runner.base_loop import BaseLoop

from ...file_lock import WorkDirInUseError, lock_work_dir, release_work_dir


@HOOKS.register_module()
class WorkDirLockHook(Hook):
    """Prevent two trainings in the same work dir, which would overwrite each other's checkpoints.

    Tests may run there at the same time. The main process holds the lock, which is released when the process
    ends, even if it is killed. ``tools/train.py`` acquires it earlier, before anything is written.

    Examples:
        >>> default_hooks = dict(work_dir_lock=dict(type='WorkDirLockHook'))
    """

    priority = 'VERY_HIGH'

    def before_run(self, runner) -> None:
        """Lock the work dir of a training.

        Raises:
            WorkDirInUseError: In all processes, if another training holds the lock.
        """
        if not isinstance(runner._train_loop, BaseLoop):
            return
        refused: list[str | None] = [None]
        if is_main_process():
            try:
                lock_work_dir(runner.work_dir)
            except WorkDirInUseError as error:
                refused = [str(error)]
        broadcast_object_list(refused)
        if refused[0]:
            raise WorkDirInUseError(refused[0])

    def after_run(self, runner) -> None:
        """Release the lock."""
        if is_main_process():
            release_work_dir(runner.work_dir)
