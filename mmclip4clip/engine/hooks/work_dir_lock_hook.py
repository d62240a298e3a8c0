from mmaction.registry import HOOKS
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.runner.base_loop import BaseLoop

from ...file_lock import WorkDirInUseError, lock_work_dir, release_work_dir


@HOOKS.register_module()
class WorkDirLockHook(Hook):
    """Keep a second training out of the work dir of one that runs: they would take each other's checkpoints.

    Tests may run there meanwhile. The main process has the lock, which ends with it, also when it is killed.
    ``tools/train.py`` takes it earlier, before anything is written.
    """

    priority = 'VERY_HIGH'

    def before_run(self, runner) -> None:
        """Take the work dir for a training.

        Raises:
            WorkDirInUseError: In all processes, if another training has it.
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
        """Give it back."""
        if is_main_process():
            release_work_dir(runner.work_dir)
