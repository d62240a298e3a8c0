"""A fork whose parent left garbage that cannot be collected in it, in a process of its own."""

import subprocess
import sys

import pytest

from mmclip4clip.datasets.video_readers import forking

CODE = """
import gc, os, runpy
fork_without_garbage = runpy.run_path({path!r})['fork_without_garbage']
class Reader:  # of another thread's files
    def __init__(self):
        self.itself, self.pid = self, os.getpid()
    def __del__(self):
        if os.getpid() != self.pid:
            os._exit(3)
os.register_at_fork(after_in_child=lambda: [[] for _ in range(100000)])  # as libraries do
gc.disable()
Reader()
gc.enable()
pid = {fork}()
if pid == 0:
    [[] for _ in range(100000)]
    os._exit(0 if gc.isenabled() else 4)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), gc.isenabled(), gc.get_freeze_count())
"""


@pytest.mark.parametrize('fork, status', [('fork_without_garbage', 0), ('os.fork', 3)])
def test_a_fork_collects_nothing_of_its_parent(fork, status):
    command = [sys.executable, '-c', CODE.format(path=forking.__file__, fork=fork)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == [str(status), 'True', '0']
