"""No test asks the real hub: its address is that of a port at which nobody answers."""

import http.server
import threading
import time
from types import SimpleNamespace

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import _http

from mmclip4clip import hub
from mmclip4clip.tokenizers.loading import load_decoder_tokenizer, load_tokenizer


@pytest.fixture(autouse=True)
def online(monkeypatch):
    """Undo the offline mode of the tests."""
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', False)
    monkeypatch.setattr(constants, 'ENDPOINT', 'http://127.0.0.1:9')
    hub_answers = hub.hub_answers
    hub_answers.cache_clear()
    yield
    hub_answers.cache_clear()


@pytest.mark.parametrize('load', [load_tokenizer, load_decoder_tokenizer])
def test_without_a_network_the_error_comes_at_once(monkeypatch, load):
    sleepless = SimpleNamespace(
        **{**vars(time), 'sleep': lambda seconds: pytest.fail('it waits to ask again')}
    )
    monkeypatch.setattr(_http, 'time', sleepless)  # in that module alone: others may sleep meanwhile
    with pytest.raises(
        OSError,
        match="(?s)tokenizer='nobody/nothing'.*save_pretrained.*Cause: .*neither a "
        'local folder nor in the local cache, and http://127.0.0.1:9 cannot be reached',
    ):
        load('nobody/nothing')


def loader(name, local_files_only=False, found='hub'):
    """Load as ``from_pretrained`` would of a cache that has only 'cached' and 'partial'."""
    if local_files_only and name not in ('cached', 'partial'):
        raise OSError('not in the cache')
    return f'{name} of the cache' if local_files_only else f'{name} of the {found}'


def complete(loaded):
    return loaded != 'partial of the cache'


@pytest.mark.parametrize('answers', [True, False])
def test_the_cache_comes_before_the_hub(monkeypatch, tmp_path, answers):
    asked = []
    monkeypatch.setattr(hub, 'hub_answers', lambda: asked.append(1) or answers)
    assert hub.load_named(loader, str(tmp_path), found='folder') == f'{tmp_path} of the folder'
    assert hub.load_named(loader, 'cached', complete) == 'cached of the cache'
    assert not asked
    for name in ('other', 'partial'):
        if answers:
            assert hub.load_named(loader, name, complete) == f'{name} of the hub'
        else:
            with pytest.raises(OSError, match=f"'{name}' is neither a local folder nor in the local cache"):
                hub.load_named(loader, name, complete)


class Answer(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.mark.parametrize('status, answers', [(200, True), (401, True), (503, False)])
def test_a_hub_that_is_out_of_order_gives_no_answer(monkeypatch, status, answers):
    server = http.server.HTTPServer(('127.0.0.1', 0), Answer)
    server.status = status
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, 'ENDPOINT', f'http://127.0.0.1:{server.server_port}')
    assert hub.hub_answers() is answers
    server.shutdown()


def test_a_hub_that_hangs_is_not_waited_for(monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(hub, 'SECONDS', 0.1)
    monkeypatch.setattr(hub, 'get_session', release.wait)
    assert hub.hub_answers() is False
    release.set()


def test_offline_mode_is_believed(monkeypatch):
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    monkeypatch.setattr(hub, 'get_session', lambda: pytest.fail('it was asked'))
    assert hub.hub_answers() is False
