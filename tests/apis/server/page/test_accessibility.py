"""The page for everyone: keyboard, screen reader, narrow and wide, light and dark, many answers."""

import pytest

from .browser import focused, red_png, wait_until_playing


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
