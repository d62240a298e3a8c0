import asyncio

import pytest
from starlette.exceptions import HTTPException

from mmclip4clip.apis.server.guard import BoundedBody, host_name

from .serving import found, post

EXPECTED = {
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'x-frame-options': 'DENY',
    'cross-origin-resource-policy': 'same-origin',
}


def test_every_answer_has_the_headers_of_security(client, monkeypatch):
    video = found(client, query='dog')[0]['id']
    addresses = ['/', '/info', '/docs', '/openapi.json', '/static/index.html', '/nothing', f'/videos/{video}']
    answers = [client.get(address) for address in (*addresses, f'/videos/{video}/frame', '/static/../../x')]
    answers += [client.post('/search', content=b'{'), client.delete('/search')]
    answers += [client.get('/info', headers={'host': 'evil.example'})]
    for answer in answers:
        assert {key: answer.headers.get(key) for key in EXPECTED} == EXPECTED, answer.url
        policy = answer.headers['content-security-policy']
        assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
        assert not [name for name in answer.headers if name.startswith('access-control')]
    assert client.get('/static/index.html').headers['cache-control'] == 'no-cache'


def test_a_fault_of_the_server_says_nothing_about_it(client, monkeypatch):
    monkeypatch.setattr('mmclip4clip.apis.server.search_routes.texts_of', lambda query: 1 / 0)
    answer = client.post('/search', json=dict(query='dog'))
    assert answer.status_code == 500 and answer.json() == {'error': {'message': 'The server failed.'}}
    assert answer.headers['x-content-type-options'] == 'nosniff'


@pytest.mark.parametrize(
    'host, status',
    [
        ('localhost', 200),
        ('LOCALHOST:7860', 200),
        ('127.0.0.1:1', 200),
        ('[::1]:7860', 200),
        ('evil.example', 400),
        ('localhost.evil.example', 400),
        ('evil.example:7860', 400),
        ('localhost@evil.example', 400),
        ('127.0.0.1.nip.io', 400),
        ('', 400),
    ],
)
def test_other_names_of_the_server_are_refused(client, host, status):
    assert client.get('/info', headers={'host': host}).status_code == status


def test_all_names_are_accepted_if_none_are_known(served):
    assert served(hosts=None).get('/info', headers={'host': 'videos.example'}).status_code == 200


@pytest.mark.parametrize(
    'headers, status',
    [
        ({}, 200),
        ({'origin': 'http://127.0.0.1'}, 200),
        ({'origin': 'https://evil.example'}, 403),
        ({'origin': 'null'}, 403),
        ({'origin': 'http://127.0.0.1:3000'}, 403),
        ({'sec-fetch-site': 'same-origin'}, 200),
        ({'sec-fetch-site': 'cross-site'}, 403),
    ],
)
def test_pages_of_other_sites_cannot_ask(client, headers, status):
    assert client.post('/search', json=dict(query='dog'), headers=headers).status_code == status
    form = client.post('/uploads', files=dict(file=('x', b'x')), headers=headers)
    assert form.status_code == (403 if status == 403 else 415)


def test_a_simple_form_of_another_site_is_no_search(client):
    answer = client.post('/search', content=b'{"query": "dog"}', headers={'content-type': 'text/plain'})
    assert answer.status_code in (415, 422)


def test_an_unknown_method_names_the_known_ones(client):
    answer = client.put('/search', json={})
    assert answer.status_code == 405 and answer.headers['allow'] == 'POST'
    assert post(client, '/info')[0] == 405


def test_a_name_of_a_server_is_read_strictly():
    assert host_name('a/b') == host_name('[') == ''
    assert host_name('LocalHost.') == 'localhost'


def test_a_body_that_stalls_is_given_up_and_a_connection_may_stay_open_after_it():
    async def receive_all(*messages):
        coming = iter(messages)

        async def receive():
            message = next(coming, None)
            return message if message is not None else await asyncio.Event().wait()

        bounded = BoundedBody(receive, max_bytes=100, seconds=0.05)
        return [await asyncio.wait_for(bounded(), 1) for _ in range(len(messages) + 1)]

    part = dict(type='http.request', body=b'a', more_body=True)
    with pytest.raises(HTTPException, match='nothing came for 0.05 s') as caught:
        asyncio.run(receive_all(part, part))
    assert caught.value.status_code == 408 and caught.value.headers == {'Connection': 'close'}
    with pytest.raises(asyncio.TimeoutError):  # of the test
        asyncio.run(receive_all(part, dict(part, more_body=False)))
