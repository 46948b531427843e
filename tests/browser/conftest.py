"""One Chromium and one published site for all tests in the browser."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.browser.chromium import chromium
from tests.browser.places import Published, Site


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Not for the whole session: Playwright keeps a loop running in this thread, and tests of other modules want their own.
    with chromium("--host-resolver-rules=MAP hasil.test 127.0.0.1") as found:
        yield found


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    return Published(tmp_path_factory.mktemp("site"), datetime.now(UTC).replace(microsecond=0))


@pytest.fixture
def site(published: Published, tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path, published)
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context() as made:
        yield made
