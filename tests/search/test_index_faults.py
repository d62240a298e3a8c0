"""An index whose updates are interrupted, and whose files change, vanish or cannot be read."""

import os
import shutil

import numpy as np
import pytest

from mmclip4clip.search.changes import find_changes
from mmclip4clip.search.index import VideoIndex
from mmclip4clip.search.stores import StoreError

from .fakes import FakeModel


def interrupted(index, folder, place, name):
    """Update, and end when a function is called."""

    def die(*_):
        raise KeyboardInterrupt

    before = getattr(place, name)
    setattr(place, name, die)
    with pytest.raises(KeyboardInterrupt):
        index.update([folder])
    setattr(place, name, before)


def test_a_file_that_moves_after_an_interruption_has_no_vectors_of_its_former_content(index, videos):
    index.update([videos])
    (videos / 'a.mp4').write_text('15 fish bird')
    interrupted(index, videos, index.store, 'add')
    (videos / 'a.mp4').rename(videos / 'moved.mp4')
    index.update([videos])
    best = index.search('fish')[0]
    assert best.filename == str(videos / 'moved.mp4') and best.score == pytest.approx(1)
    assert index.search('dog')[0].score < 0.99


def test_files_that_come_back_after_an_interrupted_removal_are_found(index, videos):
    index.update([videos])
    shutil.move(videos / 'new', videos.parent / 'unmounted')  # keeps size, times and inodes
    interrupted(index, videos, index.catalog, 'remove')
    shutil.move(videos.parent / 'unmounted', videos / 'new')
    index.update([videos])
    assert index.search('tree')[0].score == pytest.approx(1)


def test_a_copy_that_goes_after_an_interruption_is_no_answer(index, videos):
    index.update([videos])
    shutil.copy(videos / 'a.mp4', videos / 'copy.mp4')
    real, calls = index.catalog.put, []

    def put(files):
        calls.append(files)
        if index.store.get([str(videos / 'copy.mp4')]):
            raise KeyboardInterrupt
        real(files)

    index.catalog.put = put
    with pytest.raises(KeyboardInterrupt):
        index.update([videos])
    index.catalog.put = real
    (videos / 'copy.mp4').unlink()
    index.update([videos])
    assert str(videos / 'copy.mp4') not in {answer.filename for answer in index.search('dog')}


@pytest.mark.parametrize('then', ['vanishes', 'changes'])
def test_a_copy_that_vanishes_or_changes_during_the_update_ends_nothing(index, videos, then, monkeypatch):
    index.update([videos])
    shutil.copy(videos / 'a.mp4', videos / 'copy.mp4')
    (videos / 'd.mp4').write_text('5 car')

    def find_and_change(*arguments):
        changes = find_changes(*arguments)
        (videos / 'copy.mp4').unlink() if then == 'vanishes' else (videos / 'copy.mp4').write_text('9 fish')
        return changes

    monkeypatch.setattr('mmclip4clip.search.index_update.find_changes', find_and_change)
    assert str(videos / 'd.mp4') in index.update([videos]).added
    monkeypatch.undo()
    index._store = index.store
    report = index.update([videos])
    if then == 'vanishes':
        assert report.removed == [str(videos / 'copy.mp4')]
    else:
        assert report.changed == [str(videos / 'copy.mp4')]
        assert index.search('fish')[0].score == pytest.approx(1)


def test_whole_numbers_of_numpy_are_numbers_of_answers(index, videos):
    index.update([videos])
    assert index.search('dog', top=np.int64(2)) == index.search('dog', top=2)


def test_a_pipe_is_listed_and_not_opened(index, videos):
    os.mkfifo(videos / 'pipe.mp4')
    report = index.update([videos])
    assert report.unreadable[str(videos / 'pipe.mp4')] == 'it is no regular file' and len(report.added) == 3


def test_a_file_that_the_file_system_does_not_tell_of_is_kept(index, videos, monkeypatch):
    index.update([videos])
    stat = os.stat

    def fail(path, *arguments, **options):
        if str(path).endswith('a.mp4'):
            raise OSError(5, 'Input/output error')
        return stat(path, *arguments, **options)

    monkeypatch.setattr(os, 'stat', fail)
    report = index.update([videos])
    monkeypatch.undo()
    assert report.removed == []
    assert report.unreadable[str(videos / 'a.mp4')] == 'it cannot be read: Input/output error'


def test_one_folder_may_be_given_alone_and_the_root_removes_all(index, videos):
    assert len(index.update(str(videos)).added) == 3
    assert len(index.remove('/')) == 4


def test_an_interrupted_or_failed_creation_can_be_repeated(tmp_path):
    folder = tmp_path / 'index'
    with pytest.raises(ValueError, match='no store for'):
        VideoIndex.create(folder, FakeModel(), store='redis://localhost')
    with pytest.raises(FileNotFoundError, match='no index at'):
        VideoIndex.open(folder)
    for name in ('catalog.sqlite-journal', 'segments.sqlite', 'index.json.unfinished'):
        (folder / name).touch()
    assert len(VideoIndex.create(folder, FakeModel())) == 0


def test_an_index_without_its_segments_is_an_error(tmp_path, videos):
    index = VideoIndex.create(tmp_path / 'index', FakeModel())
    index.update([videos])
    index.close()
    (tmp_path / 'index/segments.sqlite').unlink()
    index = VideoIndex.open(tmp_path / 'index', FakeModel())
    for use in (lambda: index.search('dog'), lambda: index.update([videos])):
        with pytest.raises(StoreError, match='has lost its segments, of .*a.mp4 at least'):
            use()
