"""Thumbnails in real Chromium: loaded when a station is opened, and only with the bytes that the page names."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request

from tests.browser.chromium import visit
from tests.browser.places import VILLAGE, Place
from tests.election import correction
from tests.publish.workspace import deliver, make_workspace, publish
from tests.scans import with_scans


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with a scan of a station that was corrected."""
    now, workspace = datetime.now(UTC).replace(microsecond=0), make_workspace(tmp_path_factory.mktemp("scanned"))
    deliver(workspace)
    publish(workspace, now - timedelta(minutes=2))
    deliver(workspace, {"scanned": with_scans(correction(), "110101_2.jpg")})
    publish(workspace, now)
    return workspace / "public"


@pytest.fixture
def place(public: Path, tmp_path: Path) -> Iterator[Place]:
    made = Place(public, tmp_path / "place")
    yield made
    made.stop()


def open_station(page: Page) -> int:
    """Opens the station; how wide the thumbnail came out, 0 if it did not come."""
    page.locator("summary", has_text="TPS 2").click()
    image = page.locator("#tps-2 img")
    image.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('#tps-2 img').complete")
    width: int = image.evaluate("one => one.naturalWidth")
    return width


@pytest.mark.parametrize("visits", [1, 2], ids=["without the checker", "with the checker"])
def test_a_thumbnail_comes_when_it_is_looked_at(place: Place, context: BrowserContext, visits: int) -> None:
    """No picture is asked for until the station is opened; then the thumbnail is, and the scan is not."""
    for _ in range(visits):
        page = visit(context, place.url + VILLAGE)
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    context.on("request", note)
    page.reload()
    page.locator("html[data-periksa]").wait_for(state="attached")
    assert not any("/packages/" in one for one in asked)
    assert open_station(page) == 160
    assert {one.partition("?")[0].rpartition("/")[2] for one in asked if "/packages/" in one} == {
        "110101_2.jpg.thumb.png"
    }


def test_another_picture_is_not_shown(place: Place, browser: Browser, context: BrowserContext) -> None:
    """Where the checker stands before the page, a thumbnail with other bytes than the page names is not shown."""
    for thumbnail in place.public.glob("uji/packages/*/*.thumb.png"):
        shutil.copyfile(Path(__file__).parent.parent / "golden" / "card.png", thumbnail)
    with browser.new_context(service_workers="block") as unchecked:
        assert open_station(visit(unchecked, place.url + VILLAGE)) == 600
    visit(context, place.url + VILLAGE)
    assert open_station(visit(context, place.url + VILLAGE)) == 0
