from types import SimpleNamespace

import pytest
from mmengine.runner.base_loop import BaseLoop

from mmclip4clip.engine import WorkDirLockHook
from mmclip4clip.file_lock import WorkDirInUseError

from ...test_file_lock import attempt, holder  # noqa: F401  a fixture


class Loop(BaseLoop):
    def __init__(self):
        pass

    def run(self):
        pass


def runner(folder, loop):
    return SimpleNamespace(work_dir=str(folder), _train_loop=loop)


def test_a_training_has_the_work_dir_from_its_beginning_to_its_end(tmp_path):
    hook, training = WorkDirLockHook(), runner(tmp_path, Loop())
    hook.before_run(training)
    assert attempt(tmp_path) == 7
    hook.after_run(training)
    assert attempt(tmp_path) == 0


def test_a_second_training_is_refused_and_a_test_is_not(tmp_path, holder):  # noqa: F811
    with pytest.raises(WorkDirInUseError, match=f'"pid": {holder.pid}'):
        WorkDirLockHook().before_run(runner(tmp_path, Loop()))
    for loop in (None, dict(type='ResumableTrainLoop')):
        test = runner(tmp_path, loop)
        WorkDirLockHook().before_run(test)
        WorkDirLockHook().after_run(test)
