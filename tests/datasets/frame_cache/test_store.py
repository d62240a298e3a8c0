import errno
import multiprocessing
import os
import resource
import shutil
import time

import numpy as np
import pytest

from mmclip4clip.datasets.frame_cache import FrameStore
from mmclip4clip.datasets.frame_cache import store as module

KEYS = [f'{i:02x}' * 32 for i in range(256)]
FRAMES = np.arange(3 * 8 * 8 * 3, dtype=np.uint8).reshape(3, 8, 8, 3)


@pytest.fixture
def said():
    return []


@pytest.fixture
def store(tmp_path, said):
    return FrameStore(tmp_path / 'cache', 1, said.append)


def files(store) -> list:
    return sorted(path.relative_to(store.folder) for path in store.folder.glob('*/*'))


def test_what_is_written_can_be_read_by_another(store, said, tmp_path):
    assert store.read(KEYS[0]) is None
    store.write(KEYS[0], dict(a=1), FRAMES)
    info, frames = FrameStore(tmp_path / 'cache', 1, said.append).read(KEYS[0])
    assert info == dict(a=1) and np.array_equal(frames, FRAMES) and not said


def test_a_folder_is_made_with_the_permissions_that_others_need(store):
    old = os.umask(0o002)
    try:
        store.write(KEYS[0], {}, FRAMES)
    finally:
        os.umask(old)
    assert [path.stat().st_mode & 0o777 for path in store.folder.glob('*/*')] == [0o664]


@pytest.mark.parametrize('content', [b'', b'x' * 300])
def test_a_damaged_entry_is_missing_is_told_once_and_replaced(store, said, content):
    for key in KEYS[:3]:
        store.write(key, {}, FRAMES)
        (store.folder / key[:2] / key[2:]).write_bytes(content)
    for key in KEYS[:3]:
        assert store.read(key) is None
        store.write(key, {}, FRAMES)
        assert np.array_equal(store.read(key)[1], FRAMES)
    assert len(said) == 1


def test_an_entry_copied_to_another_name_is_not_taken(store, said):
    store.write(KEYS[0], {}, FRAMES)
    os.makedirs(store.folder / KEYS[1][:2])
    os.link(store.folder / KEYS[0][:2] / KEYS[0][2:], store.folder / KEYS[1][:2] / KEYS[1][2:])
    assert store.read(KEYS[1]) is None and 'written for another video' in said[0]


def test_an_entry_that_cannot_be_opened_is_missing(store, said, monkeypatch):
    def refuse(path, key):
        raise PermissionError(errno.EACCES, 'Permission denied', str(path))

    monkeypatch.setattr(module, 'read_entry', refuse)
    assert store.read(KEYS[0]) is None and 'Permission denied' in said[0]


@pytest.mark.parametrize('name', ['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EIO', 'EMFILE'])
@pytest.mark.parametrize('step', ['os.open', 'os.ftruncate', 'os.pwrite', 'os.replace', 'pathlib.Path.mkdir'])
def test_a_disk_that_takes_no_more_ends_the_writing_and_nothing_else(store, said, monkeypatch, name, step):
    store.write(KEYS[0], {}, FRAMES)
    count, error = [0], OSError(getattr(errno, name), os.strerror(getattr(errno, name)))

    def fail(*args, **kwargs):
        count[0] += 1
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(step, fail)
        store.write(KEYS[1], {}, FRAMES)
    store.write(KEYS[2], {}, FRAMES)
    assert len(said) == 1 and os.strerror(error.errno) in said[0] and 'only reads' in said[0]
    assert count == [1] and len(files(store)) == 1  # no rest of a file, no second try
    assert store.read(KEYS[1]) is None and np.array_equal(store.read(KEYS[0])[1], FRAMES)


def test_a_write_that_stops_half_way_leaves_nothing(tmp_path):
    """With the kernel's own limit for files, in a process of its own."""

    def write(out):
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        texts = []
        store = FrameStore(tmp_path / 'cache', 1, texts.append)
        store.write(KEYS[0], {}, np.zeros(99_000, np.uint8))
        store._quota.create = lambda path, size, old: os.open(path, os.O_CREAT | os.O_WRONLY)
        store.write(KEYS[1], {}, np.zeros(101_000, np.uint8))
        out.put((texts, [path.name for path in store.folder.glob('*/*')]))

    context = multiprocessing.get_context('fork')
    out = context.Queue()
    process = context.Process(target=write, args=(out,))
    process.start()
    texts, names = out.get(timeout=30)
    process.join()
    assert len(texts) == 1 and 'File too large' in texts[0] and names == [KEYS[0][2:]]


def test_a_folder_that_is_deleted_meanwhile_is_made_again(store, said):
    store.write(KEYS[0], {}, FRAMES)
    shutil.rmtree(store.folder)
    assert store.read(KEYS[0]) is None
    store.write(KEYS[0], {}, FRAMES)
    assert np.array_equal(store.read(KEYS[0])[1], FRAMES) and not said


def write_on(folder, seed):
    store, rng = FrameStore(folder, 1, lambda text: None), np.random.default_rng(seed)
    while True:
        number = int(rng.integers(40))
        store.write(KEYS[number], dict(number=number), np.full(300_000, number, np.uint8))
        store.read(KEYS[number])
        (folder / KEYS[number][:2] / KEYS[number][2:]).unlink(missing_ok=True)


@pytest.mark.parametrize('rounds', [3, pytest.param(50, marks=pytest.mark.long)])
def test_killed_writers_leave_whole_entries_or_none(store, said, rounds):
    context, rng = multiprocessing.get_context('fork'), np.random.default_rng(0)
    for round_ in range(rounds):
        writers = [context.Process(target=write_on, args=(store.folder, 2 * round_ + i)) for i in range(2)]
        for writer in writers:
            writer.start()
        time.sleep(0.03 + 0.03 * rng.random())
        for writer in writers:
            writer.kill()
            writer.join()
        for number in range(40):
            entry = store.read(KEYS[number])
            assert entry is None or (entry[0] == dict(number=number) and (entry[1] == number).all())
    assert not said
    FrameStore(store.folder, 1e-9, said.append).write(KEYS[99], {}, FRAMES)  # adds up what lies there
    assert 'has reached max_gib' in said[0] and not list(store.folder.glob('*/*.partial'))


def test_the_second_of_two_that_decode_a_video_at_once_writes_nothing(store, monkeypatch):
    store.write(KEYS[0], {}, FRAMES)
    monkeypatch.setattr(store._quota, 'create', lambda *args: pytest.fail('written again'))
    store.write(KEYS[0], {}, FRAMES)
