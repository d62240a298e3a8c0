"""Videos at URLs, from a server on this machine."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from mmclip4clip.datasets.remote_files import RemoteFileError, check_scheme, local_copy


@pytest.fixture
def host(tmp_path):
    """Address of a server of the files in ``tmp_path``."""
    pytest.importorskip('aiohttp', reason='needs aiohttp, of the extra ray')
    server = ThreadingHTTPServer(('127.0.0.1', 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_port}'
    server.shutdown()
    server.server_close()


def test_a_copy_has_the_content_and_the_ending_and_is_deleted(host, tmp_path):
    (tmp_path / 'a clip.mp4').write_bytes(bytes(range(256)) * 5000)
    with local_copy(f'{host}/a%20clip.mp4?size=2#t=1') as path:
        assert Path(path).read_bytes() == (tmp_path / 'a clip.mp4').read_bytes() and path.endswith('.mp4')
    assert not Path(path).parent.exists()


def test_a_url_without_a_file_is_named(host):
    expected = pytest.raises(RemoteFileError, match=f'{host}/none.mp4 cannot be downloaded')
    with expected, local_copy(f'{host}/none.mp4'):
        pass


def test_a_missing_package_is_named(monkeypatch):
    def refuse(scheme):
        raise ImportError('HTTPFileSystem requires aiohttp to be installed')

    monkeypatch.setattr('fsspec.get_filesystem_class', refuse)
    with pytest.raises(ImportError, match=r"pip install 'mmclip4clip\[ray\]'"):
        check_scheme('https://host/a.mp4')
    with pytest.raises(ImportError, match='HTTPFileSystem requires'):
        check_scheme('s3://bucket/a.mp4')
