import contextlib
import errno
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from mmclip4clip import file_lock
from mmclip4clip.file_lock import WorkDirInUseError, lock_work_dir, locked, release_work_dir

# Holds a lock as a training would: with a data worker, which outlives it for a while.
HOLDER = """
import fcntl, json, os, sys, time
file = open(sys.argv[1], 'a+')
fcntl.lockf(file, fcntl.LOCK_EX)
file.write(json.dumps(dict(pid=os.getpid(), host='there', started='2026-01-02 03:04:05')))
file.flush()
worker = os.fork()
if worker:
    print(worker, flush=True)
time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Run another process that has the work dir; return it."""
    process = subprocess.Popen(
        [sys.executable, '-c', HOLDER, str(tmp_path / 'training.lock')], stdout=subprocess.PIPE, text=True
    )
    worker = int(process.stdout.readline())
    yield process
    process.kill()
    process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.kill(worker, signal.SIGKILL)


@pytest.fixture(autouse=True)
def released(tmp_path):
    yield
    release_work_dir(tmp_path)


def test_a_work_dir_of_a_running_training_is_refused_by_name(tmp_path, holder):
    with pytest.raises(
        WorkDirInUseError,
        match=re.escape(
            f'another training runs in the work dir {tmp_path}: {{"pid": {holder.pid}, "host": "there", '
            '"started": "2026-01-02 03:04:05"}. Wait until it ends'
        ),
    ):
        lock_work_dir(tmp_path)


def test_a_training_that_is_killed_leaves_no_lock_though_its_workers_live(tmp_path, holder):
    holder.kill()
    holder.wait()
    lock_work_dir(tmp_path)
    owner = json.loads((tmp_path / 'training.lock').read_text())
    assert owner['pid'] == os.getpid() and owner['host'] == socket.gethostname()


def attempt(folder):
    """Try to lock a file from another process."""
    code = (
        "import fcntl, sys\ntry:\n    fcntl.lockf(open(sys.argv[1], 'a'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
        '\nexcept OSError:\n    sys.exit(7)'
    )
    return subprocess.run([sys.executable, '-c', code, str(folder / 'training.lock')]).returncode


def test_the_lock_lasts_until_it_is_given_back(tmp_path):
    lock_work_dir(tmp_path)
    lock_work_dir(str(tmp_path / '..' / tmp_path.name))  # the same one: it is held already
    assert attempt(tmp_path) == 7
    release_work_dir(tmp_path)
    assert attempt(tmp_path) == 0
    release_work_dir(tmp_path)


def test_a_file_system_without_locks_gives_a_warning(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr(file_lock, 'print_log', lambda text, *_, **__: lines.append(text))

    def no_locks(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, 'lockf', no_locks)
    lock_work_dir(tmp_path)
    with locked(tmp_path / '.lock'):
        pass
    assert 'training.lock cannot be locked: [Errno 37]' in lines[0] and '.lock is not locked' in lines[1]


def test_a_lock_of_a_moment_waits_for_the_other_process(tmp_path):
    code = (
        "import fcntl, sys, time\nfile = open(sys.argv[1], 'a')\nfcntl.lockf(file, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\nsys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, '-c', code, str(tmp_path / '.lock')],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()
    start = time.monotonic()
    with locked(tmp_path / '.lock', seconds=0.2):  # it goes on, but not before
        assert time.monotonic() - start > 0.2
    process.communicate('')
    with locked(tmp_path / '.lock', seconds=0):
        pass


def test_a_lock_file_that_cannot_be_opened_is_said(tmp_path, monkeypatch):
    def refused(self, mode):
        raise PermissionError(errno.EACCES, 'permission denied', str(self))

    messages = []
    monkeypatch.setattr('pathlib.Path.open', refused)
    monkeypatch.setattr(file_lock, 'print_log', lambda message, **_: messages.append(message))
    file_lock.take_lock(tmp_path / 'a.lock')
    assert not file_lock.has_lock(tmp_path / 'a.lock')
    assert len(messages) == 1 and 'a.lock cannot be locked' in messages[0]
