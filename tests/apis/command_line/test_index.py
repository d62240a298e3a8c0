import io
import json

import pytest

from mmclip4clip.apis.command_line.index import show_progress
from mmclip4clip.search.index_update import UpdateReport
from mmclip4clip.search.segments import FixedWindows, WholeVideos

REPORT = UpdateReport(
    added=['/v/a.mp4'],
    changed=['/v/b.mp4'],
    moved=[('/v/c.mp4', '/w/c.mp4')],
    removed=['/v/d.mp4'],
    unchanged=7,
    unreadable={'/v/text.mp4': 'no video'},
)


def test_what_changed_is_printed_and_unreadable_files_come_last(run, index, folder):
    index.report = REPORT
    done = run('index', 'videos', '--workers', 3)
    assert done.code == 0
    assert done.out.splitlines() == [
        'added\t/v/a.mp4\t',
        'changed\t/v/b.mp4\t',
        'moved\t/w/c.mp4\tfrom /v/c.mp4',
        'removed\t/v/d.mp4\t',
        '1 added, 1 changed, 1 moved, 1 removed, 7 unchanged, 1 unreadable',
        'unreadable\t/v/text.mp4\tno video',
    ]
    assert index.calls == [('open', folder / 'index', None), ('update', ['videos'], 3), ('close',)]


def test_json_is_one_object_and_csv_one_table(run, index):
    index.report = REPORT
    assert json.loads(run('index', 'videos', '--json').out) == json.loads(json.dumps(REPORT._asdict()))
    lines = run('index', 'videos', '--csv').out.splitlines()
    assert lines[0] == 'change,file,detail' and lines[-1] == 'unreadable,/v/text.mp4,no video'
    assert len(lines) == 6


@pytest.mark.parametrize(
    'options, segments',
    [
        ([], None),
        (['--window', 8], FixedWindows(8, 4)),
        (['--stride', 2.5], FixedWindows(10, 2.5)),
        (['--window', 8, '--stride', 8], FixedWindows(8, 8)),
        (['--whole'], WholeVideos()),
    ],
)
def test_a_new_index_gets_the_segments_of_the_options(run, index, folder, options, segments):
    run('index', 'videos', '--index', 'new', '--model', 'm.pth', '--store', 'http://x', *options)
    call = index.calls[0]
    assert (call[0], str(call[1])) == ('create', 'new') and call[2:] == ('m.pth', segments, 'http://x')


def test_an_index_keeps_its_settings(run, index):
    assert run('index', 'videos', '--window', 10, '--model', 'm.pth').code == 0
    assert index.calls[0][2] == 'm.pth'
    index.calls.clear()
    for options in (['--window', 8], ['--whole'], ['--store', 'http://x']):
        done = run('index', 'videos', *options)
        assert done.code == 1 and 'was made with' in done.err and done.err.count('\n') == 1
    assert index.calls == []


def test_a_new_index_needs_a_model_and_folders_that_exist(run, index):
    done = run('index', 'videos', '--index', 'new')
    assert done.code == 1 and '--model CHECKPOINT is needed' in done.err
    done = run('index', 'videos', 'nowhere')
    assert done.code == 1 and 'do not exist: nowhere' in done.err and index.calls == []


def test_an_index_without_a_readable_video_is_an_error(run, index):
    index.files, index.broken = 2, {'/v/a.mp4': 'x', '/v/b.mp4': 'x'}
    done = run('index', 'videos')
    assert done.code == 1 and 'none of the videos in videos can be read' in done.err


def test_folders_are_removed_also_if_they_do_not_exist(run, index, folder):
    done = run('index', '--remove', '/gone', '/gone too')
    assert done.out.splitlines()[:2] == ['removed\t/gone/a.mp4\t', 'removed\t/gone too/a.mp4\t']
    assert index.calls[0] == ('open', folder / 'index', None) and done.code == 0


def test_what_was_removed_before_an_unknown_folder_is_reported(run, index, monkeypatch):
    def remove(self, folder):
        if folder == '/none':
            raise ValueError('the index has no files of /none')
        return [f'{folder}/a.mp4']

    monkeypatch.setattr(index, 'remove', remove)
    done = run('index', '--remove', '/videos', '/none')
    assert done.code == 1 and 'no files of /none' in done.err
    assert 'removed\t/videos/a.mp4' in done.out and '1 removed' in done.out
    assert run('index', '--remove', '/none').out == ''


def test_a_bar_shows_the_progress_on_a_terminal(monkeypatch):
    terminal = io.StringIO()
    assert show_progress(iter('ab'), 2) != ['a', 'b']  # nothing is consumed
    terminal.isatty = lambda: True
    monkeypatch.setattr('sys.stderr', terminal)
    assert list(show_progress(iter('ab'), 2)) == ['a', 'b'] and '100%' in terminal.getvalue()


@pytest.mark.parametrize('variable, place', [('XDG_DATA_HOME', 'data'), ('HOME', 'home/.local/share')])
def test_the_index_is_in_the_data_folder_of_the_user(run, index, folder, monkeypatch, variable, place):
    for name in ('MMCLIP4CLIP_INDEX', 'XDG_DATA_HOME'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(folder / place.split('/')[0]))
    run('index', 'videos', '--model', 'm.pth')
    assert index.calls[0][1] == folder / place / 'mmclip4clip/index'
