"""Playing moments: where they start, seeking, previews, reasons, captions."""

import re

import numpy as np
import pytest

from mmclip4clip.apis.server.schemas import FrameReason, Reasons, WordReason

from .browser import wait_until_playing


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
