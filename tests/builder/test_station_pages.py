"""The pages of a village with more stations than one page holds: every station is on one of them, and every link finds it."""

import posixpath
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from builder.navigation import Surroundings
from builder.pages import Pages
from builder.station_pages import on_page, page_number, page_releases, station_pages
from tests.builder.sample_results import PACKAGE, contest, election, village
from tests.builder.test_page_budgets import stations
from tests.builder.test_pages import RELEASED, TEMPLATES
from verifier.compare.area import STATIONS_ON_PAGE

OTHER = "9a" * 32


class Page(HTMLParser):
    """The ids and links of a page, each in order."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.current: list[str] = []
        self.feed(data.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.ids += [told["id"] or ""] if "id" in told else []
        self.links += [told["href"] or ""] if tag == "a" else []

    @property
    def stations(self) -> list[str]:
        return [one.removeprefix("tps-") for one in self.ids if one.startswith("tps-")]


def revision(station: str, release: int, **changes: Any) -> dict[str, Any]:
    return village()["revisions"][0] | {"station": station, "release": release} | changes


def finding(station: str) -> dict[str, Any]:
    return village()["findings"][0] | {"station": station}


def scan(station: str, package: str = PACKAGE) -> dict[str, Any]:
    return {
        "station": station,
        "file": f"1101012001_{station}.jpg",
        "length": 9,
        "sha256": "5a" * 32,
        "package": package,
    }


def large(count: int, **changes: Any) -> dict[str, Any]:
    """A village of stations 1, 2, 3… without findings and history, but for `changes`."""
    values = {"polling_stations": stations(count), "findings": [], "finding_counts": {}, "revisions": []}
    return village(**values | changes)


def every_page(results: dict[str, Any], language: str = "id", **changes: Any) -> dict[str, Page]:
    """All pages of an area, by path."""
    made = Pages(TEMPLATES, election(languages=("id", "en"), **changes), language)
    folder = "" if language == "id" else f"{language}/"
    pages = {results["path"].replace(".json", ".html"): made.area_page(results)}
    pages |= {f"{one.path}.html": made.station_page(results, one, 2, RELEASED) for one in station_pages(results)[1:]}
    return {f"{folder}{path}": Page(data) for path, data in pages.items()}


def eventful() -> dict[str, Any]:
    """150 stations; on each page some with a finding, a scan, a figure replaced, and empty fields filled in; and a revision of the area's own recap."""
    filled = {"changes": [["voters", None, 208]], "package": OTHER}
    revisions = [revision("", 3, series="recap")]
    revisions += [revision(str(n), 2) for n in (2, 61, 62, 121)] + [
        revision(str(n), 2, **filled) for n in (5, 6, 70, 150)
    ]
    return large(
        150,
        revisions=revisions,
        findings=[finding(""), *(finding(str(n)) for n in (1, 60, 61, 120, 121, 150))],
        finding_counts={"candidates-valid": 7},
        scans=[scan(""), *(scan(str(n)) for n in (3, 61, 150))],
    )


@pytest.mark.parametrize(
    ("count", "pages"), [(0, []), (59, []), (60, []), (61, [60, 1]), (120, [60, 60]), (121, [60, 60, 1])]
)
def test_how_many_pages(count: int, pages: list[int]) -> None:
    """Up to 60 stations stay on the area's own page, which then is as if there were no other kind; with one more, each page but the last has 60, in the file's order."""
    made = every_page(large(count))
    shown = [page.stations for page in made.values()]
    assert [len(some) for some in shown] == (pages or [count])
    assert [one for some in shown for one in some] == [str(n) for n in range(1, count + 1)]
    named = "ppwp/1101/1101012001"
    assert list(made) == [f"{named}.html", *(f"{named}-{n}.html" for n in range(2, len(pages) + 1))]
    first = Pages(TEMPLATES, election()).area_page(large(count))
    assert (b"semua halaman" in first) == bool(pages)


def test_the_verifier_counts_alike() -> None:
    """`terbit-verify compare` takes a station for the page that the builder puts it on."""
    assert [page_number(place) for place in (0, STATIONS_ON_PAGE - 1, STATIONS_ON_PAGE)] == [1, 1, 2]


@pytest.mark.parametrize("language", ["id", "en"])
def test_every_link_finds_its_place(language: str) -> None:
    """On every page of an area each link to a station, its history or another page leads to what is there; no id stands twice on a page."""
    made = every_page(eventful(), language)
    for path, page in made.items():
        assert len(set(page.ids)) == len(page.ids)
        for link in page.links:
            to, _, place = link.partition("#")
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), to)) if to else path
            assert not place or target not in made or place in made[target].ids, (path, link)
            if "1101012001" in to and to.endswith(".html"):
                other = target.removeprefix("en/") if target.startswith("en/") != (language == "en") else target
                assert other in {name.removeprefix("en/") for name in made} | made.keys(), (path, link)
    first = next(iter(made.values()))
    assert {link for link in first.links if "#tps-" in link} == {
        *(f"#tps-{n}" for n in (1, 60, 5, 6)),
        *(f"1101012001-2.html#tps-{n}" for n in (61, 120)),
        *(f"1101012001-3.html#tps-{n}" for n in (121, 150)),
    }


def test_what_belongs_to_a_station_is_on_its_page() -> None:
    """Findings, scans and history of a station stand on its page, and there alone; the first page has the area's own, and says where there is more."""
    results = eventful()
    shown = [on_page(results, number) for number in (1, 2, 3)]
    told = [[(one["station"]) for one in page["revisions"]] for page in shown]
    assert told == [["", "2", "5", "6"], ["61", "62", "70"], ["121", "150"]]
    assert [[one["station"] for one in page["scans"]] for page in shown] == [["", "3"], ["61"], ["150"]]
    texts = Pages(TEMPLATES, election())
    first = texts.area_page(results).decode()
    assert re.search(r'href="1101012001-2.html#riwayat">TPS 61–120</a> \(3\),', first.replace("&#8211;", "–"))
    second = every_page(results)["ppwp/1101/1101012001-2.html"]
    assert [one for one in second.ids if one.startswith("riwayat-")] == ["riwayat-1", "riwayat-2", "riwayat-3"]
    quiet = every_page(large(61))["ppwp/1101/1101012001-2.html"]
    assert "riwayat" not in quiet.ids  # that nothing was changed would be said of the whole area
    changed = large(61, revisions=[revision("61", 2)])
    assert "Belum ada angka di wilayah ini yang diubah" not in texts.area_page(changed).decode()


def test_no_figure_of_the_area_is_on_a_further_page() -> None:
    """What shows sums is the first page alone: another station's figures, findings or history leave a further page as it was."""
    before, after = large(130), eventful() | {"polling_stations": stations(130)}
    after = after | {key: [one for one in after[key] if one["station"] not in {str(n) for n in range(61, 121)}] for key in ("revisions", "findings", "scans")}  # fmt: skip
    after |= {"release": 9, "released": "2026-02-12T10:30:00Z", "count": village()["count"] | {"votes": [1, 2]}}
    pages, second = Pages(TEMPLATES, election()), station_pages(before)[1]
    assert pages.station_page(before, second, 2, RELEASED) == pages.station_page(after, second, 2, RELEASED)


def test_odd_names_of_stations() -> None:
    """Stations have any names that the format allows; a page of a single one is called by it."""
    names = ["0", "00", "1", *(f"9{n}" for n in range(10, 66)), "A._-", "POS-1", "x.html"]
    rows = [(name, *row[1:]) for name, row in zip(names, stations(len(names))["rows"], strict=True)]
    table = stations(0) | {"rows": rows}
    results = large(0, polling_stations=table, findings=[finding("x.html")], finding_counts={"candidates-valid": 1})
    made = every_page(results)
    assert [name for page in made.values() for name in page.stations] == names
    assert "1101012001-2.html#tps-x.html" in next(iter(made.values())).links
    assert station_pages(results)[1].stations == "POS-1–x.html"
    assert station_pages(large(61))[1].stations == "61"


def test_hostile_names() -> None:
    """A name brings no element into a further page."""
    name = '"><script>alert(1)</script>{{7*7}}'
    results = large(61, revisions=[revision("61", 2, note=name, by=name, document=name)])
    results |= {
        "area": results["area"] | {"name": name},
        "parents": [one | {"name": name} for one in results["parents"]],
    }
    around = Surroundings(None, None, (("ppwp/1101/1101012001", contest(name)), ("dpr/1101/1101012001", contest())))
    page = Pages(TEMPLATES, election()).station_page(results, station_pages(results)[1], 2, RELEASED, around)
    assert b"<script>alert" not in page
    assert b"{{7*7}}" in page


def test_releases() -> None:
    """A further page is of the release that brought a station to the area, or of a later one that changed one of the page's own stations or showed a scan of one."""
    results = large(181, revisions=[revision("1", 9), revision("61", 5), revision("62", 7)], scans=[scan("130", OTHER)])
    found = page_releases(results, 3, {PACKAGE: 1, OTHER: 6})
    assert [(page.number, release) for page, release in found] == [(2, 7), (3, 6), (4, 3)]
    assert page_releases(large(60), 3, {}) == []
