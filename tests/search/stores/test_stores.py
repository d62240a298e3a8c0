"""What every store does, on a file and on a real server."""

import os
import signal
import sqlite3
import time
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from mmclip4clip.datasets.video_readers.forking import fork_without_garbage
from mmclip4clip.search import Filter
from mmclip4clip.search.stores import SegmentRow, StoreError, open_store, sqlite_store

WIDTH = 16
NUMBERS = count()


def unit(rng: np.random.Generator, number: int) -> np.ndarray:
    vectors = rng.normal(size=(number, WIDTH)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def rows_of(rng: np.random.Generator, filename: str, parts: int, duration: float = 20.0) -> list[SegmentRow]:
    """The whole of a file and its parts."""
    vectors = unit(rng, parts + 1)
    whole = SegmentRow(filename, 0, 0.0, duration, duration, True, not parts, vectors[0], b'\0whole')
    moments = [
        SegmentRow(filename, n, n * 5.0, n * 5.0 + 10, duration, False, True, vectors[n], bytes([n, 0, 255]))
        for n in range(1, parts + 1)
    ]
    return [whole, *moments]


@pytest.fixture(params=['sqlite', 'postgresql'])
def store(request, tmp_path):
    url = None
    if request.param == 'postgresql':
        url = f'{request.getfixturevalue("server").url}#table_{next(NUMBERS)}'
    store = open_store(url, tmp_path, WIDTH)
    yield store
    store.close()


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def same(found: list[SegmentRow], expected: list[SegmentRow]) -> bool:
    return len(found) == len(expected) and all(
        a[:7] == b[:7] and a.features == b.features and np.array_equal(a.vector, b.vector)
        for a, b in zip(found, expected)
    )


def test_what_was_added_is_found_unchanged(store, rng):
    first, second = rows_of(rng, '/b/ü "1".mp4', 2, 1 / 3), rows_of(rng, "/a/'2'.mp4", 0)
    store.add([*first, *second])
    assert len(store) == 4
    assert same(store.get(['/b/ü "1".mp4', "/a/'2'.mp4", '/none']), [*second, *first])
    assert store.get([]) == []


def test_adding_a_file_again_replaces_all_its_segments(store, rng):
    store.add([*rows_of(rng, '/a', 5), *rows_of(rng, '/b', 1)])
    again = rows_of(rng, '/a', 2)
    store.add(again)
    assert same(store.get(['/a']), again) and len(store) == 5


def test_deleted_files_are_gone(store, rng):
    store.add([row for number in range(5) for row in rows_of(rng, f'/{number}', 1)])
    store.delete(['/1', '/3', '/none'])
    assert len(store) == 6 and store.get(['/1', '/3']) == []
    assert {hit.row.filename for hit in store.search(unit(rng, 1)[0], 10, False)} == {'/0', '/2', '/4'}
    store.delete([])


@pytest.mark.parametrize('whole', [True, False])
@pytest.mark.parametrize(
    'where',
    [
        Filter(),
        Filter('/v/1'),
        Filter(None, 12, 17),
        Filter('/v', 15, None),
        Filter('/v/1', None, 11),
        Filter('/x'),
    ],
)
def test_a_search_is_that_of_all_pairs(store, rng, whole, where):
    rows = [
        row
        for number in range(40)
        for row in rows_of(rng, f'/v/{number % 13}/{number}', number % 4, 10.0 + number % 9)
    ]
    store.add(rows)
    query = unit(rng, 1)[0]
    counted = [
        row
        for row in rows
        if (row.whole if whole else row.moment) and where.accepts(row.filename, row.duration)
    ]
    expected = sorted(counted, key=lambda row: -float(row.vector @ query))[:7]
    hits = store.search(query, 7, whole, where)
    assert same([hit.row for hit in hits], expected)
    np.testing.assert_allclose(
        [hit.score for hit in hits], [row.vector @ query for row in expected], atol=1e-6
    )


def test_names_with_the_same_beginning_are_another_folder(store, rng):
    store.add([*rows_of(rng, '/v/a', 0), *rows_of(rng, '/v2/a', 0), *rows_of(rng, '/v', 0)])
    hits = store.search(unit(rng, 1)[0], 10, True, Filter('/v'))
    assert [hit.row.filename for hit in hits] == ['/v/a']


def test_wrong_vectors_are_refused_and_nothing_is_added(store, rng):
    rows = rows_of(rng, '/a', 1)
    for wrong in (np.ones(WIDTH + 1, np.float32), np.full(WIDTH, np.nan, np.float32)):
        with pytest.raises(ValueError, match=f'/a: expected a vector of {WIDTH} finite numbers'):
            store.add([rows[0], rows[1]._replace(vector=wrong)])
    assert len(store) == 0


def test_an_error_within_an_addition_leaves_what_was_there(store, rng):
    store.add(rows_of(rng, '/a', 2))
    rows = rows_of(rng, '/a', 1)
    with pytest.raises(StoreError, match='the store .* cannot be used'):
        store.add([*rows, rows[1]])  # twice the same number
    assert len(store) == 3


def test_many_segments_are_searched_by_candidates_and_compared_exactly(store, rng, monkeypatch):
    """Candidates of a small index, with clusters as real vectors have them."""
    monkeypatch.setattr('mmclip4clip.search.stores.sqlite_store.EXACT', 500)
    monkeypatch.setattr('mmclip4clip.search.stores.postgresql_store.EXACT', 500)
    centers = unit(rng, 30)
    vectors = centers[rng.integers(0, 30, 3000)] + 0.4 * unit(rng, 3000)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [
        SegmentRow(f'/v/{n % 5}/{n}', 0, 0.0, 5.0, 5.0, True, True, vector, b'')
        for n, vector in enumerate(vectors)
    ]
    rows[50:2900:1000] = [row._replace(duration=99.0) for row in rows[50:2900:1000]]
    store.add(rows[:2900])
    store.optimize()
    store.delete([row.filename for row in rows[100:110]])
    store.add(rows[2900:])  # after the candidates
    kept = [*rows[:100], *rows[110:]]
    found, wanted = 0, 0
    for where in (Filter(), Filter('/v/3')):
        counted = [row for row in kept if where.accepts(row.filename, row.duration)]
        for query in centers + 0.1 * unit(rng, 30):
            query = (query / np.linalg.norm(query)).astype(np.float32)
            expected = sorted(counted, key=lambda row: -float(row.vector @ query))[:10]
            hits = store.search(query, 10, False, where)
            assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
            assert len(hits) == 10
            found += len({hit.row.filename for hit in hits} & {row.filename for row in expected})
            wanted += 10
    assert found / wanted >= 0.99
    few = store.search(centers[0], 10, False, Filter(min_duration=99))  # which candidates may miss
    assert [hit.row.duration for hit in few] == [99.0] * 3


def test_all_segments_come_if_more_are_wanted_than_there_are(store, rng, monkeypatch):
    monkeypatch.setattr('mmclip4clip.search.stores.sqlite_store.EXACT', 20)
    store.add([row for number in range(30) for row in rows_of(rng, f'/{number}', 0)])
    store.optimize()
    assert len(store.search(unit(rng, 1)[0], 100, True)) == 30


def test_another_process_sees_what_was_added(store, rng, tmp_path):
    other = open_store(getattr(store, 'url', None) and f'{store.url}#{store.table}', tmp_path, WIDTH)
    query = unit(rng, 1)[0]
    assert other.search(query, 5, True) == []
    store.add(rows_of(rng, '/a', 0))
    assert [hit.row.filename for hit in other.search(query, 5, True)] == ['/a']
    store.delete(['/a'])
    assert other.search(query, 5, True) == []
    other.close()


def test_a_store_that_is_killed_while_it_writes_keeps_what_it_confirmed(tmp_path):
    """Kill -9 at random moments; each batch is there as a whole or not at all."""
    rng = np.random.default_rng(5)
    confirmed = tmp_path / 'confirmed'
    confirmed.write_text('')
    for _ in range(5):
        pid = fork_without_garbage()
        if pid == 0:
            try:
                store = open_store(None, tmp_path, WIDTH)
                for batch in count(len(confirmed.read_text().split())):
                    store.add([row for n in range(20) for row in rows_of(rng, f'/{batch}/{n}', 2)])
                    with confirmed.open('a') as file:
                        file.write(f'{batch}\n')
            finally:  # an error must not let the fork go on with the tests
                os._exit(1)
        time.sleep(rng.uniform(0.02, 0.3))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        store = open_store(None, tmp_path, WIDTH)
        done = len(confirmed.read_text().split())
        assert len(store) in (done * 60, (done + 1) * 60)
        store.close()
    assert done > 0


def test_a_search_sees_one_state_of_the_file(tmp_path, rng, monkeypatch):
    store, other = open_store(None, tmp_path, WIDTH), sqlite3.connect(tmp_path / 'segments.sqlite', timeout=0)
    store.add(rows_of(rng, '/a.mp4', 2))
    compare = store._compare_all

    def compare_and_change(*arguments):
        found = compare(*arguments)
        with pytest.raises(sqlite3.OperationalError, match='locked'), other:
            other.execute('DELETE FROM segments')  # as an update in another process would
        return found

    monkeypatch.setattr(store, '_compare_all', compare_and_change)
    assert len(store.search(unit(rng, 1)[0], 5, False)) == 2
    other.execute('DELETE FROM segments')
    other.commit()
    monkeypatch.undo()
    assert store.search(unit(rng, 1)[0], 5, False) == []


def test_a_sqlite_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / sqlite_store.FILE).write_text('a text that is no database, and long enough for its header')
    with pytest.raises(StoreError, match='segments.sqlite cannot be used'):
        open_store(None, tmp_path, WIDTH)


def test_lost_candidates_make_a_search_slow_and_not_wrong(tmp_path, rng, monkeypatch):
    monkeypatch.setattr('mmclip4clip.search.stores.sqlite_store.EXACT', 100)
    store = open_store(None, tmp_path, WIDTH)
    rows = [row for number in range(300) for row in rows_of(rng, f'/{number}', 0)]
    store.add(rows)
    store.optimize()
    store.close()
    for damage in (lambda file: file.write_bytes(b'damaged'), Path.unlink):
        (file,) = tmp_path.glob('moment-*.faiss')
        damage(file)
        store = open_store(None, tmp_path, WIDTH)
        query = unit(rng, 1)[0]
        best = max(rows, key=lambda row: float(row.vector @ query))
        assert store.search(query, 1, False)[0].row.filename == best.filename
        store.optimize()  # writes them again
        store.close()


def test_without_faiss_searches_are_exact(tmp_path, rng, monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'faiss', None)
    monkeypatch.setattr('mmclip4clip.search.stores.sqlite_store.EXACT', 10)
    store = open_store(None, tmp_path, WIDTH)
    store.add([row for number in range(30) for row in rows_of(rng, f'/{number}', 0)])
    store.optimize()
    assert len(store.search(unit(rng, 1)[0], 5, True)) == 5 and not list(tmp_path.glob('*.faiss'))


def test_a_server_that_goes_away_is_named_without_the_password_and_found_again(server, rng):
    url = server.url.replace('tester@', 'tester:secret@') + '#goes_away'
    store = open_store(url, '.', WIDTH)
    store.add(rows_of(rng, '/a', 1))
    server.stop()
    try:
        with pytest.raises(StoreError, match='tester@127.0.0.1.*#goes_away cannot be used') as error:
            store.add(rows_of(rng, '/b', 1))
        assert 'secret' not in str(error.value)
    finally:
        server.start()
    store.add(rows_of(rng, '/b', 1))
    assert len(store) == 4


def test_a_table_belongs_to_one_index(server, rng, tmp_path):
    url = f'{server.url}#table_{next(NUMBERS)}'
    for _ in range(2):
        open_store(url, tmp_path, WIDTH, 'first').close()
    with pytest.raises(StoreError, match='belongs to another index: choose another table'):
        open_store(url, tmp_path, WIDTH, 'second')
    unowned = f'{server.url}#table_{next(NUMBERS)}'
    store = open_store(unowned, tmp_path, WIDTH)
    store.add(rows_of(rng, '/a.mp4', 1))
    store.close()
    with pytest.raises(StoreError, match='belongs to another index'):
        open_store(unowned, tmp_path, WIDTH, 'second')


def test_a_server_finds_few_videos_that_its_index_misses(server, rng, monkeypatch):
    monkeypatch.setattr('mmclip4clip.search.stores.postgresql_store.EXACT', 500)
    monkeypatch.setattr('mmclip4clip.search.stores.postgresql_store.CANDIDATES', 10)
    uses_index = '?options=-c%20enable_seqscan%3Doff%20-c%20hnsw.max_scan_tuples%3D1'  # and soon gives up
    store = open_store(f'{server.url}{uses_index}#few', '.', WIDTH)
    rows = [
        row for number in range(1000) for row in rows_of(rng, f'/{number}', 0, 5.0 + 50 * (number % 400 == 0))
    ]
    store.add(rows)
    store.optimize()
    hits = store.search(-rows[0].vector, 3, True, Filter(min_duration=50))
    assert {hit.row.filename for hit in hits} == {'/0', '/400', '/800'}


def test_a_table_of_another_width_is_refused(server):
    open_store(f'{server.url}#narrow', '.', 8).close()
    with pytest.raises(StoreError, match='has vectors of 8 numbers, this model has 16'):
        open_store(f'{server.url}#narrow', '.', WIDTH)


def test_a_server_that_is_not_there_is_said(tmp_path):
    pytest.importorskip('psycopg', reason='needs the extra postgresql')
    with pytest.raises(StoreError, match='127.0.0.1:9.*cannot be used'):
        open_store('postgresql://tester@127.0.0.1:9/postgres', tmp_path, WIDTH)
