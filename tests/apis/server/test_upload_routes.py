import errno
import io
import os
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from mmclip4clip.apis.server.limits import MIB
from mmclip4clip.apis.server.private_folder import (
    LOCK,
    PREFIX,
    delete_leftovers,
    delete_private_folder,
    make_private_folder,
)
from mmclip4clip.datasets.video_readers import VideoReadError

from .serving import VideoModel, post, write_clip


def image_bytes(kind: str = 'png', size=(64, 48)) -> bytes:
    content = io.BytesIO()
    Image.new('RGB', size, 'red').save(content, kind)
    return content.getvalue()


def bomb(side: int) -> bytes:
    """A PNG of a few kB that says it is so wide and high, in pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, 'big') + kind + data + zlib.crc32(kind + data).to_bytes(4, 'big')

    rows = zlib.compress(bytes(1_000_000), 9)
    header = chunk(b'IHDR', 2 * side.to_bytes(4, 'big') + b'\x08\x02\x00\x00\x00')
    return b'\x89PNG\r\n\x1a\n' + header + chunk(b'IDAT', rows) + chunk(b'IEND', b'')


def send(client, content: bytes, name: str = 'x.bin', part: str = 'file'):
    return client.post('/uploads', files={part: (name, content)})


def test_an_image_is_a_query_under_any_name(client):
    for kind in ('png', 'jpeg', 'webp', 'gif', 'bmp'):
        answer = send(client, image_bytes(kind), '../../evil.sh')
        assert answer.status_code == 201 and answer.json()['kind'] == 'image', kind
    token = answer.json()['token']
    assert post(client, '/search', uploads=[dict(token=token)])[0] == 200
    assert post(client, '/search', query='dog', uploads=[dict(token=token, weight=-0.5)])[0] == 200
    assert post(client, '/search', uploads=[dict(token=token, weight=0)])[0] == 422
    assert post(client, '/similar', token=token)[0] == 200
    assert post(client, '/similar', token=token, start=1)[0] == 422
    assert 3500 < answer.json()['expires'] - time.time() <= 3600


def test_a_video_is_decoded_before_it_is_kept(client, tmp_path):
    content = write_clip(tmp_path / 'v.mp4').read_bytes()
    answer = send(client, content, 'picture.png')
    assert answer.status_code == 201 and answer.json()['kind'] == 'video'
    assert post(client, '/similar', token=answer.json()['token'], start=0, end=1)[0] == 200
    damaged = send(client, content[:40] + np.random.default_rng(0).bytes(len(content)))
    assert damaged.status_code == 415 and 'cannot be read' in damaged.json()['error']['message']


@pytest.mark.parametrize(
    'content',
    [
        b'',
        b'#EXTM3U\n#EXTINF:1,\n/etc/passwd\n',
        b'ffconcat version 1.0\nfile /etc/passwd\n',
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n',
        b'<html><script>alert(1)</script>',
        image_bytes()[:40],
        b'\x89PNG\r\n\x1a\n' + b'x' * 100,
    ],
)
def test_other_content_is_refused(client, content):
    answer = send(client, content, 'video.mp4')
    assert answer.status_code == 415 and answer.json()['error']['field'] == 'file'


@pytest.mark.parametrize('side', [8000, 30_000])
def test_an_image_that_explodes_is_refused_before_it_is_decoded(client, side):
    assert len(bomb(side)) < 10_000
    answer = send(client, bomb(side))
    assert answer.status_code == 413 and answer.json()['error']['field'] == 'file'


def test_a_large_image_is_kept_smaller(client, served):
    answer = send(client, image_bytes('jpeg', (5000, 1000)))
    store = client.app.state.service.uploads
    with Image.open(store.get(answer.json()['token']).path) as kept:
        assert kept.size == (2048, 410)


def test_size_is_limited_with_and_without_a_length(served):
    client, sent = served(upload_bytes=MIB), []
    assert send(client, image_bytes() + bytes(3 * MIB)).status_code == 413

    def stream():
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(1000):
            sent.append(1)
            yield bytes(MIB // 8)

    answer = client.post(
        '/uploads', content=stream(), headers={'content-type': 'multipart/form-data; boundary=x'}
    )
    assert answer.status_code == 413 and answer.json()['error']


def test_number_and_age_are_limited(served):
    client = served(uploads=2)
    tokens = [send(client, image_bytes()).json()['token'] for _ in range(2)]
    full = send(client, image_bytes())
    assert full.status_code == 429 and 0 < int(full.headers['retry-after']) <= 3601
    store = client.app.state.service.uploads
    old = store._uploads[tokens[0]]
    store._uploads[tokens[0]] = old._replace(expires=time.time() - 1)
    assert post(client, '/similar', token=tokens[0])[0] == 404 and not old.path.exists()
    assert send(client, image_bytes()).status_code == 201


@pytest.mark.parametrize(
    'body, kind',
    [
        (b'abc', 'multipart/form-data; boundary=x'),
        (b'abc', 'multipart/form-data'),
        (b'--x\r\n\r\n\r\n--x--\r\n', 'multipart/form-data; boundary=x'),
        (b'{}', 'application/json'),
        (b'file=a', 'application/x-www-form-urlencoded'),
    ],
)
def test_a_damaged_form_is_an_error(client, body, kind):
    answer = client.post('/uploads', content=body, headers={'content-type': kind})
    assert answer.status_code in (400, 415, 422) and answer.json()['error']


def test_the_folder_is_private_and_goes_with_the_server(served):
    from fastapi.testclient import TestClient

    app = served().app
    with TestClient(app, base_url='http://localhost') as client:
        send(client, image_bytes())
        folder = app.state.service.uploads._folder
        assert folder.stat().st_mode & 0o777 == 0o700
        assert all(path.stat().st_mode & 0o077 in (0, 0o044) for path in folder.iterdir())
    assert not folder.exists()


def test_an_upload_whose_file_vanishes_is_gone_and_no_faulty_query(client, monkeypatch):
    token = send(client, image_bytes()).json()['token']
    upload = client.app.state.service.uploads._uploads[token]

    def encode_query(self, query):
        upload.path.unlink()  # while the search waited
        raise VideoReadError('the query image cannot be read')

    monkeypatch.setattr(VideoModel, 'encode_query', encode_query)
    for content in (dict(uploads=[dict(token=token, weight=1)]), dict(uploads=[dict(token=token)])):
        status, answer = post(client, '/search', **content)
        assert status == 404 and 'upload the file again' in answer['error']['message']
        assert not upload.path.exists()  # so that the second search is refused before its turn


HOLD = """
import fcntl, sys
file = open(sys.argv[1], 'a')
fcntl.lockf(file, fcntl.LOCK_EX)
print('locked', flush=True)
sys.stdin.read()
"""


def test_folders_of_killed_servers_are_deleted_and_others_stay(tmp_path, monkeypatch):
    folders = {name: tmp_path / f'{PREFIX}{name}' for name in ('dead', 'living', 'young', 'other')}
    for folder in folders.values():
        folder.mkdir()
        (folder / 'upload.png').touch()
    for name in ('dead', 'living', 'young'):
        (folders[name] / LOCK).touch()
    (tmp_path / f'{PREFIX}file').touch()
    (tmp_path / 'dead').mkdir()
    (tmp_path / 'dead' / LOCK).touch()
    (tmp_path / f'{PREFIX}link').symlink_to(tmp_path / 'dead')
    for path in (folders['dead'], folders['living'], tmp_path / 'dead'):
        os.utime(path / LOCK, (1, 1))
    command = [sys.executable, '-c', HOLD, str(folders['living'] / LOCK)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout.readline() == 'locked\n'
        monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
        mine = make_private_folder()
        os.utime(mine / LOCK, (1, 1))
        other = make_private_folder()
        left = {path.name for path in tmp_path.iterdir()}
        server.stdin.close()
    kept = {f'{PREFIX}{name}' for name in ('living', 'young', 'other', 'file', 'link')}
    assert left == {*kept, 'dead', mine.name, other.name}
    delete_leftovers(tmp_path)
    assert not folders['living'].exists() and mine.exists()
    for folder in (mine, other):
        delete_private_folder(folder)
        assert not folder.exists()


def test_nothing_is_deleted_without_a_lock_and_links_in_a_loop_are_ignored(tmp_path, monkeypatch):
    loop = tmp_path / f'{PREFIX}loop'
    loop.symlink_to(loop)
    unlockable, folder = tmp_path / f'{PREFIX}lock-is-a-folder', tmp_path / f'{PREFIX}a'
    (unlockable / LOCK).mkdir(parents=True)
    folder.mkdir()
    (folder / LOCK).touch()
    for lock in (unlockable / LOCK, folder / LOCK):
        os.utime(lock, (1, 1))

    def unsupported(file, flags):
        raise OSError(errno.ENOLCK, 'no locks available')

    with monkeypatch.context() as patch:
        patch.setattr('fcntl.lockf', unsupported)
        delete_leftovers(tmp_path)
        assert folder.exists()  # its server may live
    os.utime(folder / LOCK, (1, 1))
    delete_leftovers(tmp_path)
    assert not folder.exists() and unlockable.exists() and loop.is_symlink()
