"""The checker in one file, opened from a disk in real Chromium: no network, no server."""

import hashlib
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.browser.places import Place, Published

VILLAGE, OTHER = "ppwp/1101/110101.json", "ppwp/1102/1102.json"
SNAPSHOT = "metadata/2.snapshot.json"
LOG = [SNAPSHOT, f"{SNAPSHOT}.tlog-proof", "trust/tlog-policy.txt"]


@pytest.fixture
def election(published: Published) -> Path:
    return published.public / "uji"


@pytest.fixture
def page(election: Path, context: BrowserContext) -> Page:
    context.set_offline(True)
    page = context.new_page()
    page.goto((election / "assets/periksa.html").as_uri())
    return page


def public_key(election: Path) -> str:
    return (election / "keys/minisign.pub").read_text().splitlines()[1]


def drop(page: Page, *files: Path) -> None:
    page.set_input_files("#files", files)


def outcome(page: Page) -> str | None:
    page.wait_for_timeout(300)
    return page.locator("#outcome").get_attribute("data-state")


def test_a_results_file_is_checked_offline(page: Page, election: Path) -> None:
    """A results file, its signature and the typed key: it says which file of which release that is."""
    page.fill("#key", public_key(election))
    drop(page, election / VILLAGE, election / f"{VILLAGE}.minisig")
    assert outcome(page) == "ok"
    assert page.locator("[data-fact=file]").inner_text() == VILLAGE
    assert (
        page.locator("[data-fact=sha256]").inner_text() == hashlib.sha256((election / VILLAGE).read_bytes()).hexdigest()
    )
    assert not page.locator("#unpinned").is_visible()


def test_a_typed_fingerprint_names_the_key(page: Page, election: Path) -> None:
    """The typed SHA-256 of minisign.pub, in groups as it may be printed, picks the key out of the files; another one is refused."""
    key = election / "keys/minisign.pub"
    fingerprint = hashlib.sha256(key.read_bytes()).hexdigest().upper()
    page.fill("#key", " ".join(fingerprint[i : i + 4] for i in range(0, 64, 4)))
    drop(page, election / VILLAGE, election / f"{VILLAGE}.minisig", key)
    assert outcome(page) == "ok"
    page.fill("#key", "0" * 64)
    assert outcome(page) == "bad"


def test_a_key_from_the_same_source_is_pointed_out(page: Page, election: Path) -> None:
    """A key that came with the files proves little, and the page says so."""
    drop(page, election / VILLAGE, election / f"{VILLAGE}.minisig", election / "keys/minisign.pub")
    assert outcome(page) == "ok"
    assert page.locator("#unpinned").is_visible()


@pytest.mark.parametrize("what", ["figure", "other-signature", "other-key"])
def test_what_does_not_hold_is_refused(what: str, page: Page, election: Path, tmp_path: Path) -> None:
    """An altered figure, another file's signature and another key are refused."""
    data = tmp_path / "110101.json"
    text = (election / VILLAGE).read_text()
    data.write_text(text.replace("100", "900") if what == "figure" else text)
    key = public_key(election)
    page.fill("#key", key[:20] + key[20:].swapcase() if what == "other-key" else key)
    drop(page, data, election / f"{OTHER if what == 'other-signature' else VILLAGE}.minisig")
    assert outcome(page) == "bad"
    assert not page.locator("#ok").is_visible()


def test_the_log_proof_is_checked_too(page: Page, election: Path) -> None:
    """With snapshot, log proof, policy and role beside it, the file is shown to be part of a logged release."""
    page.fill("#key", public_key(election))
    role = max(election.glob("metadata/*.ppwp-1101.json"))
    drop(page, election / VILLAGE, election / f"{VILLAGE}.minisig", *(election / name for name in LOG), role)
    assert outcome(page) == "ok"
    assert page.locator("#listed").is_visible()


def test_another_releases_log_proof_is_refused(page: Page, election: Path) -> None:
    """The proof of release 1 does not put release 2 into the log."""
    page.fill("#key", public_key(election))
    wrong = [election / SNAPSHOT, election / "metadata/1.snapshot.json.tlog-proof", election / LOG[2]]
    drop(page, election / VILLAGE, election / f"{VILLAGE}.minisig", *wrong)
    assert outcome(page) == "bad"


def test_it_works_from_a_plain_http_server(published: Published, context: BrowserContext, tmp_path: Path) -> None:
    """Served over plain HTTP, without WebCrypto and under the server's headers, it checks all the same."""
    place = Place(published.public, tmp_path / "lan")
    election = published.public / "uji"
    try:
        page = context.new_page()
        page.goto(place.url.replace("127.0.0.1", "hasil.test") + "uji/assets/periksa.html")
        page.fill("#key", public_key(election))
        drop(page, election / VILLAGE, election / f"{VILLAGE}.minisig")
        assert page.evaluate("typeof crypto.subtle") == "undefined"
        assert outcome(page) == "ok"
    finally:
        place.stop()
