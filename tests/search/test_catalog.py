import sqlite3

import pytest

from mmclip4clip.search.catalog import Catalog, CatalogFile, FileStamp


def entry(path: str, **values) -> CatalogFile:
    return CatalogFile(path, FileStamp(2**40, 2**62, 5, 7), 'ab', 1.5, 3)._replace(**values)


def test_what_was_put_is_found_again_by_another_process(tmp_path):
    files = [entry('/a'), entry('/b/ü', reason='it is "broken"', retry=True), entry('/b/z'), entry('/bc')]
    with_close = Catalog(tmp_path / 'c.sqlite')
    with_close.put(files)
    with_close.put([entry('/a', content='cd')])
    with_close.close()
    catalog = Catalog(tmp_path / 'c.sqlite')
    assert catalog.files() == [entry('/a', content='cd'), files[2], files[1], files[3]] and len(catalog) == 4
    assert [file.path for file in catalog.files('/b')] == ['/b/z', '/b/ü']
    assert catalog.files('/') == catalog.files()
    catalog.remove(['/a', '/nothing'])
    assert len(catalog) == 3


def test_a_put_that_fails_leaves_nothing(tmp_path):
    catalog = Catalog(tmp_path / 'c.sqlite')
    with pytest.raises(sqlite3.Error):
        catalog.put([entry('/a'), entry('/b', content=object())])
    assert len(catalog) == 0


def test_a_catalog_of_a_later_version_is_refused(tmp_path):
    with sqlite3.connect(tmp_path / 'c.sqlite') as database:
        database.execute('PRAGMA user_version = 99')
    with pytest.raises(ValueError, match='c.sqlite has version 99, this mmclip4clip knows 1: update it'):
        Catalog(tmp_path / 'c.sqlite')


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(PermissionError, match='catalog .*c.sqlite cannot be opened or written'):
        Catalog(tmp_path / 'none/c.sqlite')


def test_a_file_is_found_by_its_path_and_changes_by_others_are_noticed(tmp_path):
    here, there = (Catalog(tmp_path / 'catalog.sqlite') for _ in range(2))
    state, file = here.state(), CatalogFile('/v/a.mp4', FileStamp(10, 1, 1, 7), 'ab', 60.0, 11)
    assert here.file('/v/a.mp4') is None and here.state() == state
    there.put([file])
    assert here.state() != state and here.file('/v/a.mp4') == file
    here.close()
    there.close()
