"""The service worker in real Chromium: what a reader is shown when the origin is altered, away or behind.

The site is one that `terbit publish` made, with its log; origin and mirror are two servers of it.
"""

import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.browser.chromium import state_of, visit
from tests.browser.places import NEIGHBOUR, VILLAGE, Place, Published, Site


def stop_worker(page: Page) -> None:
    """What browsers do after half a minute: the next page starts the worker from what it has saved."""
    session = page.context.new_cdp_session(page)
    session.send("ServiceWorker.enable")
    session.send("ServiceWorker.stopAllWorkers")


def first_visit(context: BrowserContext, url: str) -> Page:
    """A visit that installs the worker."""
    page = visit(context, url)
    assert state_of(page) in {"first", "stale"}, page.locator("[data-periksa-status]").inner_text()
    return page


def served(page: Page) -> str:
    """The bytes that the worker gives for the page now."""
    return page.evaluate("fetch(location.href).then((answer) => answer.text())")


def signed(published: Published, page: str) -> str:
    return (published.public / page).read_text()


def test_a_good_site_is_checked(site: Site, context: BrowserContext) -> None:
    """The first view says that it was not checked; the next one tells release, signers and log, without a warning."""
    page = first_visit(context, site.page())
    assert state_of(page) == "first"
    page = visit(context, site.page())
    assert state_of(page) == "checked"
    assert page.locator("[role=alert]").count() == 0
    box = page.locator(".check").inner_text()
    assert "rilis 2" in box
    assert "Angka wilayah 1101: 1 (perlu 1)" in box
    assert re.search(r"\d [A-Z][a-z]+ 20\d\d \d\d\.\d\d WIB", box)
    assert not re.search("root|targets|snapshot|timestamp|ppwp-", box)
    assert "dicatat di log" in box


def test_nothing_breaks_the_pages_own_policy(site: Site, context: BrowserContext) -> None:
    """The worker and the page's script run under the policy that the server sends: nothing is blocked."""
    said: list[str] = []
    context.on("console", lambda message: said.append(message.text))
    context.on("weberror", lambda error: said.append(str(error.error)))
    first_visit(context, site.page())
    visit(context, site.page())
    assert [text for text in said if "favicon" not in text and "404" not in text] == []


def test_the_standalone_checker_works_after_a_visit(site: Site, context: BrowserContext) -> None:
    """What the worker answers for the checker in one file looks and runs as it does from the server."""
    first_visit(context, site.page())
    page = context.new_page()
    page.goto(site.page("uji/assets/periksa.html"))
    assert page.evaluate("navigator.serviceWorker.controller !== null")
    assert page.evaluate("getComputedStyle(document.querySelector('#outcome')).borderTopStyle") == "solid"
    results = site.published.public / "uji/ppwp/0.json"
    page.set_input_files("#files", [results, f"{results}.minisig", site.published.public / "uji/keys/minisign.pub"])
    page.locator("#outcome[data-state=ok]").wait_for()


def alter_page(site: Site) -> None:
    site.origin.alter_page(VILLAGE)


def alter_metadata(site: Site) -> None:
    site.origin.alter("uji/metadata/timestamp.json")


def alter_everything(site: Site) -> None:
    site.origin.alter("uji/**/*.html", "uji/**/*.json")


def show_release(place: Place, public: Path) -> None:
    """All of a release at `place`, the timestamp last."""
    shutil.copytree(public, place.public, dirs_exist_ok=True)


def roll_back(site: Site) -> None:
    """The origin shows the whole of the release before."""
    show_release(site.origin, site.published.old)


def take_away(site: Site) -> None:
    shutil.rmtree(site.origin.public / "uji")


def shut_down(site: Site) -> None:
    site.origin.stop()


@pytest.mark.parametrize("attack", [alter_page, alter_metadata, alter_everything, roll_back, take_away, shut_down])
def test_a_bad_origin_is_replaced_by_a_mirror(
    attack: Callable[[Site], None], site: Site, context: BrowserContext
) -> None:
    """THREATS 1, 3, 9: an altered, older, empty or absent origin: the reader sees the signed page from the mirror, and is told so."""
    page = first_visit(context, site.page("uji/index.html"))
    attack(site)
    stop_worker(page)
    page = visit(context, site.page())
    assert state_of(page) == "mirror"
    assert f"127.0.0.1:{site.published.mirror_port}" in page.locator("[role=alert]").inner_text()
    assert served(page) == signed(site.published, VILLAGE)


def test_the_first_check_knows_the_mirrors(site: Site, context: BrowserContext) -> None:
    """An origin that alters a page right after the checker was installed is replaced by a mirror, too."""
    first_visit(context, site.page("uji/index.html"))
    alter_page(site)
    page = visit(context, site.page())
    assert state_of(page) == "mirror"
    assert served(page) == signed(site.published, VILLAGE)


@pytest.mark.parametrize("what", ["*.tlog-proof", "*.snapshot.json", "2.site.json"])
def test_a_new_release_counts_only_whole(what: str, site: Site, context: BrowserContext) -> None:
    """THREATS 5, 14: a new release whose log proof, snapshot or role was altered at the origin comes from the mirror."""
    show_release(site.origin, site.published.old)
    page = first_visit(context, site.page("uji/index.html"))
    show_release(site.origin, site.published.public)
    site.origin.alter(f"uji/metadata/{what}")
    stop_worker(page)
    page = visit(context, site.page("uji/tentang.html"))
    assert state_of(page) == "mirror"
    assert "Rilis kedua." in page.locator("main").inner_text()


def test_offline_after_one_visit(site: Site, context: BrowserContext) -> None:
    """With origin and mirror away, a page that was visited once is there with its style, and says what it is."""
    page = first_visit(context, site.page())
    page.wait_for_timeout(500)
    site.stop()
    stop_worker(page)
    page = visit(context, site.page())
    assert state_of(page) == "own"
    assert "tidak dapat dihubungi" in page.locator("[role=alert]").inner_text()
    assert served(page) == signed(site.published, VILLAGE)
    assert page.evaluate("document.styleSheets[0].cssRules.length") > 10


def test_a_full_disk_keeps_no_page_from_being_shown(site: Site, context: BrowserContext) -> None:
    """Where the browser has no room left for a new release's state, its pages are checked and shown, and every one was a network error."""
    show_release(site.origin, site.published.old)
    page = first_visit(context, site.page())
    session = context.new_cdp_session(page)
    session.send("Storage.overrideQuotaForOrigin", {"origin": site.page("").rstrip("/"), "quotaSize": 1})
    show_release(site.origin, site.published.public)
    stop_worker(page)
    page = visit(context, site.page(NEIGHBOUR))
    assert state_of(page) == "checked"
    assert served(page) == signed(site.published, NEIGHBOUR)


def test_where_nothing_verifies_nothing_is_shown(site: Site, context: BrowserContext) -> None:
    """THREATS 1: a page that every place has altered is not shown: the notice says so and has no figure."""
    page = first_visit(context, site.page("uji/index.html"))
    for place in (site.origin, site.mirror):
        place.alter_page(NEIGHBOUR)
    stop_worker(page)
    page = context.new_page()
    answer = page.goto(site.page(NEIGHBOUR))
    assert answer is not None
    assert answer.status == 503
    assert page.locator("h1").inner_text() == "Halaman ini tidak dapat diperiksa"
    assert not any(character.isdigit() for character in page.locator("main").inner_text())


def test_altered_everywhere_the_visited_page_stays(site: Site, context: BrowserContext) -> None:
    """With all metadata altered everywhere, what was checked before still counts, and the reader is told."""
    page = first_visit(context, site.page())
    page.wait_for_timeout(500)
    for place in (site.origin, site.mirror):
        place.alter("uji/**/*.html", "uji/**/*.json")
    stop_worker(page)
    page = visit(context, site.page())
    assert state_of(page) == "own"
    assert served(page) == signed(site.published, VILLAGE)


def test_an_unlisted_page_is_not_shown(site: Site, context: BrowserContext) -> None:
    """A page that the origin invents is not in the signed lists: it is not shown."""
    page = first_visit(context, site.page())
    (site.origin.public / "uji/hasil-akhir.html").write_text("<h1>Hasil akhir: 99 %</h1>")
    page = context.new_page()
    answer = page.goto(site.page("uji/hasil-akhir.html"))
    assert answer is not None
    assert answer.status == 404
    assert "99" not in page.content()


@pytest.mark.parametrize("name", ["packages/hasil.html", "targets/hasil.html", "metadata/hasil.svg", "log/hasil.html"])
def test_what_verifies_by_itself_is_never_a_page(name: str, site: Site, context: BrowserContext) -> None:
    """Folders that the worker lets through bring no page of the origin's: what lies there is text, without rights."""
    page = first_visit(context, site.page())
    (site.origin.public / "uji" / name).write_text(
        "<svg xmlns='http://www.w3.org/2000/svg'><script>document.title = 'PALSU'</script></svg>"
    )
    page = context.new_page()
    answer = page.goto(site.page(f"uji/{name}"))
    assert answer is not None
    assert answer.headers["content-type"].startswith("text/plain")
    assert page.title() != "PALSU"


def test_a_malformed_address_goes_round_nothing(site: Site, context: BrowserContext) -> None:
    """An address that cannot be decoded is answered by the worker too."""
    page = first_visit(context, site.page())
    page = context.new_page()
    answer = page.goto(site.page("uji/%E0%A4%A.html"))
    assert answer is not None
    assert answer.from_service_worker
    assert answer.status == 404


def test_the_origin_cannot_replace_the_checker_at_once(site: Site, context: BrowserContext) -> None:
    """THREATS 24: who has a checker keeps it for a day, whatever the origin offers as a newer one."""
    page = first_visit(context, site.page())
    (site.origin.public / "uji/sw.js").write_text(
        "addEventListener('install', () => skipWaiting()); addEventListener('fetch', (event) => event.respondWith(new Response('PALSU')));"
    )
    site.origin.alter_page(NEIGHBOUR)
    stop_worker(page)
    page.evaluate("navigator.serviceWorker.getRegistration().then((one) => one.update())")
    page.wait_for_timeout(500)
    page = visit(context, site.page(NEIGHBOUR))
    assert state_of(page) == "mirror"
    assert served(page) == signed(site.published, NEIGHBOUR)


def test_a_stale_site_says_so(context: BrowserContext, tmp_path: Path) -> None:
    """THREATS 4, 27: signed but expired: the page is shown, and nowhere called checked."""
    stale = Site(tmp_path, Published(tmp_path, datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)))
    try:
        first_visit(context, stale.page())
        page = visit(context, stale.page())
        assert state_of(page) == "stale"
        assert "masa berlakunya habis" in page.locator("[role=alert]").inner_text()
        assert "Sudah diperiksa" not in page.locator("body").inner_text()
    finally:
        stale.stop()


def plain(url: str) -> str:
    """The same place under a name for which browsers demand https."""
    return url.replace("127.0.0.1", "hasil.test")


def test_without_a_secure_context_the_page_checks_itself(site: Site, context: BrowserContext) -> None:
    """Over plain HTTP there is neither worker nor WebCrypto: our own cryptography compares what the server has, and warns."""
    page = visit(context, plain(site.page()))
    assert page.evaluate("[isSecureContext, typeof crypto.subtle]") == [False, "undefined"]
    assert state_of(page) == "page"
    site.origin.alter(NEIGHBOUR)
    page = visit(context, plain(site.page(NEIGHBOUR)))
    assert state_of(page) == "differs"
    assert page.locator("[role=alert]").inner_text().startswith("PERINGATAN")
