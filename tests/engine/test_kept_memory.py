"""Page faults, counted by the system, of memory that is freed and taken again."""

import os
import platform
import subprocess
import sys

import pytest

from mmclip4clip.engine import kept_memory

CODE = """
import os
import resource
import runpy

def in_fork():
    if os.fork():
        os.wait()
        os._exit(0)
    return True

keep_freed_memory = runpy.run_path({path!r})['keep_freed_memory']
kept = {call}
faults = []
for _ in range(5):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytearray(256 << 20)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(kept, min(faults[1:]), max(faults[1:]))
"""
pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='only glibc has these settings')


def run(call, **env):
    env = {key: value for key, value in os.environ.items() if not key.startswith(('MALLOC_', 'GLIBC_'))} | env
    code = CODE.format(call=call, path=kept_memory.__file__)
    done = subprocess.run([sys.executable, '-c', code], env=env, capture_output=True, text=True, check=True)
    kept, least, most = done.stdout.split()
    return kept == 'True', int(least), int(most)


def test_memory_is_taken_from_the_system_once():
    kept, _, most = run('keep_freed_memory()')
    assert kept and most < 32
    kept, least, _ = run('False')
    assert not kept and least > 100  # 65,536 pages of 4 KiB, or 128 of 2 MiB


def test_forks_return_memory_again():
    kept, least, _ = run('keep_freed_memory() and keep_freed_memory() and in_fork()')
    assert kept and least > 100


def test_settings_of_the_user_stay():
    assert run('keep_freed_memory()', MALLOC_TRIM_THRESHOLD_='1000000')[0] is False
    assert run('keep_freed_memory()', GLIBC_TUNABLES='glibc.malloc.trim_threshold=1000000')[0] is False
