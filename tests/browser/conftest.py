"""The harness of browser tests: a headless Chromium, pages of a running API, and what every page must keep to.

A test asks for `visit` and calls it with a path:

    def test_the_page_opens(visit):
        page = visit("/v1/docs", dark=True, width=400)

Every page is watched until its test ends: an error in its console, a violation of its content security policy, a request to
another origin or an answer of 5xx fails the test. `HOLDFAST_URL` and `HOLDFAST_TOKENS` (JSON: role to token) come from
tests/browser.sh; screenshots go to `HOLDFAST_SCREENSHOTS`.
"""

import json
import os
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright


@pytest.fixture(scope="session")
def url():
    return os.environ["HOLDFAST_URL"]


@pytest.fixture(scope="session")
def tokens():
    return json.loads(os.environ["HOLDFAST_TOKENS"])


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as driver:
        # Sandboxed processes need rights that root in a container does not have.
        chromium = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, url):
    """Opens a page of the API. `expected` are statuses of its own calls that the test provokes: browsers log them as errors."""
    opened, wrong = [], []

    def watch(page, expected):
        def said(message):
            failed_call = "Failed to load resource" in message.text
            if message.type in ("error", "warning") and not (failed_call and expected):
                wrong.append(f"console: {message.text}")

        def answered(response):
            if response.status >= 500 and response.status not in expected:
                wrong.append(f"{response.status}: {response.url}")

        page.on("console", said)
        page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
        page.on("response", answered)
        page.on("request", lambda request: request.url.startswith((url, "data:", "blob:")) or wrong.append(f"asked {request.url}"))

    def visit(path, dark=False, width=1280, height=900, expected=()):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", accept_downloads=True
        )
        page = context.new_page()
        watch(page, expected)
        page.goto(url + path)
        opened.append(context)
        return page

    yield visit
    for context in opened:
        context.close()
    assert not wrong, wrong


@pytest.fixture
def shot(request):
    """Keeps a picture of a page for people to look at."""
    directory = Path(os.environ.get("HOLDFAST_SCREENSHOTS", "/tmp"))
    directory.mkdir(parents=True, exist_ok=True)

    def shot(page, name, full=False):
        page.screenshot(path=directory / f"{request.node.name}-{name}.png", full_page=full)

    return shot
