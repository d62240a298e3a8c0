import errno
import os

import av
import pytest

from mmclip4clip.datasets.video_readers import (
    NoVideoError,
    VideoReadError,
    VideoUnavailableError,
    installed_backends,
    open_reader,
)
from mmclip4clip.datasets.video_readers.reader import VideoReader
from mmclip4clip.datasets.video_readers.storage_errors import (
    StoredFile,
    diagnose_error,
    path_exists,
    read_error,
)

from ...videos import cut
from ..every_backend import every_backend

TRANSIENT = [
    errno.ENOENT,
    errno.EIO,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.ENOTCONN,
    errno.EHOSTDOWN,
    errno.EAGAIN,
    errno.EMFILE,
    errno.ENOMEM,
]
LASTING = [errno.EACCES, errno.EISDIR, errno.ENOTDIR, errno.EINVAL, errno.ELOOP]


@pytest.mark.parametrize('number', TRANSIENT + LASTING)
def test_errors_of_the_storage_are_told_from_lasting_ones(number):
    found = read_error(OSError(number, os.strerror(number)))
    assert isinstance(found, VideoReadError)
    assert isinstance(found, VideoUnavailableError) == (number in TRANSIENT)


def test_what_a_decoder_lacks_is_no_fault_of_the_storage():
    for error in (MemoryError('no room'), av.error.InvalidDataError(1, 'x'), KeyError('x')):
        assert type(read_error(error)) is VideoReadError
    assert type(read_error(NoVideoError('none'))) is NoVideoError


@every_backend
def test_a_file_that_is_gone_is_not_damaged_whatever_reads_it(files, backend, tmp_path):
    with pytest.raises(VideoUnavailableError):
        open_reader(backend, str(tmp_path / 'gone.mp4'))
    with pytest.raises(VideoReadError) as damaged:
        open_reader(backend, str(cut(files['mp4'], tmp_path / 'cut.mp4', 0.5)))
    assert not isinstance(damaged.value, VideoUnavailableError)


def fail_after(monkeypatch, size):
    """Let the disk give no more than the first bytes of each file."""
    read = os.read

    def failing(file, count):
        if os.path.isfile(f'/proc/self/fd/{file}') and os.lseek(file, 0, os.SEEK_CUR) >= size:
            raise OSError(errno.EIO, 'Input/output error')
        return read(file, min(count, 500))

    monkeypatch.setattr(os, 'read', failing)


@pytest.mark.parametrize('name', ['mp4', 'no_count', 'avi', 'fragments'])
@every_backend
def test_a_disk_that_fails_halfway_gives_no_short_video(files, monkeypatch, name, backend):
    fail_after(monkeypatch, files[name].stat().st_size // 2)
    with pytest.raises(VideoUnavailableError, match='Input/output error'):
        open_reader(backend, str(files[name])).read([0, 59])


def test_a_failing_read_is_reported_once_and_then_the_file_ends(files, monkeypatch):
    """ffmpeg 7 reads again as long as it gets an error."""
    fail_after(monkeypatch, 1000)
    file = StoredFile(str(files['mp4']))
    assert len(file.read(9999)) == len(file.read(9999)) == 500
    with pytest.raises(OSError, match='Input/output error'):
        file.read(9999)
    assert file.read(9999) == b''


def test_a_file_that_ends_before_its_size_is_a_fault_of_the_storage(files, monkeypatch):
    read = os.read
    monkeypatch.setattr(
        os,
        'read',
        lambda file, count: b'' if os.lseek(file, 0, os.SEEK_CUR) > 2000 else read(file, min(count, 500)),
    )
    with pytest.raises(VideoUnavailableError, match='it ends at byte'):
        open_reader('pyav', str(files['no_count']))


def test_where_a_decoder_does_not_say_why_the_file_is_read_once(files, monkeypatch):
    vague = VideoReadError('cannot open it')
    assert diagnose_error(vague, str(files['mp4'])) is vague
    fail_after(monkeypatch, 1000)
    assert isinstance(diagnose_error(vague, str(files['mp4'])), VideoUnavailableError)
    assert diagnose_error(vague, None) is vague and diagnose_error(vague, '/dev/null') is vague


def test_a_read_that_fails_is_explained_by_the_storage(tmp_path):
    class Failing(VideoReader):
        num_frames, filename = 3, str(tmp_path / 'gone.mp4')

        def _decode(self, indices):
            raise RuntimeError('something')

    with pytest.raises(VideoUnavailableError, match='No such file'):
        Failing().read([0])


def test_a_stored_file_is_read_as_any_other(files, tmp_path):
    content = files['mp4'].read_bytes()
    file = StoredFile(str(files['mp4']))
    assert file.read(10) == content[:10] and file.seek(-5, os.SEEK_END) == len(content) - 5
    assert file.read(10) == content[-5:] and file.read(10) == b''
    assert file.seek(-1) == -errno.EINVAL and file.tell() == len(content)
    file.close()
    with pytest.raises(IsADirectoryError):
        StoredFile(str(tmp_path))


def test_no_file_stays_open(files):
    def count():
        return len(os.listdir('/proc/self/fd'))

    before = count()
    for backend in installed_backends():
        for name in ('mp4', 'avi'):
            with open_reader(backend, str(files[name])) as reader:
                reader.read([0])
    del reader
    assert count() <= before


def test_existence_is_not_denied_by_a_storage_that_does_not_answer(files, monkeypatch, tmp_path):
    assert path_exists(str(files['mp4'])) and not path_exists(str(tmp_path / 'none'))
    assert path_exists(str(tmp_path)) and not path_exists(str(tmp_path), only_files=True)

    def stale(path):
        raise OSError(errno.ESTALE, 'Stale file handle')

    monkeypatch.setattr(os, 'stat', stale)
    with pytest.raises(VideoUnavailableError, match='Stale file handle'):
        path_exists(str(files['mp4']))
