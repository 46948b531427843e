"""The checker in one file, opened from a disk in real Chromium: no network, no server."""

import hashlib
from pathlib import Path

import pytest
from click.testing import CliRunner
from playwright.sync_api import BrowserContext, Page

from publish.cli.main import terbit
from tests.browser.places import Place, Published
from tests.programs import require_package

VILLAGE, OTHER = "ppwp/1101/110101.json", "ppwp/1102/1102.json"
SNAPSHOT = "metadata/2.snapshot.json"
LOG = [SNAPSHOT, f"{SNAPSHOT}.tlog-proof", "trust/tlog-policy.txt"]
# Chromium has this on phones, and reads codes with the phone's own library; here with jsQR.
BARCODE_DETECTOR = """
globalThis.BarcodeDetector = class {
  async detect(image) {
    const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
    canvas.drawImage(image, 0, 0);
    const { data, width, height } = canvas.getImageData(0, 0, image.width, image.height);
    const found = jsQR(data, width, height);
    return found ? [{ rawValue: found.data }] : [];
  }
};
"""


@pytest.fixture
def election(published: Published) -> Path:
    return published.public / "uji"


@pytest.fixture
def page(election: Path, context: BrowserContext) -> Page:
    context.set_offline(True)
    page = context.new_page()
    page.goto((election / "assets/periksa-luring.html").as_uri())
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


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("figure", "Berkasnya telah diubah"),
        ("other-signature", "Tanda tangan ini milik berkas lain"),
        ("other-key", "atau kunci yang diketik keliru"),
        ("other-key-id", "ditandatangani dengan kunci lain"),
    ],
)
def test_what_does_not_hold_is_refused(what: str, reason: str, page: Page, election: Path, tmp_path: Path) -> None:
    """An altered figure, another file's signature and another key are refused, with the reason in Indonesian."""
    data = tmp_path / "110101.json"
    text = (election / VILLAGE).read_text()
    data.write_text(text.replace("100", "900") if what == "figure" else text)
    key = public_key(election)
    other = {"other-key": key[:20] + key[20:].swapcase(), "other-key-id": key[:4] + key[4:10].swapcase() + key[10:]}
    page.fill("#key", other.get(what, key))
    drop(page, data, election / f"{OTHER if what == 'other-signature' else VILLAGE}.minisig")
    assert outcome(page) == "bad"
    assert reason in page.locator("#reason").inner_text()
    assert not page.locator("#ok").is_visible()


@pytest.mark.parametrize("unfinished", ["RW", "0" * 30, "kunci", "whole key but its end"])
def test_half_a_key_says_nothing_about_the_file(unfinished: str, page: Page, election: Path) -> None:
    """While the key is unfinished or mistyped, the page says so of the key in both languages, and nothing against the file."""
    drop(page, election / VILLAGE, election / f"{VILLAGE}.minisig")
    page.fill("#key", public_key(election)[:-1] if unfinished == "whole key but its end" else unfinished)
    assert outcome(page) == "waiting"
    told = page.locator("#outcome").inner_text()
    assert "Kuncinya belum utuh" in told
    assert "The key is unfinished" in told
    assert "belum ada" not in told


def test_what_is_missing_is_named(page: Page, election: Path) -> None:
    """What the page waits for is told by name: results file, signature, key, and the key's file for a fingerprint."""

    def missing() -> list[str | None]:
        assert outcome(page) == "waiting"
        return [one.get_attribute("data-missing") for one in page.locator("[data-missing]:visible").all()]

    assert missing() == ["data", "signature", "key"]
    drop(page, election / VILLAGE)
    assert missing() == ["signature", "key"]
    page.fill("#key", "0" * 64)
    assert missing() == ["signature", "fingerprinted"]


def test_the_key_is_photographed_from_paper(
    page: Page, published: Published, election: Path, context: BrowserContext, tmp_path: Path
) -> None:
    """The codes of the operator's page for paper, read from a picture by a decoder of others, are the key and its fingerprint as they would be typed."""
    assert page.locator("#camera").is_hidden()  # where the browser reads no codes
    paper = context.new_page()
    paper.emulate_media(media="print")
    printed = CliRunner().invoke(terbit, ["keys", "print", "-C", str(published.workspace)], catch_exceptions=False)
    paper.set_content(printed.stdout)
    context.add_init_script(path=require_package("jsqr") / "dist/jsQR.js")
    context.add_init_script(BARCODE_DETECTOR)
    page.reload()
    files = (election / VILLAGE, election / f"{VILLAGE}.minisig", election / "keys/minisign.pub")
    for place, typed in enumerate((public_key(election), hashlib.sha256(files[2].read_bytes()).hexdigest())):
        photo = tmp_path / f"{place}.png"
        paper.locator("svg.code").nth(place).screenshot(path=photo)
        page.set_input_files("#photo", photo)
        page.wait_for_function("typed => document.querySelector('#key').value === typed", arg=typed)
        drop(page, *files)
        assert outcome(page) == "ok"
        assert not page.locator("#unpinned").is_visible()
    page.set_input_files("#photo", paper_without_code(paper, tmp_path))
    page.locator("#no-code").wait_for()


def paper_without_code(paper: Page, folder: Path) -> Path:
    paper.locator("h1").screenshot(path=folder / "none.png")
    return folder / "none.png"


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
