"""The command in this process, with an index that answers from a list."""

import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from mmengine.logging import MMLogger

from mmclip4clip.__main__ import main
from mmclip4clip.search.answers import Answer
from mmclip4clip.search.segments import FixedWindows, describe_segments


class Report(NamedTuple):
    added: list = []
    changed: list = []
    moved: list = []
    removed: list = []
    unchanged: int = 0
    unreadable: dict = {}


class FakeIndex:
    """Remembers how it was called; ``answers``, ``report``, ``fault`` and ``files`` are what it returns."""

    answers: list = []
    report = Report()
    fault: Exception | None = None
    files = 1
    calls: list = []
    settings = SimpleNamespace(model='m.pth', segments=describe_segments(FixedWindows()), store=None)

    @classmethod
    def create(cls, path, model, segmenter, store=None):
        cls.calls.append(('create', Path(path), model, segmenter, store))
        return cls()

    @classmethod
    def open(cls, path, model=None):
        cls.calls.append(('open', Path(path), model))
        return cls()

    def update(self, folders, num_workers=2, show_progress=None):
        self.calls.append(('update', list(folders), num_workers))
        return self._return(self.report)

    def search(self, query, top=10, where=None, whole=False, all_moments=False):
        self.calls.append(('search', list(query), top, where, whole, all_moments))
        return self._return(self.answers[:top])

    def _return(self, value):
        if self.fault:
            raise self.fault
        return value

    def __len__(self):
        return self.files

    def close(self):
        self.calls.append(('close',))


@pytest.fixture
def index(monkeypatch) -> type[FakeIndex]:
    """The index that the command finds."""
    fake = type('VideoIndex', (FakeIndex,), dict(calls=[]))
    monkeypatch.setitem(sys.modules, 'mmclip4clip.search.index', SimpleNamespace(VideoIndex=fake))
    fake.answers = [
        Answer(0.9, '/videos/a dog.mp4', 62.5, 72.5, 80.0),
        Answer(0.25, '/videos/b\t[red].mp4', None, None, 12.0),
    ]
    return fake


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The working folder: files to ask with, and an index at ``index``."""
    monkeypatch.chdir(tmp_path)
    for name in ('person.jpg', 'clip.mp4', 'index/settings.json', 'videos/a.mp4'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setenv('MMCLIP4CLIP_INDEX', str(tmp_path / 'index'))
    return tmp_path


@pytest.fixture
def run(monkeypatch, capsys, folder):
    """Run the command; return its exit code, stdout and stderr."""
    before = dict(MMLogger._instance_dict)

    def run(*args, typed: str | None = None):
        monkeypatch.setattr(sys, 'argv', ['mmclip4clip', *map(str, args)])
        if typed is not None:
            monkeypatch.setattr(sys, 'stdin', io.StringIO(typed))
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return SimpleNamespace(code=ended.value.code or 0, out=printed.out, err=printed.err)

    yield run
    MMLogger._instance_dict.clear()
    MMLogger._instance_dict.update(before)
