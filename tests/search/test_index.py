import os
import shutil

import numpy as np
import pytest

from mmclip4clip.datasets.video_readers.forking import fork_without_garbage
from mmclip4clip.search import Filter, FixedWindows, Term, WholeVideos
from mmclip4clip.search.answers import EVERYTHING
from mmclip4clip.search.index import VideoIndex
from mmclip4clip.search.index_settings import IndexMismatchError
from mmclip4clip.search.index_update import IndexInUseError, lock_index

from .fakes import FakeModel, MemoryStore


def reopened(index, model=None):
    found = VideoIndex.open(index.folder, model or FakeModel())
    found._store = index.store
    return found


def contents(index) -> dict:
    """Start of each segment in the store, by file and number."""
    return {(row.filename, row.number): row.start for row in index.store.rows.values()}


def test_an_update_indexes_the_whole_and_the_windows_of_each_video(index, videos):
    report = index.update([videos])
    assert report.added == [str(videos / name) for name in ('a.mp4', 'b.mp4', 'new/c.mp4')]
    assert report.unreadable == index.unreadable() == {str(videos / 'new/broken.mp4'): 'it is broken'}
    assert contents(index) == {
        (str(videos / 'a.mp4'), 0): 0.0,
        (str(videos / 'a.mp4'), 1): 0.0,
        (str(videos / 'a.mp4'), 2): 5.0,
        (str(videos / 'b.mp4'), 0): 0.0,
        (str(videos / 'b.mp4'), 1): 0.0,
        (str(videos / 'b.mp4'), 2): 5.0,
        (str(videos / 'new/c.mp4'), 0): 0.0,
    }
    assert len(index) == 4


def test_an_answer_is_the_best_moment_of_a_video(index, videos):
    index.update([videos])
    best = index.search('cat')[0]
    assert best.filename == str(videos / 'a.mp4') and (best.start, best.end, best.duration) == (5, 15, 15)
    assert best.score == pytest.approx(1)
    assert len(index.search('cat')) == 3  # each video once
    assert len(index.search('cat', all_moments=True)) == 5
    whole = index.search('dog cat', whole=True)[0]
    assert whole.filename == best.filename and whole.start is whole.end is None
    assert index.search('tree')[0].end == 8.0  # a short video is a moment


def test_top_counts_videos_also_if_one_video_has_the_best_moments(index, videos):
    for number in range(30):
        (videos / f'{number}.mp4').write_text(
            '300 ' + 'dog ' * 59 if number == 0 else f'15 word{number} x{number}'
        )
    index.update([videos])
    found = index.search('dog', top=20)
    assert len({answer.filename for answer in found}) == len(found) == 20
    assert index.search('dog', top=1)[0].score == pytest.approx(1)


def test_filters_limit_folder_and_duration(index, videos):
    index.update([videos])
    names = lambda where: {answer.filename for answer in index.search('dog', where=where)}  # noqa: E731
    assert names(Filter(folder=str(videos / 'new'))) == {str(videos / 'new/c.mp4')}
    assert names(Filter(min_duration=10)) == {str(videos / 'a.mp4'), str(videos / 'b.mp4')}
    assert names(Filter(max_duration=10)) == {str(videos / 'new/c.mp4')}


def test_a_second_update_encodes_new_and_changed_files_only(index, videos):
    index.update([videos])
    again = reopened(index)
    report = again.update([videos])
    assert report.unchanged == 4 and again.model.encoded == [] and not report.added
    assert list(report.unreadable) == [str(videos / 'new/broken.mp4')]  # it is listed again
    (videos / 'a.mp4').write_text('15 fish bird')
    (videos / 'd.mp4').write_text('5 car')
    report = again.update([videos])
    assert sorted(again.model.encoded) == [str(videos / 'a.mp4'), str(videos / 'd.mp4')]
    assert report.changed == [str(videos / 'a.mp4')] and report.added == [str(videos / 'd.mp4')]
    assert again.search('fish')[0].score == pytest.approx(1) and again.search('dog')[0].score < 0.99


def test_a_touched_file_is_compared_by_its_content(index, videos):
    index.update([videos])
    os.utime(videos / 'a.mp4', ns=(1, 1))
    again = reopened(index)
    assert again.update([videos]).unchanged == 4 and again.model.encoded == []


def test_another_content_with_the_old_size_and_time_is_noticed(index, videos):
    index.update([videos])
    before = os.stat(videos / 'a.mp4')
    (videos / 'a.mp4').write_text('15 cow cat')  # as many bytes
    os.utime(videos / 'a.mp4', ns=(before.st_atime_ns, before.st_mtime_ns))
    assert os.stat(videos / 'a.mp4').st_size == before.st_size
    assert index.update([videos]).changed == [str(videos / 'a.mp4')]
    assert index.search('cow')[0].score == pytest.approx(1)


def test_moved_and_copied_files_keep_their_vectors_without_being_encoded(index, videos):
    index.update([videos])
    again = reopened(index)
    (videos / 'a.mp4').rename(videos / 'new/moved.mp4')
    shutil.copy(videos / 'b.mp4', videos / 'copy.mp4')
    report = again.update([videos])
    assert again.model.encoded == []
    assert report.moved == [(str(videos / 'a.mp4'), str(videos / 'new/moved.mp4'))] and report.removed == []
    assert report.added == [str(videos / 'copy.mp4')]
    assert again.search('cat')[0].filename == str(videos / 'new/moved.mp4')
    sun = [answer.filename for answer in again.search('sun') if answer.score == pytest.approx(1)]
    assert sorted(sun) == [str(videos / 'b.mp4'), str(videos / 'copy.mp4')]
    assert not any(name == str(videos / 'a.mp4') for name, _ in contents(again))


def test_two_files_that_change_places_are_not_mixed_up(index, videos):
    index.update([videos])
    (videos / 'a.mp4').rename(videos / 'x')
    (videos / 'b.mp4').rename(videos / 'a.mp4')
    (videos / 'x').rename(videos / 'b.mp4')
    index.update([videos])
    assert index.search('cat')[0].filename == str(videos / 'b.mp4')
    assert index.search('moon')[0].filename == str(videos / 'a.mp4')


def test_a_removed_file_goes_and_files_of_other_folders_stay(index, videos):
    index.update([videos])
    (videos / 'a.mp4').unlink()
    (videos / 'new/c.mp4').unlink()
    report = index.update([videos / 'new'])
    assert report.removed == [str(videos / 'new/c.mp4')]
    assert {name for name, _ in contents(index)} == {str(videos / 'a.mp4'), str(videos / 'b.mp4')}
    assert index.update([videos]).removed == [str(videos / 'a.mp4')]


def test_an_empty_folder_removes_nothing_unless_asked(index, videos):
    index.update([videos])
    before = contents(index)
    shutil.rmtree(videos)
    with pytest.raises(FileNotFoundError, match='videos does not exist'):
        index.update([videos])
    videos.mkdir()
    with pytest.raises(ValueError, match='has no videos.*has 4 files of it: is a disk not mounted'):
        index.update([videos])
    assert contents(index) == before
    assert len(index.remove(videos)) == 4 and len(index) == len(index.store) == 0
    with pytest.raises(ValueError, match='has no videos, by their endings such as .mp4$'):
        index.update([videos])
    with pytest.raises(ValueError, match='the index has no files of'):
        index.remove(videos)


@pytest.mark.parametrize('stage', ['put', 'add', 'delete', 'remove', 'encode'])
@pytest.mark.parametrize('call', [1, 2, 3])
def test_an_update_that_ends_anywhere_is_completed_by_the_next_one(index, videos, stage, call, monkeypatch):
    """Ends before or after each change of the catalog and the store."""
    monkeypatch.setattr('mmclip4clip.search.index_update.BATCH_SEGMENTS', 1)
    (videos / 'gone.mp4').write_text('5 gone')
    (videos / 'old.mp4').write_text('5 old')
    index.update([videos])
    (videos / 'a.mp4').write_text('15 fish bird')
    (videos / 'd.mp4').write_text('5 car')
    (videos / 'gone.mp4').unlink()
    (videos / 'old.mp4').rename(videos / 'moved.mp4')
    killed = reopened(index)
    count = [0]

    def dies(function, when):
        def wrapped(*arguments):
            count[0] += 1
            if count[0] == call and when == 'before':
                raise KeyboardInterrupt
            result = function(*arguments)
            if count[0] == call:
                raise KeyboardInterrupt
            return result

        return wrapped

    for when in ('before', 'after'):
        count[0] = 0
        place = dict(put=killed.catalog, remove=killed.catalog, encode=killed.model).get(stage, killed.store)
        name = 'before' if stage == 'encode' else stage
        monkeypatch.setattr(place, name, dies(getattr(place, name), when))
        try:
            killed.update([videos])
        except KeyboardInterrupt:
            pass
        else:
            assert count[0] < call
        monkeypatch.undo()
        killed.catalog.close()
        killed = reopened(index)
    (videos / 'd.mp4').unlink()  # what was added in the middle may be gone by the next update
    killed.update([videos])
    fresh = {str(videos / name) for name in ('a.mp4', 'b.mp4', 'moved.mp4', 'new/c.mp4')}
    assert {name for name, _ in contents(killed)} == fresh
    assert killed.search('fish')[0].score == pytest.approx(1)
    assert killed.search('old')[0].filename == str(videos / 'moved.mp4')
    assert killed.update([videos]).unchanged == 5


def test_a_file_that_changes_while_it_is_encoded_is_encoded_again(index, videos):
    index.model.before = lambda path: path.endswith('a.mp4') and os.utime(path, ns=(5, 5))
    index.update([videos])
    index.model.before = lambda path: None
    index.model.encoded.clear()
    index.update([videos])
    assert index.model.encoded == [str(videos / 'a.mp4')]


def test_another_model_is_refused_by_name(index, videos):
    with pytest.raises(IndexMismatchError, match="made by fake.pth.*weights: 'ab' -> 'cd'"):
        VideoIndex.open(index.folder, FakeModel('cd'))
    unused = VideoIndex.open(index.folder)
    with pytest.raises(RuntimeError, match='needs its model, fake.pth'):
        unused.search('dog')


def test_the_settings_are_kept(index):
    assert reopened(index).segments == FixedWindows(10, 5)
    other = VideoIndex.create(index.folder.parent / 'other', FakeModel(), WholeVideos())
    assert VideoIndex.open(other.folder).segments == WholeVideos()


def test_what_is_no_index_is_refused(tmp_path, index):
    with pytest.raises(FileNotFoundError, match='no index at .*does not exist.*mmclip4clip index FOLDER'):
        VideoIndex.open(tmp_path / 'none')
    (tmp_path / 'full').mkdir()
    (tmp_path / 'full/a.txt').write_text('a')
    with pytest.raises(FileExistsError, match='full exists and is not an empty folder'):
        VideoIndex.create(tmp_path / 'full', FakeModel())
    with pytest.raises(FileExistsError, match='exists and is not an empty folder'):
        VideoIndex.create(index.folder, FakeModel())
    with pytest.raises(FileNotFoundError, match='the folder has no index.json'):
        VideoIndex.open(tmp_path / 'full')
    for damaged in ('{', '{"format": 9}', '[]', '{"format": 1}'):
        (index.folder / 'index.json').write_text(damaged)
        with pytest.raises(ValueError, match='index.json is no settings of an index, or damaged'):
            VideoIndex.open(index.folder)


def test_an_index_without_its_catalog_is_incomplete(index):
    (index.folder / 'catalog.sqlite').unlink()
    with pytest.raises(ValueError, match='incomplete: it has no catalog.sqlite'):
        VideoIndex.open(index.folder)
    (index.folder / 'catalog.sqlite').write_text('a text, and long enough to be taken for a header')
    with pytest.raises(ValueError, match='no catalog of an index, or it is damaged'):
        VideoIndex.open(index.folder)


def test_two_updates_at_once_are_refused(index, videos):
    def update_in_another_process() -> int:
        pid = fork_without_garbage()
        if pid == 0:
            try:
                with lock_index(index.folder):
                    os._exit(1)
            except IndexInUseError:
                os._exit(2)
            finally:  # an error must not let the fork go on with the tests
                os._exit(3)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert update_in_another_process() == 1
    with lock_index(index.folder):
        assert update_in_another_process() == 2
        with pytest.raises(IndexInUseError, match='being updated already: this process'):
            index.update([videos])
    index.update([videos])


@pytest.mark.parametrize('query', [5, ['dog'], None, [('text', 'dog')]])
def test_a_query_of_another_type_is_refused(index, query):
    with pytest.raises(TypeError, match='a query must be a string or a list of Term, got'):
        index.search(query)


@pytest.mark.parametrize('top', [0, -1, 1.5, True])
def test_a_wrong_number_of_answers_is_refused(index, top):
    with pytest.raises(ValueError, match='top must be a positive whole number'):
        index.search('dog', top=top)
    with pytest.raises(ValueError, match='shortlist must be a positive whole number'):
        index.search('dog', shortlist=top)


@pytest.fixture
def reranking(tmp_path, monkeypatch, videos):
    """Return an index with a head, its files by their vectors, and how many segments the head scored."""
    store = MemoryStore()
    monkeypatch.setattr('mmclip4clip.search.index.open_store', lambda *arguments: store)
    model = FakeModel()
    model.features = dict(part=dict(shape=[1], per_frame=False, dtype='float32'))
    index = VideoIndex.create(tmp_path / 'index', model, FixedWindows(10, 5))
    (videos / 'long.mp4').write_text('100 ' + ' '.join(f'word{number}' for number in range(19)))
    index.update([videos])
    query = model.encode_query([Term(1.0, 'text', 'cat')]).vector
    return index, [hit.row for hit in store.search(query, 99, False, EVERYTHING)]


def test_a_head_reranks_the_shortlist_that_vectors_find(reranking):
    index, listed = reranking
    lengths = []
    index.model.rerank = lambda query, features: (
        lengths.append(len(features)) or np.arange(len(features), 0, -1)
    )
    assert len(listed) > 10
    found = index.search('cat', top=1, shortlist=5)
    assert lengths == [5, 5]  # twice as long a shortlist has the same answer; none is scored twice
    assert (found[0].filename, found[0].start) == (listed[0].filename, listed[0].start)
    index.model.encode_query = lambda query: FakeModel().encode_query(query)  # a query that is not only text
    assert index.search('cat', top=1)[0].filename == listed[0].filename and lengths == [5, 5]


def test_a_shortlist_grows_until_its_answers_stay(reranking, monkeypatch):
    index, listed = reranking
    seen = []

    def rerank(query, features):
        """The fourth segment is better than those before it, the seventh than all."""
        places = range(len(seen), len(seen) + len(features))
        seen.extend(features)
        return np.array([{3: 50.0, 6: 100.0}.get(place, -place) for place in places])

    index.model.rerank = rerank
    found = index.search('cat', top=1, shortlist=2, all_moments=True)
    assert (found[0].filename, found[0].start, found[0].score) == (listed[6].filename, listed[6].start, 100.0)
    assert len(seen) == min(16, len(listed))  # 2, 4, 8 with another answer, 16 with the same
    seen.clear()
    monkeypatch.setattr('mmclip4clip.search.index.LONGEST', 2)
    assert index.search('cat', top=1, shortlist=2, all_moments=True)[0].score == 50.0
    assert len(seen) == 4


def test_many_answers_do_not_lengthen_the_longest_shortlist(reranking, monkeypatch):
    index, listed = reranking
    scored, random = [], np.random.default_rng(0)
    index.model.rerank = lambda query, features: scored.extend(features) or random.random(len(features))
    monkeypatch.setattr('mmclip4clip.search.index.LONGEST', 8)
    assert len(index.search('cat', top=5, shortlist=1, all_moments=True)) == 5
    assert len(scored) == 10 < len(listed)  # 5 and 10, not 40


def test_scores_are_those_of_the_vectors(index, videos):
    index.update([videos])
    query = index.model.encode_query([Term(1.0, 'text', 'dog')]).vector
    for answer in index.search('dog', all_moments=True):
        rows = [r for r in index.store.rows.values() if r.filename == answer.filename and r.moment]
        assert any(np.isclose(answer.score, row.vector @ query) for row in rows)
