"""Lists of videos in Parquet files."""

import os

import pytest

from mmclip4clip.search.changes import URL_STAMP, stamp_of
from mmclip4clip.search.video_list import VideoList

pa = pytest.importorskip('pyarrow', reason='needs pyarrow, of the extra ray')
parquet = pytest.importorskip('pyarrow.parquet')
URL = 'https://host/c.mp4?size=2'


def write(target, **columns):
    parquet.write_table(pa.table(columns), target)
    return target


def test_paths_are_relative_to_the_list_and_urls_are_not_looked_at(videos):
    names = ['a.mp4', f'{videos}/b.mp4', f'file://{videos}/new/c.mp4', URL, 'gone.mp4', 'text.txt']
    found = VideoList(write(videos / 'list.parquet', video=names, other=[1] * 6))
    local = [str(videos / name) for name in ('a.mp4', 'b.mp4', 'new/c.mp4')]
    assert found.stamps == {**{path: stamp_of(path) for path in local}, URL: URL_STAMP}
    assert 'does not exist' in found.unreadable[str(videos / 'gone.mp4')]
    assert 'no video, by its ending' in found.unreadable[str(videos / 'text.txt')]


def test_an_update_by_a_list_adds_and_removes_its_files_alone(index, videos):
    index.update([videos])
    os.remove(videos / 'a.mp4')
    os.remove(videos / 'b.mp4')
    (videos / 'd.mp4').write_text('5 star')
    report = index.update([write(videos / 'list.parquet', path=['b.mp4', 'd.mp4'])])
    assert (report.added, report.removed) == ([str(videos / 'd.mp4')], [str(videos / 'b.mp4')])
    assert report.unchanged == 0 and [*report.unreadable] == [str(videos / 'b.mp4')]
    assert len(index) == 4  # a.mp4, whose removal the list does not tell, new/ and d.mp4


def test_a_url_is_encoded_once_and_is_removed_by_its_list(index, videos, monkeypatch):
    monkeypatch.setattr('mmclip4clip.search.video_list.check_scheme', lambda url: None)
    names, texts = write(videos / 'list.parquet', url=[URL]), dict.fromkeys([URL], '15 dog cat')
    monkeypatch.setattr(
        'tests.search.fakes.Path', lambda path: type('', (), dict(read_text=lambda: texts[path]))
    )
    monkeypatch.setattr('mmclip4clip.search.index_update.digest_file', lambda path: 'ab')
    assert index.update([names]).added == [URL]
    again = index.update([names])
    assert (again.added, again.unchanged, index.model.encoded) == ([], 1, [URL])
    assert index.search('cat')[0].filename == URL
    assert index.remove(names) == [URL] and len(index) == len(index.store) == 0


@pytest.mark.parametrize(
    'columns, message',
    [
        (dict(file=['a.mp4']), r"expected one column called video, path or url, got \['file'\]"),
        (dict(video=['a.mp4'], url=['b.mp4']), 'expected one column'),
        (dict(video=['a.mp4', None]), 'column video, row 1: expected a path or a URL, got None'),
        (dict(video=[3]), 'row 0: expected a path or a URL, got 3'),
        (dict(video=[]), 'has no videos'),
        (dict(video=['ftp://host/a.mp4']), "kind 'ftp', expected one of http"),
    ],
)
def test_a_list_that_names_no_videos_is_refused(columns, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        VideoList(write(tmp_path / 'list.parquet', **columns))


def test_a_list_that_is_no_parquet_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='list.parquet does not exist'):
        VideoList(tmp_path / 'list.parquet')
    (tmp_path / 'list.parquet').write_text('video\na.mp4\n')
    with pytest.raises(ValueError, match='list.parquet is no list of videos'):
        VideoList(tmp_path / 'list.parquet')
