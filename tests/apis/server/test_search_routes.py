import json
import shutil

import numpy as np
import pytest

from mmclip4clip.apis.server import Limits
from mmclip4clip.apis.server.folder_names import FolderNames
from mmclip4clip.apis.server.indexed_files import video_id
from mmclip4clip.apis.server.rankings import Rankings
from mmclip4clip.search import Filter
from mmclip4clip.search.answers import Answer
from mmclip4clip.search.index import VideoIndex
from mmclip4clip.search.stores.base import SegmentRow

from ...search.fakes import vector_of
from .serving import VideoModel, found, post


def test_an_answer_is_the_best_moment_without_the_path(client, folder):
    best = found(client, query='cat')[0]
    assert best == dict(
        id=video_id(str(folder / 'dog cat.mp4')),
        score=pytest.approx(1),
        name='dog cat.mp4',
        folder='videos',
        start=1.0,
        end=2.0,
        duration=2.0,
    )
    assert [answer['name'] for answer in found(client, query='cat', top=2, offset=1)] == [
        answer['name'] for answer in found(client, query='cat')[1:]
    ]
    assert str(folder.parent) not in json.dumps([found(client, query='cat'), client.get('/info').json()])


def test_terms_are_added_and_subtracted(client):
    scores = {answer['name']: answer['score'] for answer in found(client, query='0.5*dog - sun', whole=True)}
    query = 0.5 * vector_of('dog') - vector_of('sun')
    expected = vector_of('sun moon') @ query / np.linalg.norm(query)
    assert scores['sun moon.mp4'] == pytest.approx(float(expected), abs=1e-5)


def test_filters_and_moments(client):
    names = lambda **content: {answer['name'] for answer in found(client, query='dog', **content)}  # noqa: E731
    assert names(folder='videos/new') == {'tree.mp4'}
    assert names(max_duration=1.5) == {'tree.mp4'} and names(min_duration=1.5, folder='videos/new') == set()
    assert len(found(client, query='dog', all_moments=True)) == 5
    assert found(client, query='dog cat', whole=True)[0]['start'] is None


def test_similar_leaves_the_video_out(client):
    dog = found(client, query='dog')[0]
    status, answer = post(client, '/similar', id=dog['id'], start=0, end=1)
    assert status == 200 and {one['name'] for one in answer['answers']} == {'sun moon.mp4', 'tree.mp4'}


def test_texts_are_encoded_one_by_one(client):
    _, answer = post(client, '/encode', texts=['dog', 'a - b'])
    assert answer['width'] == 8
    np.testing.assert_allclose(answer['vectors'], [vector_of('dog'), vector_of('a - b')], atol=1e-6)


def test_folders_of_urls_stand_beside_those_of_paths():
    folders = ['/home/me/videos/new', 'https://a.example/v', '/home/me/videos', 's3://b/v']
    names = FolderNames(folders)
    assert names.names == ['https://a.example/v', 's3://b/v', 'videos', 'videos/new']
    assert [names.path_of(names.name_of(folder)) for folder in folders] == folders
    assert FolderNames(['http://a.example', 'https://b.example']).names == [
        'http://a.example',
        'https://b.example',
    ]


def test_info_counts_and_names(client):
    info = client.get('/info').json()
    assert (info['videos'], info['segments'], info['folders']) == (3, 8, ['videos', 'videos/new'])
    assert info['limits']['depth'] == 10_000 and not info['can_caption']


@pytest.mark.parametrize(
    'query, message',
    [
        ('', 'empty'),
        (' \t\n ', 'empty'),
        ('+', 'nothing'),
        ('-', 'nothing'),
        ('+ - +', 'nothing'),
        ('a + ', 'nothing after +'),
        ('a' * 10_000, 'at most 1000'),
        ('a\x00b', 'control'),
        ('a\x1b[31mb', 'control'),
        ('\u200b', 'shows nothing'),
        ('"a', 'quote'),
        ('0*a', 'not 0'),
        ('nan*a', 'not 0'),
        ('2*', 'no term'),
        (' + '.join('a' * 17), 'at most 16'),
        ('dog - dog', 'cancel'),
    ],
)
def test_a_hostile_query_is_a_clear_error(client, query, message):
    status, answer = post(client, '/search', query=query)
    assert status == 422 and answer['error']['field'] == 'query'
    assert message in answer['error']['message'], answer


@pytest.mark.parametrize(
    'body, status',
    [
        (b'\xff\xfe{"query": "a"}', 400),
        (b'{"query": "\xe9"}', 400),
        (b'{"query": "\\ud800"}', 422),
        (b'{"query"', 400),
        (b'[' * 100_000, 400),
        (b'', 422),
        (b'null', 422),
        (b'{"query": 3}', 422),
        (b'{"query": "a", "top": 1e999}', 422),
        (b'{"query": "a", "min_duration": NaN}', 422),
        (b'{"query": "a", "offset": -1}', 422),
        (b'{"query": "a", "top": 101}', 422),
        (b'{"query": "a", "color": "red"}', 422),
        (b'{"query": "a", "folder": "../.."}', 422),
        (b'{"query": "a", "whole": true, "all_moments": true}', 422),
        (b'{"query": "a", "uploads": [{"token": "../../etc/passwd"}]}', 404),
        (b' ' * 300_000 + b'{}', 413),
    ],
)
def test_a_damaged_request_is_an_error_in_the_one_form(client, body, status):
    answer = client.post('/search', content=body, headers={'content-type': 'application/json'})
    assert (
        answer.status_code == status
        and list(answer.json()) == ['error']
        and answer.json()['error']['message']
    )


def test_a_query_never_looks_at_a_file(client, folder, monkeypatch):
    looked = []
    monkeypatch.setattr('mmclip4clip.search.queries.is_file', lambda name: looked.append(name) or True)
    for name in (f'{folder}/new/tree.mp4', '/etc/passwd.jpg', f'dog - {folder}/new/tree.mp4@0-1'):
        assert post(client, '/search', query=name)[0] == 200
    assert not looked


def test_what_the_model_cannot_do_is_said(client):
    video = found(client, query='dog')[0]['id']
    for status, answer in (post(client, '/caption', id=video), post(client, '/why', id=video, query='dog')):
        assert status == 501 and 'fake.pth' in answer['error']['message']
    assert post(client, '/caption', id='0' * 32)[0] == 501


class ReorderingIndex:
    """Longer searches put other answers first, as re-ranking does."""

    def __init__(self, count: int) -> None:
        self.count, self.tops = count, []
        self.catalog = self

    def state(self):
        return 1

    def search(self, query, top, **options):
        self.tops.append(top)
        order = np.random.default_rng(top).permutation(self.count)[:top]
        return [Answer(0.5, f'/{number}.mp4', 0.0, 1.0, 2.0) for number in order]


def test_pages_have_every_video_once_whatever_a_longer_search_changes():
    index = ReorderingIndex(1234)
    rankings, names, offset, more = Rankings(index, depth=10_000), [], 0, True
    while more:
        answers, more = rankings.page('key', [], {}, offset, 50)
        names += [answer.filename for answer in answers]
        offset += 50
    assert sorted(names) == sorted(f'/{number}.mp4' for number in range(1234)) and len(index.tops) == 3
    deep, _ = Rankings(index, depth=10_000).page('key', [], {}, 1100, 50)  # at once, without the pages before
    assert [answer.filename for answer in deep] == names[1100:1150]


def test_pages_end_at_the_depth():
    rankings = Rankings(ReorderingIndex(500), depth=210)
    answers, more = rankings.page('key', [], {}, 200, 100)
    assert len(answers) == 10 and not more
    assert (
        rankings.page('key', [], {}, 209, 1)[1] is False and rankings.page('key', [], {}, 208, 1)[1] is True
    )


def test_deep_pages_are_one_long_search(served, folder, tmp_path):
    index = VideoIndex.create(tmp_path / 'many', VideoModel())
    rng = np.random.default_rng(0)
    rows = [row for number in range(3000) for row in rows_of(f'/videos/{number}.mp4', rng)]
    index.store.add(rows)
    expected = [answer.filename for answer in index.search('dog', top=3000, where=Filter('/videos'))]
    index.close()
    client, names = served(tmp_path / 'many'), []
    for offset in (0, 100, 1450, 2999):
        status, page = post(client, '/search', query='dog', top=100, offset=offset)
        assert status == 200 and page['more'] == (offset + 100 < 3000)
        names = [f'/videos/{answer["name"]}' for answer in page['answers']]
        assert names == expected[offset : offset + 100]
    assert post(client, '/search', query='dog', offset=10_001)[0] == 422


def rows_of(path, rng):
    """Two moments of a video."""
    vectors = rng.normal(size=(2, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [SegmentRow(path, n, n, n + 1.0, 2.0, False, True, vectors[n]) for n in range(2)]


def test_a_server_may_have_lower_limits_than_the_schemas(served):
    client = served(top=2, query_characters=8, texts=1, strip_frames=2, height=50)
    first = found(client, query='cat', top=2)[0]['id']
    for path, content, field in (
        ('/search', dict(query='cat', top=3), 'top'),
        ('/similar', dict(id=first, top=3), 'top'),
        ('/search', dict(query='a cat and a dog', top=1), 'query'),
        ('/encode', dict(texts=['cat', 'dog']), 'texts'),
        ('/encode', dict(texts=['a cat and a dog']), 'texts'),
    ):
        status, answer = post(client, path, **content)
        assert (status, answer['error']['field']) == (422, field)
    for options in ('strip?frames=3&height=50', 'strip?frames=2&height=51', 'frame?height=51'):
        assert client.get(f'/videos/{first}/{options}').status_code == 422
    assert client.get(f'/videos/{first}/strip?frames=2&height=50').status_code == 200
    with pytest.raises(ValueError, match='top can only be lowered: expected at most 100, got 101'):
        Limits(top=101)


@pytest.mark.parametrize('again', [False, True])
def test_an_index_that_is_deleted_or_replaced_is_not_served(served, index_folder, tmp_path, again):
    client = served(shutil.copytree(index_folder, tmp_path / 'index'))
    assert found(client, query='dog')
    (tmp_path / 'index').rename(tmp_path / 'old')
    if again:
        shutil.copytree(index_folder, tmp_path / 'index')
    status, answer = post(client, '/search', query='dog')
    assert status == 503 and 'start the server again' in answer['error']['message']
