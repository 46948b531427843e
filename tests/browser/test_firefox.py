"""The checker in real Firefox: what a reader is shown when the origin is altered or away, and the checker in one file.

The cases in full are Chromium's (test_worker.py, test_standalone.py); here, those in which browsers differ: worker, storage, cryptography, policies.
"""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.browser.firefox import Firefox, FirefoxError, firefox
from tests.browser.places import NEIGHBOUR, VILLAGE, Place, Published, Site
from tests.browser.test_standalone import OTHER, public_key
from tests.browser.test_standalone import VILLAGE as RESULTS
from tests.browser.test_worker import alter_everything, alter_page, plain, roll_back, shut_down, signed
from tests.programs import require

SERVED = "return fetch(location.href).then((answer) => answer.text())"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    with firefox(tmp_path_factory.mktemp("profile")) as found:
        yield found


def test_a_good_site_is_checked(site: Site, browser: Firefox) -> None:
    """The first view says that it was not checked; the next one tells release, signers and log, without a warning."""
    assert browser.visit(site.page()) == "first"
    assert browser.visit(site.page()) == "checked"
    assert browser.run("return document.querySelector('[role=alert]')") is None
    box = browser.text(".check")
    assert "rilis 2" in box
    assert "Angka wilayah 1101: 1 (perlu 1)" in box
    assert "dicatat di log" in box


def test_the_policy_stops_nothing_of_ours(site: Site, browser: Firefox) -> None:
    """The style sheet, inlined and named by its hash, works, and no script turns text into markup or code."""
    browser.visit(site.page())
    assert browser.run("return getComputedStyle(document.querySelector('.skip')).position") == "absolute"
    with pytest.raises(FirefoxError, match="blocked by CSP"):
        browser.run("document.body.setAttribute('onclick', 'document.title = 0')")
    with pytest.raises(FirefoxError, match="blocked by CSP"):
        browser.run("document.body.innerHTML = '<p>PALSU</p>'")


def test_closed_stations_are_printed_whole(site: Site, browser: Firefox) -> None:
    """What a station's line opens is on paper, though it is closed on the screen."""
    browser.open(site.page())
    label = browser.run("return document.querySelector('[id^=tps-] dt').textContent")
    shown = "return document.querySelector('[id^=tps-]').checkVisibility()"
    assert not browser.run(shown)
    done = subprocess.run([require("pdftotext"), "-", "-"], input=browser.paper(), capture_output=True, check=True)
    assert label in done.stdout.decode().split("Periksa sendiri")[0].split("TPS 1", 1)[1]


@pytest.mark.parametrize("attack", [alter_page, alter_everything, roll_back, shut_down])
def test_a_bad_origin_is_replaced_by_a_mirror(attack: Callable[[Site], None], site: Site, browser: Firefox) -> None:
    """THREATS 1, 3, 9: an altered, older or absent origin: the reader sees the signed page from the mirror, and is told so."""
    assert browser.visit(site.page("uji/index.html")) == "first"
    attack(site)
    browser.stop_workers()
    assert browser.visit(site.page()) == "mirror"
    assert f"127.0.0.1:{site.published.mirror_port}" in browser.text("[role=alert]")
    assert browser.run(SERVED) == signed(site.published, VILLAGE)


def test_offline_after_one_visit(site: Site, browser: Firefox) -> None:
    """With origin and mirror away, a page that was visited once is there with its style, and says what it is."""
    assert browser.visit(site.page()) == "first"
    browser.wait_for("return caches.keys().then((names) => names.length)")
    site.stop()
    browser.stop_workers()
    assert browser.visit(site.page()) == "own"
    assert "tidak dapat dihubungi" in browser.text("[role=alert]")
    assert browser.run(SERVED) == signed(site.published, VILLAGE)


def test_where_nothing_verifies_nothing_is_shown(site: Site, browser: Firefox) -> None:
    """THREATS 1: a page that every place has altered is not shown: the notice says so and has no figure."""
    assert browser.visit(site.page("uji/index.html")) == "first"
    for place in (site.origin, site.mirror):
        place.alter_page(NEIGHBOUR)
    browser.stop_workers()
    browser.open(site.page(NEIGHBOUR))
    assert browser.text("h1") == "Halaman ini tidak dapat diperiksa"
    assert not any(character.isdigit() for character in browser.text("main"))


def test_without_a_secure_context_the_page_checks_itself(site: Site, browser: Firefox) -> None:
    """Over plain HTTP there is neither worker nor WebCrypto: our own cryptography compares what the server has, and warns."""
    assert browser.visit(plain(site.page())) == "page"
    assert browser.run("return [isSecureContext, typeof crypto.subtle]") == [False, "undefined"]
    site.origin.alter(NEIGHBOUR)
    assert browser.visit(plain(site.page(NEIGHBOUR))) == "differs"
    assert browser.text("[role=alert]").startswith("PERINGATAN")


@pytest.fixture(params=["a disk", "plain HTTP"])
def standalone(
    request: pytest.FixtureRequest, published: Published, browser: Firefox, tmp_path: Path
) -> Iterator[Path]:
    """The checker in one file, opened; the election's folder."""
    election = published.public / "uji"
    if request.param == "a disk":
        browser.open((election / "assets/periksa-luring.html").as_uri())
        yield election
        return
    place = Place(published.public, tmp_path / "lan")
    try:
        browser.open(plain(place.url) + "uji/assets/periksa.html")
        assert browser.run("return typeof crypto.subtle") == "undefined"
        yield election
    finally:
        place.stop()


@pytest.mark.parametrize(("signature", "state"), [(RESULTS, "ok"), (OTHER, "bad")], ids=["own", "another file's"])
def test_the_checker_in_one_file(signature: str, state: str, standalone: Path, browser: Firefox) -> None:
    """From a disk and from a plain HTTP mirror, a results file with its own signature holds, with another file's it does not."""
    browser.give("#key", public_key(standalone))
    browser.give("#files", [standalone / RESULTS, standalone / f"{signature}.minisig"])
    outcome = "const found = document.querySelector('#outcome').dataset.state; return found !== 'waiting' && found"
    assert browser.wait_for(outcome) == state
