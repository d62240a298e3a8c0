"""The page in a real browser: what people see and do."""

import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmclip4clip.apis.server import Service, create_app
from mmclip4clip.apis.server.schemas import FrameReason, Reasons, WordReason
from mmclip4clip.search import FixedWindows
from mmclip4clip.search.index import VideoIndex

from . import browser as browsers
from .conftest import LOCAL, VideoModel, write_clip

HOSTILE = '<img src=x onerror=alert(1)>.mp4'  # a file may have this name
PICTURES = os.environ.get('MMCLIP4CLIP_SCREENSHOTS')


@pytest.fixture(scope='module')
def browser():
    with browsers.launch() as browser:
        yield browser


@pytest.fixture(scope='module')
def address(tmp_path_factory):
    """A server of videos with a word for each second."""
    folder = tmp_path_factory.mktemp('page').resolve()
    names = ['dog cat sun moon.mp4', 'dog tree.mp4', 'new/sun rain wind.mp4', f'new/{HOSTILE}']
    for name in names:
        write_clip(folder / 'videos' / name, seconds=4 if 'moon' in name else 2)
    index = VideoIndex.create(folder / 'index', VideoModel(), FixedWindows(1, 1))
    index.update([folder / 'videos'])
    index.close()
    service = Service(folder / 'index', lambda: VideoIndex.open(folder / 'index', VideoModel()))
    with browsers.serve(create_app(service, LOCAL)) as address:
        yield address


@pytest.fixture
def visit(browser, address):
    """The page, opened with options of a browser's context; checked when it is closed."""
    visits = []

    def visit(path='', **options):
        visits.append(browsers.Visit(browser, address, PICTURES and Path(PICTURES), **options))
        if path:
            visits[-1].page.goto(address + path)
        return visits[-1]

    yield visit
    for opened in visits:
        opened.close()


@pytest.fixture
def page(visit):
    """A page with answers to "moon"; the best is the last second of a video of four."""
    opened = visit()
    opened.search('moon')
    return opened.page


def seconds_of(page) -> float:
    return page.evaluate("document.querySelector('dialog video').currentTime")


def gray_of(page) -> float:
    """Read a pixel of what the player shows."""
    return page.evaluate(
        """() => {
            const canvas = Object.assign(document.createElement('canvas'), { width: 8, height: 8 });
            const drawing = canvas.getContext('2d');
            drawing.drawImage(document.querySelector('dialog video'), 0, 0, 8, 8);
            return drawing.getImageData(4, 4, 1, 1).data[0];
        }"""
    )


def wait_until_playing(page) -> None:
    page.wait_for_selector('dialog video')
    page.evaluate(
        """() => new Promise((done) => {
            const video = document.querySelector('dialog video');
            const look = () => { if (video.readyState >= 2 && !video.seeking) done(); };
            for (const name of ['seeked', 'canplay', 'playing', 'timeupdate']) video.addEventListener(name, look);
            look();
        })"""
    )


def focused(page) -> str:
    return page.evaluate('document.activeElement.getAttribute("aria-label") || document.activeElement.id')


def test_the_empty_page_says_how_many_videos_there_are_and_what_to_do(visit):
    opened = visit()
    opened.page.wait_for_selector('#about:not(:empty)')
    assert opened.page.text_content('#title') == 'Find a moment in 4 videos'
    assert 'drop a picture' in opened.page.text_content('#empty')
    assert focused(opened.page) == 'What happens in the video'
    opened.picture('start')


def test_typing_finds_the_moment_and_the_number_of_answers_is_announced(page):
    card = page.locator('.card').first
    assert card.locator('.name').text_content() == 'dog cat sun moon.mp4'
    assert card.locator('.time').text_content() == '0:03–0:04'
    assert float(card.locator('.score').text_content().split()[-1]) == pytest.approx(1, abs=0.01)
    assert page.locator('#count[role=status]').text_content().startswith('4 answers, in ')
    assert 'moon' in page.title() and page.url.endswith('?q=moon')


def test_playing_starts_at_the_moment_and_marks_it_on_the_timeline(page):
    page.locator('.media').first.click()
    wait_until_playing(page)
    assert 3 <= seconds_of(page) <= 4
    assert gray_of(page) == pytest.approx(60 + 40 * 3, abs=6)  # the color of the fourth second
    position = page.locator('.position')
    assert position.evaluate("p => [p.style.getPropertyValue('--from'), p.max]") == ['0.75', '4']
    assert position.get_attribute('aria-label') == 'Position; the moment is 0:03 to 0:04'


def test_seeking_shows_another_second_and_the_button_goes_back(page):
    page.locator('.media').first.click()
    wait_until_playing(page)
    page.keyboard.press('Space')  # the focus is on the button that pauses
    page.locator('.position').fill('1.5')
    wait_until_playing(page)
    assert gray_of(page) == pytest.approx(60 + 40, abs=6)
    assert page.locator('.clock').text_content() == '0:01.5 / 0:04'
    page.get_by_role('button', name='Back to the moment').click()
    wait_until_playing(page)
    assert seconds_of(page) >= 3


def test_a_card_plays_its_moment_without_sound_while_the_mouse_is_on_it(page):
    page.locator('.media').first.hover()
    page.wait_for_selector('.media.moving video')
    assert page.evaluate(
        "[...document.querySelectorAll('.media video')].map((v) => [v.muted, v.currentTime >= 3])"
    ) == [[True, True]]
    page.mouse.move(0, 0)
    page.wait_for_selector('.media video', state='detached')


def test_similar_leaves_the_video_out_and_back_returns_to_the_answers(page):
    page.get_by_role('button', name='Similar: dog cat sun moon.mp4').click()
    page.wait_for_selector('.chip img')
    page.wait_for_selector('.card')
    assert 'Like dog cat sun moon.mp4' in page.text_content('#chips')
    assert page.input_value('#query') == ''
    assert 'dog cat sun moon.mp4' not in page.locator('.card .name').all_text_contents()
    page.go_back()
    page.wait_for_selector('.card[data-id] >> text=dog cat sun moon.mp4')
    assert page.input_value('#query') == 'moon' and not page.locator('.chip').count()
    page.go_forward()
    page.wait_for_selector('.chip')


def test_back_closes_the_player_and_a_link_opens_it(page, visit):
    page.locator('.media').first.click()
    page.wait_for_selector('dialog[open]')
    link = page.url
    page.go_back()
    page.wait_for_selector('dialog', state='hidden')
    assert page.locator('.card').count() == 4
    other = visit(link.partition('?')[1] + link.partition('?')[2]).page
    wait_until_playing(other)
    assert other.text_content('#player-name') == 'dog cat sun moon.mp4' and 3 <= seconds_of(other) <= 4


def test_filters_are_in_the_address_and_can_be_cleared(page):
    page.select_option('#folder', 'videos/new')
    page.wait_for_selector('.card >> text=sun rain')
    assert set(page.locator('.card .name').all_text_contents()) == {'sun rain wind.mp4', HOSTILE}
    page.select_option('#kind', 'whole')
    page.wait_for_selector('.card .time >> text=whole video')
    page.fill('#min', '3.5')
    page.press('#min', 'Enter')
    page.wait_for_selector('text=Nothing found')
    assert re.search(r'\?q=moon&kind=whole&folder=videos%2Fnew&min=3.5$', page.url)
    page.click('#clear')
    page.wait_for_selector('.card')
    assert page.locator('.card').count() == 4 and focused(page) == 'What happens in the video'


def test_every_moment_of_a_video_can_be_listed(page):
    page.select_option('#kind', 'all')
    page.wait_for_selector('.card:nth-child(5)')
    assert page.locator('.card .name').all_text_contents().count('dog cat sun moon.mp4') == 4


def red_png() -> bytes:
    return cv2.imencode('.png', np.full((48, 64, 3), (0, 0, 255), np.uint8))[1].tobytes()


DROP = """([name, type, bytes]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(bytes)], name, { type }));
    for (const kind of ['dragenter', 'dragover', 'drop'])
        document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""


def test_a_dropped_image_is_searched_with_alone_and_with_words(visit):
    opened = visit()
    page = opened.page
    page.evaluate(DROP, ['red <b>.png', 'image/png', list(red_png())])
    page.wait_for_selector('.chip canvas')
    page.wait_for_selector('.card')
    assert page.text_content('.chip-name') == 'red <b>.png' and page.locator('#drop').is_hidden()
    with page.expect_request('**/search') as asked:
        opened.search('moon')
    sent = asked.value.post_data_json
    assert sent['query'] == 'moon' and [upload['weight'] for upload in sent['uploads']] == [1]
    with page.expect_request('**/search') as asked:
        page.click('.chip .sign')
    assert [upload['weight'] for upload in asked.value.post_data_json['uploads']] == [-1]
    page.click('.chip .remove')
    page.wait_for_selector('.chip', state='detached')
    assert page.url.endswith('?q=moon')


def test_a_chosen_video_is_searched_with(visit, tmp_path):
    page = visit().page
    page.set_input_files('#file', write_clip(tmp_path / 'clip.mp4'))
    page.wait_for_selector('.card')
    assert page.text_content('.chip .kind') == 'video'


def test_a_file_that_is_neither_image_nor_video_is_refused_in_words(visit, tmp_path):
    (tmp_path / 'notes.txt').write_text('dog')
    page = visit().page
    page.set_input_files('#file', tmp_path / 'notes.txt')
    page.wait_for_selector('#error[role=alert] p')
    assert 'image' in page.text_content('#error') and not page.locator('.chip').count()


def test_names_and_queries_are_shown_as_text(visit):
    opened = visit()
    opened.search('<script>alert(1)</script>')
    assert HOSTILE in opened.names()
    opened.page.locator('.card', has_text=HOSTILE).locator('.media').click()
    opened.page.wait_for_selector('dialog[open]')
    assert opened.page.text_content('#player-name') == HOSTILE
    assert not opened.page.locator('dialog img[src=x], .card img[src=x], main script').count()
    assert opened.page.title().startswith('<script>alert(1)</script>')


def test_a_faulty_query_is_explained_and_the_next_one_is_answered(visit):
    opened = visit()
    opened.page.fill('#query', '"a beach" +')
    opened.page.press('#query', 'Enter')
    opened.page.wait_for_selector('#error p')
    assert '+' in opened.page.text_content('#error')
    opened.search('moon')
    assert opened.page.text_content('#error') == ''


def test_a_server_that_went_away_is_told_and_asked_again(visit):
    opened = visit()
    opened.context.set_offline(True)
    opened.page.fill('#query', 'moon')
    opened.page.press('#query', 'Enter')
    opened.page.wait_for_selector('#error p')
    assert 'does not answer' in opened.page.text_content('#error')
    opened.context.set_offline(False)
    opened.page.get_by_role('button', name='Try again').click()
    opened.page.wait_for_selector('.card')
    assert opened.page.text_content('#error') == ''


def test_a_video_that_the_browser_cannot_play_is_told_with_its_frames(page):
    page.route(
        re.compile(r'/videos/[^/]+$'), lambda route: route.fulfill(body=b'no video', content_type='video/mp4')
    )
    page.locator('.media').first.click()
    page.wait_for_selector('dialog.still')
    assert 'cannot play dog cat sun moon.mp4' in page.text_content('.note')
    assert (
        page.locator('.strip img').evaluate(
            'async (strip) => { await strip.decode(); return strip.naturalWidth; }'
        )
        > 64
    )
    assert page.get_by_role('link', name='Save the file').get_attribute('download') == 'dog cat sun moon.mp4'


def test_reasons_are_drawn_below_the_film_strip_and_lead_to_their_frames(page):
    frames = [
        FrameReason(time=3 + second / 4, score=score) for second, score in enumerate((0.1, 0.4, 0.2, -0.1))
    ]
    found = Reasons(frames=frames, words=[WordReason(word='<i>moon', frame=1, score=0.5)])
    page.route('**/why', lambda route: route.fulfill(json=found.model_dump()))
    page.get_by_role('button', name='Why: dog cat sun moon.mp4').click()
    page.wait_for_selector('.frames')
    assert page.locator('.value').all_text_contents() == ['0.100', '0.400', '0.200', '-0.100']
    heights = page.locator('.column').evaluate_all(
        "all => all.map((c) => Number(c.style.getPropertyValue('--height')))"
    )
    assert np.argsort(heights).tolist() == [3, 0, 2, 1] and heights[1] == 1 and heights[3] > 0
    assert page.locator('.frame.best .when').text_content() == '0:03.3'
    word = page.get_by_role('button', name='<i>moon: best frame 0:03.3')
    word.focus()
    assert page.locator('li.lit .value').text_content() == '0.400'
    word.press('Enter')
    assert seconds_of(page) == pytest.approx(3.25)


def test_what_the_server_cannot_explain_or_describe_is_told(page):
    page.route(
        '**/why', lambda route: route.fulfill(status=501, json=dict(error=dict(message='it cannot explain')))
    )
    page.get_by_role('button', name='Why: dog cat sun moon.mp4').click()
    page.wait_for_selector('.note >> text=it cannot explain')
    assert not page.get_by_role('button', name='Describe it').count()  # the model is no captioner


def test_a_captioner_describes_the_moment(visit):
    opened = visit()
    opened.page.route(
        '**/info', lambda route: route.fulfill(json=dict(route.fetch().json(), can_caption=True))
    )
    opened.page.route('**/caption', lambda route: route.fulfill(json=dict(caption='a <moon> rises')))
    opened.page.reload()
    opened.search('moon')
    opened.page.locator('.media').first.click()
    opened.page.get_by_role('button', name='Describe it').click()
    opened.page.wait_for_selector('.caption >> text=a <moon> rises')


def test_the_keyboard_is_enough_and_the_dialog_keeps_and_returns_the_focus(visit):
    page = visit().page
    page.wait_for_selector('#about:not(:empty)')
    page.keyboard.press('Tab')
    page.keyboard.press('/')
    assert focused(page) == 'What happens in the video'
    page.keyboard.type('moon')
    page.keyboard.press('Enter')
    page.wait_for_selector('.card')
    visited = []
    while not focused(page).startswith('Play '):
        page.keyboard.press('Tab')
        visited.append(focused(page))
        assert len(visited) < 20
    assert visited[:4] == ['choose', '', 'kind', 'folder'] and visited[4:6] == ['min', 'max']
    page.wait_for_selector('.media.moving')  # the focus previews as the mouse does
    page.keyboard.press('Enter')
    page.wait_for_selector('dialog[open]')
    stops = set()
    for _ in range(14):
        page.keyboard.press('Tab')
        assert page.evaluate("document.querySelector('dialog').contains(document.activeElement)")
        stops.add(focused(page))
    assert {'Close', 'Pause', 'Next answer'} <= stops or {'Close', 'Play', 'Next answer'} <= stops
    page.keyboard.press('Escape')
    page.wait_for_selector('dialog', state='hidden')
    assert focused(page).startswith('Play dog cat sun moon.mp4')


def test_ten_thousand_answers_are_paged_with_few_cards_in_the_page(page):
    def answer(route):
        asked = route.request.post_data_json
        first, number = asked['offset'], asked['top']
        some = dict(id='x', score=0.5, folder='videos', start=0.0, end=1.0, duration=2.0)
        answers = [dict(some, name=f'{n}.mp4') for n in range(first, min(first + number, 10_000))]
        route.fulfill(json=dict(answers=answers, offset=first, more=first + number < 10_000, seconds=0.1))

    page.route('**/search', answer)
    page.route('**/frame?*', lambda route: route.fulfill(body=red_png(), content_type='image/png'))
    page.fill('#query', 'all')
    page.press('#query', 'Enter')
    for shown in range(24, 24 * 9, 24):
        page.wait_for_selector(f'.card >> text="{shown - 1}.mp4"')
        page.click('#more')
    page.wait_for_selector('.card >> text="215.mp4"')
    names = page.locator('.card .name').all_text_contents()
    assert names == [f'{n}.mp4' for n in range(96, 216)]
    assert page.get_attribute('#grid', 'start') == '97' and '216 answers' in page.text_content('#count')
    assert focused(page) == 'Play 192.mp4, 0:00 to 0:01'
    page.click('#earlier')
    page.wait_for_selector('.card >> text="72.mp4"')
    assert page.locator('.card').count() == 120


@pytest.mark.parametrize('width, scheme', [(360, 'dark'), (1600, 'light')])
def test_nothing_overflows_and_axe_finds_no_fault(visit, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    opened = visit(viewport=dict(width=width, height=900), color_scheme=scheme)
    page = opened.page
    page.wait_for_selector('#about:not(:empty)')

    def look(name):
        opened.picture(f'{name}-{scheme}-{width}')
        if (scheme == 'dark') == (name in ('start', 'similar')):  # once each, because it takes a second
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
        assert page.evaluate('document.documentElement.scrollWidth') <= width

    look('start')
    opened.search('moon')
    look('answers')
    page.locator('.media').first.click()
    wait_until_playing(page)
    look('player')
    page.keyboard.press('Escape')
    page.get_by_role('button', name='Similar: dog cat').click()
    page.wait_for_selector('.chip img')
    page.wait_for_selector('.card')
    look('similar')
