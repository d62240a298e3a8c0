"""The command in this process, with an index that answers from a list."""

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.logging import MMLogger

from mmclip4clip.__main__ import main
from mmclip4clip.apis import video_index
from mmclip4clip.search.answers import Answer
from mmclip4clip.search.index_settings import IndexSettings, ModelIdentity
from mmclip4clip.search.index_update import UpdateReport
from mmclip4clip.search.segments import FixedWindows, describe_segments

SETTINGS = IndexSettings(
    ModelIdentity('m.pth', 'MeanAdapter', 32, 'ab', '{}'), describe_segments(FixedWindows())
)


class FakeIndex:
    """Remembers how it was called; ``answers``, ``report`` and ``fault`` are what it returns or raises."""

    answers: list = []
    report = UpdateReport([], [], [], [], 1, {})
    fault: BaseException | None = None
    files, broken = 1, {}
    calls: list = []
    model = 'the model'

    @classmethod
    def create(cls, folder, model, segments=None, store=None):
        cls.calls.append(('create', folder, model, segments, store))
        return cls()

    @classmethod
    def open(cls, folder, model=None):
        cls.calls.append(('open', folder, model))
        return cls()

    def update(self, folders, num_workers=2, track=None):
        self.calls.append(('update', list(folders), num_workers))
        return self._return(self.report)

    def remove(self, folder):
        self.calls.append(('remove', folder))
        return [f'{folder}/a.mp4']

    def search(self, query, top=10, where=None, whole=False, all_moments=False, shortlist=200):
        self.calls.append(('search', list(query), top, where, whole, all_moments))
        return self._return(self.answers[:top])

    def _return(self, value):
        if self.fault:
            raise self.fault
        return value

    def __len__(self):
        return self.files

    def unreadable(self):
        return self.broken

    def close(self):
        self.calls.append(('close',))


@pytest.fixture
def index(monkeypatch) -> type[FakeIndex]:
    """The index that the command opens."""
    fake = type('VideoIndex', (FakeIndex,), dict(calls=[]))
    monkeypatch.setattr(video_index, 'create_index', fake.create)
    monkeypatch.setattr(video_index, 'open_index', fake.open)
    monkeypatch.setattr('mmclip4clip.apis.command_line.index.VideoIndex', fake)
    fake.answers = [
        Answer(0.9, '/videos/a dog.mp4', 62.5, 72.5, 80.0),
        Answer(0.25, '/videos/b\t[red].mp4', None, None, 12.0),
    ]
    return fake


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The working folder: files to ask with, and the settings of an index in ``index``."""
    monkeypatch.chdir(tmp_path)
    for name in ('person.jpg', 'clip.mp4', 'index/catalog.sqlite', 'videos/a.mp4'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    SETTINGS.write(tmp_path / 'index')
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
