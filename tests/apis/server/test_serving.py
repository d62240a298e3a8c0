"""A server at work: many clients at once, and the command from its start to its end."""

import os
import signal
import socket
import sys
import tempfile
import threading
import traceback
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TextIO

import pytest

from mmclip4clip.__main__ import main
from mmclip4clip.apis import video_index
from mmclip4clip.apis.command_line import serve
from mmclip4clip.command_arguments import parse_args
from mmclip4clip.datasets.video_readers.forking import fork_without_garbage
from mmclip4clip.search.index import VideoIndex

from ..command_line.conftest import folder as command_folder  # noqa: F401  a fixture
from ..command_line.conftest import run  # noqa: F401  a fixture
from .serving import LOCAL, VideoModel, found, post


def start_command(temporary: Path, *args) -> tuple[int, TextIO]:
    """Start the command in a fork, which has the imports; return its id, and what it prints."""
    reading, writing = os.pipe()
    pid = fork_without_garbage()
    if pid:
        os.close(writing)
        return pid, open(reading)
    code = 1
    try:
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        sys.stdout = sys.stderr = os.fdopen(writing, 'w')
        signal.signal(signal.SIGINT, signal.default_int_handler)
        tempfile.tempdir = str(temporary)
        video_index.open_index = lambda folder, *_: VideoIndex.open(folder, VideoModel())
        sys.argv = ['mmclip4clip', *map(str, args)]
        main()
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def test_files_and_frames_do_not_wait_for_searches_and_the_queue_ends(served):
    client = served(waiting=1)
    video = found(client, query='dog')[0]['id']
    service, go, began = client.app.state.service, threading.Event(), threading.Event()
    busy = service._pool.submit(lambda: began.set() or go.wait(60))
    assert began.wait(60)
    try:
        assert client.get(f'/videos/{video}').status_code == 200
        assert client.get(f'/videos/{video}/frame?height=20').status_code == 200
        assert client.get('/info').status_code == 200
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(post, client, '/search', query='cat')
            while service._pool._free._value:  # until it is in the queue
                assert not waiting.done()
            answer = client.post('/search', json=dict(query='moon'))
            assert answer.status_code == 503 and answer.headers['retry-after'] == '1'
            go.set()
            assert waiting.result()[1]['answers'][0]['name'] == 'dog cat.mp4'
    finally:
        go.set()
    assert busy.result() and found(client, query='moon')[0]['name'] == 'sun moon.mp4'


def test_ten_clients_get_their_own_answers(client):
    names = {'dog': 'dog cat.mp4', 'moon': 'sun moon.mp4', 'tree': 'tree.mp4'}
    words = [word for word in names for _ in range(20)]
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda word: found(client, query=word)[0], words))
        assert [answer['name'] for answer in answers] == [names[word] for word in words]
        addresses = [f'/videos/{answer["id"]}/strip?frames=2' for answer in answers]
        assert {answer.status_code for answer in pool.map(client.get, addresses)} == {200}


@pytest.mark.parametrize('ending, code', [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_the_command_serves_and_ends_cleanly(index_folder, ending, code, tmp_path):
    pid, printed = start_command(tmp_path, 'serve', index_folder, '--port', 0)
    try:
        line = printed.readline()
        assert line.startswith('serving at http://127.0.0.1:'), line + printed.read()
        with urllib.request.urlopen(f'{line.split()[2]}info') as answer:
            assert b'"videos":3' in answer.read()
        assert list(tmp_path.glob('mmclip4clip-uploads-*'))
        os.kill(pid, ending)
        assert printed.read() == ''  # until its end: no traceback
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        printed.close()
        _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == code
    assert not list(tmp_path.glob('mmclip4clip-uploads-*'))


def test_a_port_in_use_an_index_that_is_missing_and_a_missing_package_are_clear(run, monkeypatch, tmp_path):  # noqa: F811
    monkeypatch.setattr(signal, 'signal', lambda *_: None)
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = run('serve', '--port', port)
    assert ended.code == 1 and f'cannot listen at 127.0.0.1 port {port}' in ended.err
    ended = run('serve', tmp_path / 'nothing', '--port', 0)
    assert ended.code == 1 and 'nothing' in ended.err and 'Traceback' not in ended.err
    monkeypatch.setitem(sys.modules, 'uvicorn', None)
    ended = run('serve', '--port', 0)
    assert ended.code == 1 and "pip install 'mmclip4clip[serve]'" in ended.err


@pytest.mark.parametrize(
    'options, names',
    [
        ([], LOCAL),
        (['--host', '0.0.0.0'], None),
        (['--host', '0.0.0.0', '--allow-host', 'v.example'], LOCAL | {'0.0.0.0', 'v.example'}),
    ],
)  # fmt: skip
def test_names_are_checked_unless_the_server_is_for_a_network(options, names):
    assert serve.names_of(parse_args(['serve', *options])) == names


def test_faulty_arguments_are_refused():
    for options in (['--port', '65536'], ['--port', '-1'], ['--max-upload', '0']):
        with pytest.raises(SystemExit) as ended:
            parse_args(['serve', *options])
        assert ended.value.code == 2
    assert serve.is_local('127.0.0.2') and not serve.is_local('192.168.0.2')
    assert 'no password' in serve.warning('http://localhost/')
