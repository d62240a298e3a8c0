import os
import shutil

import cv2
import numpy as np
import pytest

from mmclip4clip.apis.server.indexed_files import video_id
from mmclip4clip.search.index import VideoIndex

from .serving import VideoModel, found, post, write_clip


def picture(answer) -> np.ndarray:
    assert answer.status_code == 200 and answer.headers['content-type'] == 'image/jpeg', answer.text
    return cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)


@pytest.fixture
def own(served, tmp_path):
    """A server of videos that a test may change: the client, the folder, and the index to update."""
    folder = tmp_path.resolve() / 'videos'
    for name in ('dog.mp4', 'cat.mp4'):
        write_clip(folder / name, 1)
    (tmp_path / 'secret.txt').write_text('secret')
    index = VideoIndex.create(tmp_path / 'index', VideoModel())
    index.update([folder])
    client = served(tmp_path / 'index')
    yield client, folder, index
    index.close()


def test_a_file_is_played_whole_and_in_parts(client, folder):
    video, content = found(client, query='cat')[0]['id'], (folder / 'dog cat.mp4').read_bytes()
    whole = client.get(f'/videos/{video}')
    assert whole.content == content and whole.headers['content-type'] == 'video/mp4'
    assert whole.headers['accept-ranges'] == 'bytes' and 'inline' in whole.headers['content-disposition']
    part = client.get(f'/videos/{video}', headers={'Range': 'bytes=10-19'})
    assert part.status_code == 206 and part.content == content[10:20]
    assert part.headers['content-range'] == f'bytes 10-19/{len(content)}'
    last = client.get(f'/videos/{video}', headers={'Range': 'bytes=-5'})
    assert last.content == content[-5:]
    assert client.get(f'/videos/{video}', headers={'Range': 'bytes=999999-'}).status_code == 416
    assert client.head(f'/videos/{video}').headers['content-length'] == str(len(content))


@pytest.mark.parametrize(
    'address',
    [
        '/videos/{folder}/new/tree.mp4',
        '/videos//etc/passwd',
        '/videos/%2Fetc%2Fpasswd',
        '/videos/%252Fetc%252Fpasswd',
        '/videos/..%2F..%2F..%2Fetc%2Fpasswd',
        '/videos/..%252f..%252fetc%252fpasswd',
        '/videos/%2e%2e/%2e%2e/etc/passwd',
        '/videos/..%5C..%5Cetc%5Cpasswd',
        '/videos/..%c0%af..%c0%afetc/passwd',
        '/videos/%00',
        '/videos/file:%2F%2F%2Fetc%2Fpasswd',
        '/static/../app.py',
        '/static/%2e%2e/app.py',
        '/static/..%2Fapp.py',
        '/static/..%252Fapp.py',
        '/static/%2Fetc%2Fpasswd',
        '/static//etc/passwd',
    ],
)
def test_no_other_file_is_served(client, folder, address):
    answer = client.get(address.format(folder=str(folder).replace('/', '%2F')))
    assert answer.status_code in (404, 400) and 'error' in answer.json()
    assert b'root:' not in answer.content and b'FastAPI' not in answer.content
    for more in ('/frame', '/strip'):
        if address.startswith('/videos'):
            assert client.get(address.format(folder='x') + more).status_code in (404, 400)


@pytest.mark.parametrize('swap', ['link', 'link to the folder', 'other file', 'pipe', 'folder', 'gone'])
def test_what_took_the_place_of_a_video_is_not_served(own, tmp_path, swap):
    client, folder, _ = own
    path, video = folder / 'dog.mp4', video_id(str(folder / 'dog.mp4'))
    size = path.stat().st_size
    assert client.get(f'/videos/{video}').status_code == 200
    if swap == 'link to the folder':
        other = tmp_path / 'other'
        other.mkdir()
        (other / 'dog.mp4').write_bytes(b'x' * size)
        shutil.rmtree(folder)
        folder.symlink_to(other)
    else:
        path.unlink()
    if swap == 'link':
        (tmp_path / 'secret.txt').write_bytes(b's' * size)  # of the same size
        path.symlink_to(tmp_path / 'secret.txt')
    elif swap == 'other file':
        path.write_bytes(b'x' * size)
    elif swap == 'pipe':
        os.mkfifo(path)
    elif swap == 'folder':
        path.mkdir()
    for address in ('', '/frame', '/strip'):
        answer = client.get(f'/videos/{video}{address}')
        assert answer.status_code == 404 and 'error' in answer.json(), (swap, address)
    assert post(client, '/similar', id=video)[0] == 404


def test_a_file_with_the_same_content_is_served_after_it_was_touched_or_copied(own, tmp_path):
    client, folder, _ = own
    path, video = folder / 'dog.mp4', video_id(str(folder / 'dog.mp4'))
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    assert client.get(f'/videos/{video}').content == content


def test_another_process_may_update_the_index(own):
    client, folder, index = own
    write_clip(folder / 'bird.mp4', 2)
    (folder / 'cat.mp4').unlink()
    index.update([folder])
    answers = found(client, query='bird')
    assert [answer['name'] for answer in answers][0] == 'bird.mp4' and len(answers) == 2
    assert client.get(f'/videos/{answers[0]["id"]}').status_code == 200
    assert client.get(f'/videos/{video_id(str(folder / "cat.mp4"))}').status_code == 404
    assert client.get(f'/videos/{answers[0]["id"]}/frame').status_code == 200


def test_a_frame_is_the_one_shown_at_a_time(client):
    video = found(client, query='cat')[0]['id']
    for time, gray in ((0, 60), (0.95, 60), (1.0, 100), (1.5, 100), (99, 100)):
        frame = picture(client.get(f'/videos/{video}/frame', params=dict(time=time)))
        assert frame.shape == (48, 64, 3) and abs(int(frame[20, 20, 0]) - gray) < 6, time
    assert picture(client.get(f'/videos/{video}/frame?height=24')).shape == (24, 32, 3)


def test_a_strip_has_frames_of_the_range_in_order(client):
    video = found(client, query='cat')[0]['id']
    strip = picture(client.get(f'/videos/{video}/strip?frames=4'))
    assert strip.shape == (48, 256, 3)
    grays = [int(strip[20, 20 + 64 * number, 0]) for number in range(4)]
    assert np.abs(np.subtract(grays, [60, 60, 100, 100])).max() < 6
    late = picture(client.get(f'/videos/{video}/strip?frames=3&start=1&end=2'))
    assert all(abs(int(late[20, 20 + 64 * number, 0]) - 100) < 6 for number in range(3))


@pytest.mark.parametrize(
    'query', ['frame?time=-1', 'frame?time=nan', 'frame?time=x', 'frame?height=100000', 'strip?frames=1000',
              'strip?start=1&end=1', 'strip?start=50', 'frame?time=inf', 'strip?frames=0']
)  # fmt: skip
def test_a_value_out_of_range_is_an_error(client, query):
    answer = client.get(f'/videos/{found(client, query="cat")[0]["id"]}/{query}')
    assert answer.status_code == 422 and answer.json()['error']['field'] in (
        'time',
        'height',
        'frames',
        'start',
    )
