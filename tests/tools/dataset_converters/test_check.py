import json
import shutil
from pathlib import Path

import pytest

from ...videos import at_rate, cut, write_frames, write_sound


@pytest.fixture
def folder(tmp_path):
    """A folder with three sound videos, two of them alike, and one of each problem."""
    folder = tmp_path / 'videos'
    (folder / 'deeper').mkdir(parents=True)
    write_frames(folder / 'a.mp4', at_rate(30, 60))
    shutil.copy(folder / 'a.mp4', folder / 'deeper/again.MP4')
    write_frames(folder / 'b.avi', at_rate(30, 40))
    write_frames(folder / 'brief.mkv', at_rate(30, 9))
    (folder / 'empty.mp4').touch()
    write_sound(folder / 'song.mp4')
    whole = write_frames(tmp_path / 'whole.mp4', at_rate(30, 90), movflags='faststart')
    cut(whole, folder / 'over.mp4', 0.7)
    (folder / 'notes.txt').write_text('no video')
    return folder


def run(tool, *args) -> dict:
    tool('dataset_converters/check.py', 'videos', 'report.json', '--workers', 2, *args)
    return json.loads(Path('report.json').read_text())


def test_every_problem_is_reported_with_its_file(tool, folder, capsys):
    report = run(tool)
    assert report['videos'] == 7 and report['folder'] == 'videos'
    assert {kind: list(found) for kind, found in report.items() if isinstance(found, dict)} == {
        'unreadable': ['empty.mp4'],
        'frameless': ['song.mp4'],
        'short': ['brief.mkv'],
        'over-reporting': ['over.mp4'],
        'duplicate': ['deeper/again.MP4'],
    }
    assert report['duplicate'] == {'deeper/again.MP4': 'the same as a.mp4'}
    assert '2 of 7 videos have no problems' in capsys.readouterr().out


def test_a_check_that_was_stopped_goes_on_where_it_was(tool, folder, tmp_path, capsys):
    whole = run(tool)
    log = tmp_path / 'report.jsonl'
    lines = log.read_text().splitlines()
    assert len(lines) == 7
    marked = [json.dumps(dict(json.loads(line), mark=1)) for line in lines[:4]]
    log.write_text('\n'.join([*marked, lines[4][:30]]))  # killed while writing the fifth
    capsys.readouterr()
    assert run(tool) == whole
    assert '4 of 7 videos were checked before' in capsys.readouterr().out
    assert sum('mark' in json.loads(line) for line in log.read_text().splitlines()) == 4


def test_what_has_changed_is_checked_again(tool, folder, tmp_path, capsys):
    run(tool)
    (folder / 'a.mp4').write_bytes(b'')
    (folder / 'b.avi').unlink()
    report = run(tool)
    assert '5 of 6 videos were checked before' in capsys.readouterr().out
    assert list(report['unreadable']) == ['a.mp4', 'empty.mp4'] and report['videos'] == 6
    assert list(report['duplicate']) == ['empty.mp4']
    run(tool, '--min-seconds', 0)  # other settings hold for all
    assert 'were checked before' not in capsys.readouterr().out


def test_a_report_of_something_else_is_kept(tool, folder, tmp_path):
    (tmp_path / 'report.json').write_text('{"folder": "elsewhere"}')
    with pytest.raises(SystemExit, match='report.json exists and is not a report on videos'):
        run(tool)
    with pytest.raises(SystemExit, match='there are no videos in empty'):
        (tmp_path / 'empty').mkdir()
        tool('dataset_converters/check.py', 'empty', 'other.json')
    with pytest.raises(SystemExit):
        tool('dataset_converters/check.py', 'videos', 'report.txt')


def test_videos_in_linked_folders_are_checked_too(tool, folder, tmp_path):
    (folder / 'deeper').rename(tmp_path / 'elsewhere')
    (folder / 'deeper').symlink_to(tmp_path / 'elsewhere')
    report = run(tool)
    assert report['videos'] == 7 and list(report['duplicate']) == ['deeper/again.MP4']


@pytest.mark.parametrize(
    'name, content, message',
    [
        ('report.json', '[1]', 'report.json exists and is not a report on videos'),
        ('report.json', 'notes', 'report.json exists and is not a report on videos'),
        ('report.jsonl', '{"caption": "mine"}\n', 'report.jsonl exists and contains no results of a check'),
        ('report.jsonl', 'notes', 'report.jsonl exists and contains no results of a check'),
    ],
)
def test_no_file_of_others_is_replaced(tool, folder, tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(SystemExit, match=message):
        run(tool)
    assert (tmp_path / name).read_text() == content


@pytest.mark.parametrize(
    'arguments, message',
    [
        (('--samples', 0), 'num_frames must be at least 1, got 0'),
        (('--backends', 'foo'), 'backends must be a list of one or more of'),
        (('--workers', 0), '--workers must be at least 1, got 0'),
    ],
)
def test_bad_arguments_are_named_before_anything_is_checked(tool, folder, capsys, arguments, message):
    with pytest.raises(SystemExit):
        run(tool, *arguments)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize('place', ['nowhere', 'videos/a.mp4'])
def test_a_folder_that_is_not_there_is_named_before_anything_is_looked_for(tool, folder, place, monkeypatch):
    monkeypatch.setattr('mmclip4clip.preparation.converters.video_folder.os.walk', None)
    Path('report.json').write_text('{"folder": "videos"}')
    with pytest.raises(SystemExit, match=f'{place} is not a folder'):
        tool('dataset_converters/check.py', place, 'report.json')


@pytest.mark.parametrize('suffixes, count', [(['.MP4'], 5), (['.mp4', '.Avi'], 6), (['EATS.mp4'], 0)])
def test_suffixes_match_in_upper_and_lower_case(tool, folder, suffixes, count):
    if count:
        assert run(tool, '--samples', 1, '--suffixes', *suffixes)['videos'] == count
    else:
        with pytest.raises(SystemExit, match='there are no videos in videos: no name ends with EATS.mp4'):
            run(tool, '--suffixes', *suffixes)
