"""A fork whose parent left garbage that cannot be collected in it, in a process of its own."""

import subprocess
import sys
from threading import Event, Thread, current_thread
from types import SimpleNamespace

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


def test_two_threads_leave_the_collection_on(monkeypatch):
    on, looked = [True], Event()

    def isenabled():
        found = on[0]
        if current_thread() is second:  # the first thread ends before this one goes on
            looked.set()
            first.join(10)
        return found

    def fork():
        if current_thread() is first:
            second.start()
            looked.wait(0.2)  # in vain if the second thread waits for its turn
        return 1

    fake = SimpleNamespace(
        isenabled=isenabled, disable=lambda: on.__setitem__(0, False), enable=lambda: on.__setitem__(0, True)
    )
    monkeypatch.setattr(forking, 'gc', fake)
    monkeypatch.setattr(forking, 'os', SimpleNamespace(fork=fork))
    first, second = (Thread(target=forking.fork_without_garbage, daemon=True) for _ in range(2))
    first.start()
    first.join(10)
    second.join(10)
    assert on == [True]


WAITING = """
import os, runpy
fork_without_garbage = runpy.run_path({path!r})['fork_without_garbage']
fork_without_garbage.__globals__['_TURN'].acquire()  # as another thread, when a data worker starts
pid = os.fork()
if pid == 0:
    pid = fork_without_garbage()
    os._exit(pid and os.waitpid(pid, 0)[1])
print(os.waitpid(pid, 0)[1])
"""


def test_a_fork_does_not_wait_for_a_thread_that_it_lacks():
    command = [sys.executable, '-c', WAITING.format(path=forking.__file__)]
    assert subprocess.run(command, capture_output=True, text=True, timeout=60).stdout == '0\n'
