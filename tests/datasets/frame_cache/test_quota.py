import multiprocessing
import os
import signal

import pytest

from mmclip4clip.datasets.frame_cache import quota as module
from mmclip4clip.datasets.frame_cache.quota import COUNT, PARTIAL, DiskQuota


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'ab').mkdir()
    return tmp_path


def write(quota, name, size, replaced=0) -> bool:
    """Write a file of some blocks as a store would."""
    partial = quota.folder / 'ab' / f'{name}{PARTIAL}'
    descriptor = quota.create(partial, int(4096 * size), 4096 * replaced)
    if descriptor is not None:
        os.replace(partial, quota.folder / 'ab' / name)
        os.close(descriptor)
    return descriptor is not None


def size_of(folder) -> int:
    return sum(path.stat().st_size for path in folder.glob('*/*'))


def test_files_are_counted_in_blocks_over_all_writers(folder):
    assert write(DiskQuota(folder, 10 * 4096), 'a', 4) and write(DiskQuota(folder, 10 * 4096), 'b', 5.5)
    assert not write(DiskQuota(folder, 10 * 4096), 'c', 0.1)
    assert write(DiskQuota(folder, 11 * 4096), 'c', 0.1)


def test_a_file_that_is_replaced_does_not_count_twice(folder):
    quota = DiskQuota(folder, 10 * 4096)
    for _ in range(3):
        assert write(quota, 'a', 9, replaced=9 if (folder / 'ab/a').exists() else 0)
    assert not write(quota, 'b', 2)


@pytest.mark.parametrize('content', [b'', b'garbage', b'%020d %010d\n' % (4096, 7), b'\xff' * 32])
def test_a_damaged_count_is_made_anew(folder, content):
    quota = DiskQuota(folder, 10 * 4096)
    assert write(quota, 'a', 6)
    (folder / COUNT).write_bytes(content)
    assert not write(quota, 'b', 5) and write(quota, 'b', 4)


def test_what_was_deleted_is_free_again(folder):
    quota = DiskQuota(folder, 10 * 4096)
    assert write(quota, 'a', 6) and not write(quota, 'b', 5)
    (folder / 'ab/a').unlink()
    assert write(quota, 'b', 5)


def fill(folder, name, out):
    quota = DiskQuota(folder, 50 * 4096)
    out.put(sum(write(quota, f'{name}-{i}', 1) for i in range(40)))


def test_many_processes_together_keep_the_limit_exactly(folder):
    context = multiprocessing.get_context('fork')
    out = context.Queue()
    processes = [context.Process(target=fill, args=(folder, i, out)) for i in range(4)]
    for process in processes:
        process.start()
    written = sum(out.get(timeout=30) for _ in processes)
    for process in processes:
        process.join()
    assert written == 50 and size_of(folder) == 50 * 4096


def begin(folder, out):
    quota = DiskQuota(folder, 10 * 4096)
    quota.create(folder / 'ab' / f'half{PARTIAL}', 6 * 4096)
    out.put('begun')
    signal.pause()


def test_a_file_in_the_making_counts_until_its_process_is_killed(folder):
    context = multiprocessing.get_context('fork')
    out = context.Queue()
    process = context.Process(target=begin, args=(folder, out))
    process.start()
    assert out.get(timeout=30) == 'begun'
    quota = DiskQuota(folder, 10 * 4096)
    assert not write(quota, 'a', 5)
    assert len(list(folder.glob(f'ab/*{PARTIAL}'))) == 1
    process.kill()
    process.join()
    assert write(quota, 'a', 5) and [path.name for path in folder.glob('ab/*')] == ['a']


def test_without_locks_it_counts_all_the_same(folder, monkeypatch):
    def no_locks(*args):
        raise OSError(38, 'Function not implemented')

    monkeypatch.setattr(module.fcntl, 'flock', no_locks)
    quota = DiskQuota(folder, 10 * 4096)
    (folder / f'ab/other{PARTIAL}').write_bytes(bytes(4096))  # it may be in the making
    assert write(quota, 'a', 6) and not write(quota, 'b', 5)
    assert (folder / f'ab/other{PARTIAL}').exists()


def test_a_count_that_is_never_unlocked_is_not_waited_for_for_ever(folder):
    with open(folder / COUNT, 'w') as file:
        module.fcntl.flock(file, module.fcntl.LOCK_EX)
        with pytest.raises(TimeoutError, match='another process has locked it for 0.01 s'):
            module._lock(os.open(folder / COUNT, os.O_RDWR), wait=True, seconds=0.01)
