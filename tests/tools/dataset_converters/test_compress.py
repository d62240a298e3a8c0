import pytest

from ...videos import at_rate, write_frames


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'in/deep').mkdir(parents=True)
    write_frames(tmp_path / 'in/a.mp4', at_rate(12.0, 24))
    write_frames(tmp_path / 'in/deep/b.mkv', at_rate(12.0, 24))
    return tmp_path


def test_a_folder_is_compressed_once_and_names_stay(tool, folder, capsys):
    tool('dataset_converters/compress.py', 'in', 'out', '--workers', 2)
    assert {p.relative_to(folder / 'out').as_posix() for p in (folder / 'out').rglob('*.mp4')} == {
        'a.mp4',
        'deep/b.mp4',
    }
    out = capsys.readouterr().out
    assert '2 compressed, 0 existed already, 0 failed' in out and 'MiB became' in out
    (folder / 'out/a.mp4').unlink()
    tool('dataset_converters/compress.py', 'in', 'out', '--workers', 1)
    assert '1 compressed, 1 existed already, 0 failed' in capsys.readouterr().out


def test_what_cannot_be_read_is_listed_and_the_rest_done(tool, folder):
    (folder / 'in/bad.mp4').write_text('no video')
    with pytest.raises(SystemExit, match='1 videos could not be compressed, see out/failed.txt'):
        tool('dataset_converters/compress.py', 'in', 'out', '--workers', 1)
    assert 'in/bad.mp4: ' in (folder / 'out/failed.txt').read_text()
    assert (folder / 'out/a.mp4').exists()


def test_suffixes_match_in_upper_and_lower_case(tool, folder, capsys):
    (folder / 'in/a.mp4').rename(folder / 'in/a.Mp4')
    tool('dataset_converters/compress.py', 'in', 'out', '--workers', 1, '--suffixes', '.MP4')
    assert '1 compressed, 0 existed already' in capsys.readouterr().out and (folder / 'out/a.mp4').exists()


def test_two_videos_of_one_name_are_refused(tool, folder):
    write_frames(folder / 'in/a.avi', at_rate(4.0, 8))
    with pytest.raises(SystemExit, match='would both become out/a.mp4'):
        tool('dataset_converters/compress.py', 'in', 'out')


def test_a_folder_without_videos_is_named(tool, folder):
    (folder / 'empty').mkdir()
    with pytest.raises(SystemExit, match='no video in empty'):
        tool('dataset_converters/compress.py', 'empty', 'out')


def test_videos_in_linked_folders_are_compressed_too_but_not_the_results(tool, folder, capsys):
    (folder / 'in/deep').rename(folder / 'elsewhere')
    (folder / 'in/deep').symlink_to(folder / 'elsewhere')
    for there in (0, 2):
        tool('dataset_converters/compress.py', 'in', folder / 'in/small', '--workers', 1)
        assert f'{2 - there} compressed, {there} existed already' in capsys.readouterr().out
    assert (folder / 'in/small/deep/b.mp4').exists()
