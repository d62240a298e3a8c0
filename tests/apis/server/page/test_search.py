"""Searching on the page: answers, filters, similar videos, errors."""

import re

import pytest

from mmclip4clip.apis.server.page_routes import PAGE

from .browser import focused
from .conftest import HOSTILE


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


def test_all_modules_are_loaded_at_once():
    text = (PAGE / 'index.html').read_text()
    loaded = set(re.findall(r'static/(\w+\.(?:js|css|svg))', text))
    assert loaded == {path.name for path in PAGE.iterdir()} - {'index.html'}
