import json
import multiprocessing

import pytest

from mmclip4clip.engine import metrics_file
from mmclip4clip.engine.metrics_file import append_entry, read_entries


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'metrics.json'


@pytest.fixture
def log(monkeypatch):
    lines = []
    monkeypatch.setattr(metrics_file, 'print_log', lambda text, **_: lines.append(text))
    return lines


def test_entries_are_added(path):
    append_entry(path, dict(a=1))
    append_entry(path, dict(b=2))
    assert json.loads(path.read_text()) == read_entries(path) == [dict(a=1), dict(b=2)]
    assert [p.name for p in path.parent.iterdir() if not p.name.startswith('.')] == ['metrics.json']


BAD = {
    'cut short': b'[{"a": 1}, {"b":',
    'empty': b'',
    'zeros': bytes(64),
    'another bit': b'[{"a": 1\xff}]',
    'a dict': b'{"x": 1}',
    'other things': b'[1, 2]',
    'deep': b'[' * 100_000,
}


@pytest.mark.parametrize('content', BAD.values(), ids=BAD)
def test_a_file_that_cannot_be_read_is_moved_aside_and_a_new_one_begins(path, content, log):
    for number in (1, 2):
        path.write_bytes(content)
        append_entry(path, dict(c=number))
        append_entry(path, dict(d=number))
        assert read_entries(path) == [dict(c=number), dict(d=number)]
        aside = path.parent / f'metrics.damaged{number}.json'
        assert aside.read_bytes() == content
        assert len(log) == number and f'It was renamed to {aside}' in log[-1]
        assert log[-1].startswith((f'{path} cannot be read as JSON', f'{path} should contain a JSON list'))


def test_a_folder_of_that_name_is_moved_aside_too(path, log):
    path.mkdir()
    append_entry(path, dict(c=1))
    assert read_entries(path) == [dict(c=1)] and (path.parent / 'metrics.damaged1.json').is_dir()


def test_an_evaluation_that_is_made_again_takes_the_place_of_the_one_before(path):
    first, second = (dict(run='r', stage='val', epoch=epoch, iter=2 * epoch, score=epoch) for epoch in (1, 2))
    tests = [dict(run=run, stage='test', epoch=None, iter=None) for run in 'tt']
    others = [dict(first, run='s'), dict(first, stage='test'), dict(first, iter=3)]
    for entry in (first, *tests, *others, second, dict(first, score=9)):
        append_entry(path, entry)
    assert read_entries(path) == [dict(first, score=9), *tests, *others, second]


def test_an_entry_that_cannot_be_written_leaves_the_file_as_it_was(path):
    append_entry(path, dict(a=1))
    with pytest.raises(TypeError):
        append_entry(path, dict(b=object()))
    assert read_entries(path) == [dict(a=1)]
    assert not list(path.parent.glob('*unfinished'))


def append_many(path, run):
    for number in range(20):
        append_entry(path, dict(run=run, number=number))


def test_runs_that_report_at_once_lose_nothing_of_each_other(path):
    forked = multiprocessing.get_context('fork')
    runs = [forked.Process(target=append_many, args=(path, run)) for run in 'abc']
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    entries = read_entries(path)
    assert len(entries) == 60
    for run in 'abc':
        assert [entry['number'] for entry in entries if entry['run'] == run] == list(range(20))
