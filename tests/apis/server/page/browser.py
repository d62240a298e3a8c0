"""A headless Chromium for the tests of the page, and servers that answer it."""

import os
import shutil
import threading
import time
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

NAMES = ('chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome')
FLAGS = [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-dev-shm-usage',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-default-apps',
    '--disable-sync',
    '--autoplay-policy=no-user-gesture-required',
]


def find_chromium() -> str:
    """Return the program of the browser, or skip the test."""
    if find_spec('playwright') is None:
        pytest.skip('playwright is not installed: it is in the extra test')
    program = os.environ.get('CHROMIUM') or next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip('there is no Chromium: apt-get install chromium, or name it in $CHROMIUM')
    return program


@contextmanager
def launch():
    """Start a browser with a new profile."""
    program = find_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=FLAGS
        )  # headless, with a new profile
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def serve(app):
    """Answer at a free port of this machine from a thread; gives the address."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level='error', timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    end = time.monotonic() + 60
    while not server.started and thread.is_alive() and time.monotonic() < end:
        time.sleep(0.01)
    assert server.started
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f'http://127.0.0.1:{port}/'
    finally:
        server.should_exit = True
        thread.join(30)


class Visit:
    """A page of a browser that remembers what it asked for and what went wrong in it.

    Args:
        browser (Browser): Of playwright.
        address (str): Of the server.
        pictures (Path, optional): Folder for screenshots.
        options: Of the browser's context, such as ``color_scheme``.
    """

    def __init__(self, browser, address: str, pictures: Path | None = None, **options) -> None:
        self.address, self.pictures = address, pictures
        self.context = browser.new_context(**dict(dict(viewport=dict(width=1280, height=800)), **options))
        self.context.set_default_timeout(60_000)  # a loaded machine takes its time
        self.requests: list[str] = []
        self.faults: list[str] = []
        self.context.on('request', lambda request: self.requests.append(request.url))
        self.page = self.context.new_page()
        self.page.on('pageerror', lambda fault: self.faults.append(str(fault)))
        self.page.on('console', self._listen)
        self.page.goto(address)

    def _listen(self, message) -> None:
        if message.type == 'error' and 'Failed to load resource' not in message.text:
            self.faults.append(message.text)

    def search(self, text: str) -> None:
        """Type a query and press Enter."""
        self.page.fill('#query', text)
        self.page.press('#query', 'Enter')
        self.page.wait_for_selector('.card')

    def names(self) -> list[str]:
        """Return the names of the answers in order."""
        return self.page.locator('.card .name').all_text_contents()

    def settle(self) -> None:
        """Wait until the pictures in the window are there."""
        self.page.wait_for_load_state('networkidle')
        self.page.evaluate(
            """async () => {
                for (const picture of document.images) {
                    const { top } = picture.getBoundingClientRect();
                    if (top < innerHeight) await picture.decode().catch(() => {});
                }
            }"""
        )

    def picture(self, name: str) -> Path | None:
        """Keep a screenshot, if there is a folder for it."""
        if self.pictures is None:
            return None
        self.settle()
        self.pictures.mkdir(parents=True, exist_ok=True)
        path = self.pictures / f'{name}.png'
        self.page.screenshot(path=path)
        return path

    def close(self) -> None:
        """Close the page; check that it asked this server only, and that nothing went wrong in it."""
        with suppress(Exception):
            self.context.close()
        foreign = [url for url in self.requests if not url.startswith(self.address)]
        assert not foreign
        assert not self.faults


def wait_until_playing(page) -> None:
    page.wait_for_selector('dialog video')
    page.evaluate(
        """() => new Promise((done) => {
            const video = document.querySelector('dialog video');
            const look = () => { if (video.readyState >= 2 && !video.seeking) done(); };
            for (const name of ['seeked', 'canplay', 'playing']) video.addEventListener(name, look);
            look();
        })"""
    )


def focused(page) -> str:
    return page.evaluate('document.activeElement.getAttribute("aria-label") || document.activeElement.id')


def red_png() -> bytes:
    return cv2.imencode('.png', np.full((48, 64, 3), (0, 0, 255), np.uint8))[1].tobytes()
