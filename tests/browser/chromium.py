"""Debian's Chromium, driven by Playwright; nothing is downloaded."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.programs import require

__all__ = ["chromium", "state_of", "visit"]


@contextmanager
def chromium(*arguments: str) -> Iterator[Browser]:
    program = require("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", *arguments])
        try:
            yield browser
        finally:
            browser.close()


def visit(context: BrowserContext, url: str) -> Page:
    """A new tab at `url`, once the check has told what it found."""
    page = context.new_page()
    page.goto(url)
    page.locator("html[data-periksa]").wait_for(state="attached")
    return page


def state_of(page: Page) -> str | None:
    """What the page says that the check found: see site_templates/check/outcome.js."""
    return page.evaluate("document.documentElement.dataset.periksa ?? null")
