"""The description of the API, and requests that are made from it."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error, positive_data_acceptance

ROUTES = {
    ('get', '/info'),
    ('post', '/search'),
    ('post', '/similar'),
    ('post', '/encode'),
    ('post', '/caption'),
    ('post', '/why'),
    ('post', '/uploads'),
    ('get', '/videos/{id}'),
    ('get', '/videos/{id}/frame'),
    ('get', '/videos/{id}/strip'),
}
ALWAYS_VALID = {('get', '/info'), ('get', '/videos/{id}')}  # an unknown video is a valid request


@pytest.fixture(scope='module')
def described(served):
    app = served(hosts=None, uploads=10_000).app

    async def running(scope, receive, send):
        """Pass requests on, but not the start and the end that each of them would bring."""
        if scope['type'] != 'lifespan':
            await app(scope, receive, send)
            return
        for part in ('startup', 'shutdown'):
            await receive()
            await send({'type': f'lifespan.{part}.complete'})

    return schemathesis.openapi.from_asgi('/openapi.json', running)


def test_every_route_is_described_with_its_errors(client):
    description = client.get('/openapi.json').json()
    routes = {
        (method, path): one
        for path, methods in description['paths'].items()
        for method, one in methods.items()
    }
    assert set(routes) == ROUTES
    for route in routes.values():
        assert route['summary'] and route['description']
        assert all(one.get('description') for one in route.get('parameters', []))
        errors = {
            status: one
            for status, one in route['responses'].items()
            if status in ('403', '422', '500', '503')
        }
        assert {'403', '500', '503'} <= set(errors)
        for error in errors.values():
            assert error['content']['application/json']['schema'] == {'$ref': '#/components/schemas/Error'}


def test_readers_find_every_route_without_another_site(client):
    page = client.get('/docs').text
    assert all(f'<h2>{method.upper()} {path}</h2>' in page for method, path in ROUTES)
    assert 'http://' not in page and 'https://' not in page and '<script' not in page


def send(case) -> None:
    """Send a request that was made from the description, valid or not, and compare the answer with it.

    Valid requests may be refused: a query may be blank. 501 is the answer of a model that cannot do it.
    """
    answer = case.call_and_validate(excluded_checks=[not_a_server_error, positive_data_acceptance])
    assert answer.status_code < 500 or answer.status_code == 501


def fuzz(described, method: str, path: str, examples: int) -> None:
    """Send valid requests, and invalid ones where there are any."""
    operation = described[path][method.upper()]
    for mode in [GenerationMode.POSITIVE] if (method, path) in ALWAYS_VALID else GenerationMode:
        checked = given(case=operation.as_strategy(generation_mode=mode))(send)
        settings(max_examples=examples, suppress_health_check=list(HealthCheck), database=None)(checked)()


@pytest.mark.parametrize('method, path', sorted(ROUTES))
def test_made_up_requests_are_answered_as_described(described, method, path):
    fuzz(described, method, path, 8)


@pytest.mark.long
@pytest.mark.parametrize('method, path', sorted(ROUTES))
def test_many_made_up_requests_are_answered_as_described(described, method, path):
    fuzz(described, method, path, 500)
