"""Measure how fast pages are usable and how much they load, alternately, in a headless Chromium.

python -m tests.apis.server.page.measure_load http://127.0.0.1:7860/ '#about:not(:empty)'

The arguments are pairs of an address and the selector of an element with which people can begin.
"""

import sys
import time

from .browser import launch

ROUNDS = 5


def measure(browser, address: str, ready: str) -> str:
    """Open a page with an empty cache, and describe what came."""
    context = browser.new_context()
    page = context.new_page()
    network = context.new_cdp_session(page)
    network.send('Network.enable')
    sizes: list[float] = []
    urls: list[str] = []
    network.on('Network.requestWillBeSent', lambda event: urls.append(event['request']['url']))
    network.on('Network.loadingFinished', lambda event: sizes.append(event['encodedDataLength']))
    start = time.perf_counter()
    page.goto(address, wait_until='commit')
    page.wait_for_selector(ready, timeout=120_000)
    seconds = time.perf_counter() - start
    page.wait_for_load_state('networkidle')
    foreign = sum(not url.startswith((address, 'data:', 'blob:')) for url in urls)
    context.close()
    return (
        f'{address} usable after {1000 * seconds:.0f} ms, {sum(sizes) / 1000:.0f} kB, '
        f'{len(urls)} requests, {foreign} of them elsewhere'
    )


if __name__ == '__main__':
    with launch() as chromium:
        for _ in range(ROUNDS):
            for pair in zip(sys.argv[1::2], sys.argv[2::2]):
                print(measure(chromium, *pair), flush=True)
