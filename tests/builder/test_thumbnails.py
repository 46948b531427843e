"""Thumbnails: made by whoever packs, looked at by nobody but browsers, shown beside the scan."""

import gzip
import hashlib
import re
import struct
from html import unescape
from typing import Any

import pytest

from builder import limits
from builder.cards import draw
from builder.errors import PackageError
from builder.pages import Pages
from builder.recap import parse_package
from builder.results import scan_subject
from builder.templates import read_templates
from builder.thumbnails import HEIGHT, SUFFIX, WIDTH, make_thumbnail, thumbnail_problem
from tests.builder.elections import line, make_package
from tests.builder.sample_results import PACKAGE, election, village
from tests.builder.test_officials import ELECTION
from tests.builder.test_page_budgets import stations
from tests.builder.test_pages import TEMPLATES
from tests.scans import JPEG, THUMBNAIL, with_scans

HASH, SMALL = "ab" * 32, "cd" * 32
PNG = draw(b'<svg xmlns="http://www.w3.org/2000/svg" width="900" height="300"><path d="M9 9H99V99H9z"/></svg>', ())


@pytest.mark.parametrize(
    ("name", "scan"), [("c1.jpg", JPEG), ("C1.JPEG", JPEG), ("c1.png", PNG)], ids=["jpg", "JPEG", "png"]
)
def test_pictures_have_thumbnails(name: str, scan: bytes) -> None:
    """A picture's thumbnail is a small PNG that shows something, the same every time."""
    made = make_thumbnail(name, scan)
    assert made
    assert thumbnail_problem(made) == ""
    assert struct.unpack(">II", made[16:24]) == (WIDTH, HEIGHT)
    assert made == make_thumbnail(name, scan)


UNREADABLE = {
    "a PDF": ("c1.pdf", b"%PDF-1.7"),
    "no picture": ("c1.jpg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
    "nothing": ("c1.jpg", b""),
    "half of one": ("c1.png", PNG[:200]),
    "another kind than its name says": ("c1.png", JPEG),
    "larger than any": ("c1.png", PNG[:16] + struct.pack(">II", 2**31 - 1, 2**31 - 1) + PNG[24:]),
    "white": ("c1.png", draw(b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><path fill="#fff" d="M0 0H9V9H0z"/></svg>', ())),
}  # fmt: skip


@pytest.mark.parametrize(("name", "scan"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_has_none(name: str, scan: bytes) -> None:
    """A scan that is no readable picture, or shows nothing, simply has no thumbnail."""
    assert make_thumbnail(name, scan) is None


BAD = {
    "a JPEG": JPEG,
    "a larger picture": PNG,
    "a bomb": THUMBNAIL[:16] + struct.pack(">II", 60_000, 60_000) + THUMBNAIL[24:],
    "a long one": THUMBNAIL + bytes(limits.THUMBNAIL_FILE),
    "a page": b"<!doctype html>",
    "nothing": b"",
}


@pytest.mark.parametrize("thumbnail", BAD.values(), ids=BAD)
def test_what_is_no_thumbnail_is_refused(thumbnail: bytes) -> None:
    """A package is refused whose thumbnail is not a PNG of that size, whatever the picture inside; a good one is taken."""
    package = make_package(ELECTION, line(ELECTION, "111", "1", votes_1=1), area="111")
    good, bad = with_scans(package.files, "111_1.jpg"), with_scans(package.files, "111_1.jpg", thumbnail=thumbnail)
    assert parse_package(set(good), lambda name, _: good[name], "good").cover.scans[1].file == "111_1.jpg.thumb.png"
    with pytest.raises(PackageError, match=r"111_1\.jpg\.thumb\.png") as caught:
        parse_package(set(bad), lambda name, _: bad[name], "bad")
    assert caught.value.rule == "thumbnail"


def test_a_thumbnail_is_about_what_its_scan_is() -> None:
    """Area and station of a thumbnail are those of its scan."""
    for name in ("1101_4.jpg", "1101_4_2.png", "n99.jpg", "110101.webp"):
        assert scan_subject(f"{name}{SUFFIX}") == scan_subject(name)


def scan(station: str, **more: Any) -> dict[str, Any]:
    return {"station": station, "file": f"1101012001_{station}.jpg", "length": 412_345, "sha256": HASH, "package": PACKAGE, **more}  # fmt: skip


def shown(results: dict[str, Any], withheld: dict[tuple[str, str], tuple[str, int]] | None = None) -> list[str]:
    """Addresses of the pictures of a page, each of which must be lazy, sized, and behind a line that opens."""
    page = unescape(Pages(TEMPLATES, election()).area_page(results, withheld=withheld or {}).decode())
    images = re.findall("<img [^>]*>", page)
    assert all(re.fullmatch(r'<img src="[^"]*" alt="" width="160" height="224" loading="lazy">', one) for one in images)
    # Nothing is loaded while the line is closed: before the first <details> there is no picture.
    assert "<img " not in page.partition("<details")[0]
    return [image.split('"')[1] for image in images]


def test_a_page_shows_thumbnails() -> None:
    """An opened station shows the thumbnail of its scan, named with its hash; a scan without one, or withheld, or whose thumbnail is, shows none."""
    results = village(scans=[scan("1", thumbnail=SMALL), scan("2")])
    assert shown(results) == [f"../../packages/{PACKAGE}/1101012001_1.jpg.thumb.png?sha256={SMALL}"]
    for hidden in (HASH, SMALL):
        assert shown(results, {(PACKAGE, hidden): ("ef" * 32, 2)}) == []
    assert shown(village(scans=[scan("1")])) == []


def test_weight_with_thumbnails() -> None:
    """A village of 60 stations, each with a scan and its thumbnail, stays within its budget before any picture is asked for."""
    digest = [hashlib.sha256(bytes([n])).hexdigest() for n in range(121)]
    scans = [scan(str(n), sha256=digest[n], thumbnail=digest[n + 60]) for n in range(1, 61)]
    page = Pages(read_templates(TEMPLATES), election()).area_page(village(polling_stations=stations(60), scans=scans))
    assert page.count(b"<img ") == 60
    assert len(gzip.compress(page, 6)) <= 30_720
