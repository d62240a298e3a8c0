"""Indexing on a Ray cluster; the workers alone run here, and a cluster in the long tests."""

import contextlib
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mmclip4clip.apis import ray_cluster, ray_encoding
from mmclip4clip.apis.ray_cluster import RayClusterError, import_ray, temporary_folder
from mmclip4clip.apis.ray_encoding import EncodeWorker, RayModel
from mmclip4clip.search import FixedWindows
from mmclip4clip.search.file_digest import digest_file
from mmclip4clip.search.index import VideoIndex
from mmclip4clip.version import __version__

from ..search.conftest import index, videos  # noqa: F401
from ..search.fakes import FakeModel, MemoryStore, MortalModel
from ..search.stores.conftest import server  # noqa: F401

WINDOWS = FixedWindows(10, 5)
needs_ray = pytest.mark.skipif(find_spec('ray') is None, reason='needs the extra ray')  # not imported yet


def rows_of(index):  # noqa: F811
    """All of an index, but for the stamps."""
    files = index.catalog.files()
    rows = index.store.get([file.path for file in files])
    assert len(rows) == len(index.store) == sum(file.segments for file in files)
    return [file._replace(stamp=None) for file in files], [
        (r[:7], r.vector.tobytes(), r.features) for r in rows
    ]


def worker_of(load_model=lambda name: FakeModel(), version=__version__):
    return EncodeWorker(load_model, FakeModel().identity, version, WINDOWS, digest_file)


def fault_of(worker, *names):
    return worker(dict(filename=np.array(names or ['a.mp4'])))['fault'][0]


def run_here(ray, files, num_workers, arguments):
    """Do what the workers do, in this process, and return the results of the first file twice."""
    worker = EncodeWorker(*arguments)
    for names in (files[:1], files):
        columns = worker(dict(filename=np.array(names)))
        yield from (dict(zip(columns, row)) for row in zip(*columns.values()))


@pytest.fixture
def without_cluster(monkeypatch):
    """Ray's part is done in this process."""
    ray = SimpleNamespace(exceptions=SimpleNamespace(RayError=ZeroDivisionError))
    monkeypatch.setattr(ray_encoding, 'ray_cluster', lambda *arguments: nullcontext(ray))
    monkeypatch.setattr(ray_encoding, 'run_workers', run_here)


def test_workers_make_the_same_index_and_a_repeated_result_changes_nothing(
    index,  # noqa: F811
    videos,  # noqa: F811
    tmp_path,
    without_cluster,
    monkeypatch,  # noqa: F811
):
    report = index.update([videos])
    monkeypatch.setattr('mmclip4clip.search.index.open_store', lambda *arguments: MemoryStore())
    model = RayModel(FakeModel(), 'local', 2, lambda name: FakeModel())
    other = VideoIndex.create(tmp_path / 'ray', model, WINDOWS)
    assert other.update([videos]) == report
    assert rows_of(other) == rows_of(index)
    assert other.search('cat') == index.search('cat')
    assert other.update([videos]).unchanged == 4  # for which no cluster starts


def test_files_that_do_not_come_back_end_the_update_and_are_named(videos, without_cluster, monkeypatch):  # noqa: F811
    files = [str(videos / name) for name in ('a.mp4', 'b.mp4')]
    part = lambda ray, files, *rest: run_here(ray, files[:1], *rest)  # noqa: E731
    monkeypatch.setattr(ray_encoding, 'run_workers', part)
    encoded = RayModel(FakeModel(), 'auto', 2, lambda name: FakeModel()).encode_files(
        files, WINDOWS, digest_file
    )
    assert next(encoded).filename == files[0]
    with pytest.raises(RayClusterError, match='did not return 1 files, such as .*b.mp4'):
        next(encoded)


def test_a_worker_without_the_model_or_with_another_one_is_named(tmp_path, videos, without_cluster):  # noqa: F811
    assert 'cannot load the model fake.pth, which must be there on each machine: ' in fault_of(
        worker_of(open)
    )
    assert f'process {os.getpid()}' in fault_of(worker_of(open))
    other = fault_of(worker_of(lambda name: FakeModel('cd')))
    assert "has another model at fake.pth (index -> worker: weights: 'ab' -> 'cd')" in other
    assert f'has mmclip4clip {__version__}, and the index is updated by 0.0.1' in fault_of(
        worker_of(version='0.0.1')
    )
    model = RayModel(FakeModel(), 'auto', 1, lambda name: FakeModel('cd'))
    with pytest.raises(RayClusterError, match='has another model') as raised:
        [*model.encode_files([str(videos / 'a.mp4')], WINDOWS, digest_file)]
    assert isinstance(raised.value.__cause__, RuntimeError)


def test_a_fault_of_a_model_names_worker_and_files(videos):  # noqa: F811
    (videos / 'a.mp4').write_text('no number')
    fault = fault_of(worker_of(), str(videos / 'a.mp4'))
    assert 'the Ray worker' in fault and f'fails at one of {videos}/a.mp4: could not convert' in fault


def test_a_file_that_a_worker_does_not_see_names_the_worker(videos):  # noqa: F811
    class Blind(FakeModel):
        def encode_files(self, *arguments):
            for file in super().encode_files(*arguments):
                yield file._replace(unreadable='No such file', retry=True)

    worker = worker_of(lambda name: Blind())
    file = pickle.loads(worker(dict(filename=[str(videos / 'a.mp4')]))['file'][0])
    assert file.unreadable == f'No such file (on the Ray worker {worker.name})'


def test_ray_is_asked_for_by_its_install_line_and_ray_client_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, 'ray', None)
    with pytest.raises(ImportError, match=r"pip install 'mmclip4clip\[ray\]'"):
        import_ray('auto')
    with pytest.raises(ValueError, match='Ray Client, which is not supported'):
        import_ray('ray://host:10001')


def test_a_cluster_that_is_not_there_is_an_error(monkeypatch):
    def init(**settings):
        assert settings['address'] == 'auto' and '_temp_dir' not in settings
        raise ConnectionError('no running Ray instance')

    ray = SimpleNamespace(is_initialized=lambda: False, init=init, shutdown=lambda: None)
    monkeypatch.setattr(ray_cluster, 'import_ray', lambda address: ray)
    expected = pytest.raises(RayClusterError, match="the Ray cluster at 'auto' cannot be used: no running")
    with expected, ray_cluster.ray_cluster('auto'):
        pass


@needs_ray
@pytest.mark.long
def test_a_killed_worker_changes_nothing(tmp_path):
    folder = tmp_path / 'videos'
    folder.mkdir()
    for number in range(30):
        (folder / f'{number:02}.mp4').write_text(f'15 word{number} {"deadly" if number == 5 else "calm"}')
    indexes = []
    for name, model in dict(ray=RayModel(MortalModel(), 'local', 2, MortalModel), plain=FakeModel()).items():
        indexes.append(VideoIndex.create(tmp_path / name, model, WINDOWS))
        assert len(indexes[-1].update([folder]).added) == 30
    assert (folder / '05.mp4.died').exists()
    assert rows_of(indexes[0]) == rows_of(indexes[1])


# In a process of its own, whose end shows that nothing of the cluster is left.
SCRIPT = """
import os, signal, sys
import mmclip4clip, psutil
from mmclip4clip.apis.ray_encoding import RayModel
from mmclip4clip.search import FixedWindows

folder, checkpoint, store, videos = sys.argv[1:]
index = mmclip4clip.create_index(folder, checkpoint, FixedWindows(1, 0.5), store or None, 'cpu')
index.use(RayModel(index.model, 'local', 2))
killed = []

def connections(process):
    try:
        return process.net_connections('inet')
    except psutil.NoSuchProcess:
        return []

def kill_one(files, count):
    for file in files:
        if not killed:
            found = [p for p in psutil.Process().children(True) if 'MapWorker' in ' '.join(p.cmdline())]
            killed.append(len(found))
            processes = [p for p in psutil.Process().children(True) if 'ray' in p.name()]
            listening = [c for p in processes for c in connections(p) if c.status == 'LISTEN']
            addresses = {c.laddr.ip for c in listening}
            assert addresses and addresses <= {'127.0.0.1', '::ffff:127.0.0.1'}, addresses
            os.kill(found[0].pid, signal.SIGKILL)
        yield file

report = index.update([videos], track=kill_one)
left = [p.name() for p in psutil.Process().children(True) if p.status() != psutil.STATUS_ZOMBIE]
assert killed[0] >= 2 and not left, (killed, left)
print(len(report.added))
"""


@needs_ray
@pytest.mark.long
@pytest.mark.parametrize('where', ['sqlite', 'postgresql'])
def test_a_worker_killed_from_outside_changes_nothing(where, checkpoint_of, tested, tmp_path, request):
    import mmclip4clip

    store = None if where == 'sqlite' else f'{request.getfixturevalue("server").url}#by_ray'
    folder, (checkpoint, _) = tmp_path / 'videos', checkpoint_of('Mean')
    folder.mkdir()
    for copy in range(3):
        for number, name in enumerate(tested.files):
            content = Path(name).read_bytes() + bytes(copy)
            (folder / f'{copy}_{number}.mp4').write_bytes(content)
    arguments = [str(tmp_path / 'ray'), str(checkpoint), store or '', str(folder)]
    done = subprocess.run([sys.executable, '-c', SCRIPT, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout.split()[-1]) == 3 * len(tested.files)
    plain = mmclip4clip.create_index(tmp_path / 'plain', checkpoint, FixedWindows(1, 0.5), device='cpu')
    plain.update([folder], num_workers=0)
    again = mmclip4clip.open_index(tmp_path / 'ray', device='cpu')  # in another process than the update
    assert rows_of(again) == rows_of(plain)
    assert again.search('a red circle', top=3)[0].filename.startswith(str(folder))


@needs_ray
@pytest.mark.long
def test_ctrl_c_ends_the_cluster(tmp_path, checkpoint_of, tested, request):
    psutil = pytest.importorskip('psutil')
    command = [sys.executable, '-m', 'mmclip4clip', 'index', os.path.dirname(tested.files[0]), '--index']
    command += [tmp_path / 'index', '--model', checkpoint_of('Mean')[0], '--ray', 'local', '--workers', '1']
    folder = tempfile.mkdtemp(prefix='ray-', dir='/tmp')  # a long path would not be used
    request.addfinalizer(lambda: shutil.rmtree(folder))
    env = dict(os.environ, TMPDIR=folder)
    done = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
    process, children = psutil.Process(done.pid), []

    def command_of(child):
        with contextlib.suppress(psutil.Error):  # it has just ended
            return ' '.join(child.cmdline())
        return ''

    while not any('MapWorker' in command_of(child) for child in children):
        assert done.poll() is None, done.stderr.read()
        children = process.children(recursive=True)
    done.send_signal(signal.SIGINT)
    _, printed = done.communicate(timeout=120)
    assert done.returncode == 130 and 'Traceback' not in printed
    assert not psutil.wait_procs(children, timeout=60)[1] and not [*Path(folder).glob('ray-*')]


def test_a_path_that_is_too_long_for_sockets_is_not_used(monkeypatch):
    monkeypatch.setattr('tempfile.tempdir', '/scratch')
    assert temporary_folder() == '/scratch'
    monkeypatch.setattr('tempfile.tempdir', '/scratch/' + 60 * 'a')
    assert temporary_folder() == '/tmp'
