"""What pages weigh on the wire, and whether their colours, words and figures are what they should be in both languages."""

import gzip
import re
import string
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest

from builder.election import Tile
from builder.figures import Figures, local_date, local_time, share
from builder.pages import Pages
from builder.station_pages import station_pages
from builder.templates import compact_style, read_templates, read_texts
from builder.topojson import parse_topojson
from tests.builder.maps import coasts
from tests.builder.sample_results import contest, election, nation, progress, province, village
from tests.builder.test_pages import RELEASED, TEMPLATES

SOURCES = read_templates(TEMPLATES)
TEXTS = {language: read_texts(SOURCES, language) for language in ("id", "en")}
PROVINCES, REGENCIES, STATIONS = 39, 45, 60
TILES = tuple(Tile(area=str(code), column=code % 12, row=code // 12, label="XX") for code in range(PROVINCES))
# All that a definition can add to a page.
EVERYTHING: dict[str, Any] = {
    "tiles": TILES,
    "address": "https://hasil.example.org/contoh/",
    "languages": ("id", "en"),
    "cards": ("id",),
    "test": True,
}


def scattered(place: int) -> int:
    """A figure of six digits that compression cannot guess from its neighbours."""
    return place * 7_919_317 % 900_000 + 100_000


def areas_below(count: int) -> dict[str, Any]:
    names = "".join(string.ascii_lowercase) * 4
    rows = [
        (
            str(code),
            f"Kabupaten {names[code : code + 14]}",
            f"ppwp/{code}",
            *(scattered(code * 20 + step) for step in range(11)),
        )
        for code in range(count)
    ]
    return {"columns": nation()["children"]["columns"], "rows": rows}


def stations(count: int) -> dict[str, Any]:
    rows = [
        (str(number), 1, "", *(scattered(number * 9 + step) % 300 for step in range(6)), "")
        for number in range(1, count + 1)
    ]
    return {"columns": village()["polling_stations"]["columns"], "rows": rows}


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize(
    ("results", "budget"),
    [
        (nation(children=areas_below(PROVINCES), progress=progress((806_583, 84_298_880, 68_221_284), 200)), 14_336),
        (province(children=areas_below(REGENCIES), progress=progress((15_610, 404_188, 2_400_746), 200)), 14_336),
        (province(path="ppwp/1101/1101.json", children=areas_below(REGENCIES)), 14_336),
        (village(polling_stations=stations(STATIONS)), 30_720),
    ],
    ids=["nation", "province", "regency", "village of 60 stations"],
)
def test_weight(results: dict[str, Any], budget: int, language: str) -> None:
    """A page with style sheet, map and QR code fits its budget, compressed as servers do it."""
    page = Pages(SOURCES, election(**EVERYTHING), language).area_page(results)
    assert len(gzip.compress(page, 6)) <= budget


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("count", [600, 5_000])
def test_weight_of_many_stations(count: int, language: str) -> None:
    """However many stations a village has, its own page and each further one fit the budget of a page of 60, with a finding on every station."""
    listed = stations(count)
    found = [
        {"station": row[0], "series": "count", "rule": "candidates-valid", "left": 1, "right": 2}
        for row in listed["rows"][: STATIONS * 10]
    ]
    results = village(polling_stations=listed, findings=found, finding_counts={"candidates-valid": len(found)})
    pages, further = Pages(SOURCES, election(**EVERYTHING), language), station_pages(results)[1:]
    made = [pages.area_page(results), *(pages.station_page(results, one, 3, RELEASED) for one in further[::7])]
    assert len(further) == -(-count // STATIONS) - 1
    assert [len(gzip.compress(page, 6)) for page in made if len(gzip.compress(page, 6)) > 30_720] == []


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("points", [20, 60, 500])
def test_weight_with_shapes(points: int, language: str) -> None:
    """The first page fits its budget with the shapes of all areas, however crooked their coasts."""
    codes = [str(code) for code in range(PROVINCES)]
    topology = parse_topojson(coasts(codes, points), codes, "map.topojson")
    values = {"address": "https://hasil.example.org/contoh/", "languages": ("id", "en"), "test": True}
    results = nation(children=areas_below(PROVINCES), progress=progress((806_583, 84_298_880, 68_221_284), 200))
    page = Pages(SOURCES, election(**values), language, topology).area_page(results)
    assert page.count(b'<path d="M') >= PROVINCES
    assert len(gzip.compress(page, 6)) <= 14_336


def test_front_page_weighs_little() -> None:
    """The front page with three contests fits the budget, too."""
    pages = Pages(SOURCES, election())
    assert len(gzip.compress(pages.index_page(3, RELEASED, [(contest(), nation())] * 3), 6)) <= 14_336


def test_the_style_sheet_is_small() -> None:
    """Every page carries the style sheet, so it takes at most 5,200 bytes, uncompressed."""
    assert len(compact_style(SOURCES["assets/terbit.css"]).encode()) <= 5_200


def palettes() -> Iterator[dict[str, str]]:
    """The colours of the light and of the dark paper."""
    light, dark = SOURCES["assets/terbit.css"].split("@media screen and (prefers-color-scheme: dark)")
    for text in (light, dark):
        papers = dict(re.findall(r"--(\w+): #(\w+);", text[: text.index(".c1 {")]))
        yield papers | dict(re.findall(r"\.(c\d) \{ --c: #(\w+);", text))


def luminance(colour: str) -> float:
    """Relative luminance: WCAG 2.2, "relative luminance"."""
    full = colour if len(colour) == 6 else "".join(digit * 2 for digit in colour)
    parts = [int(full[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", list(palettes()), ids=["light", "dark"])
def test_contrast(palette: dict[str, str]) -> None:
    """Texts stand out from paper and shade by 4.5 to 1; the candidates' colours and edges from the paper by 3 to 1; no two colours are alike."""
    for text in ("ink", "quiet", "link", "mark"):
        assert contrast(palette[text], palette["paper"]) >= 4.5, text
    assert contrast(palette["ink"], palette["shade"]) >= 4.5
    colours = [palette[f"c{number}"] for number in range(1, 9)]
    assert all(contrast(colour, palette["paper"]) >= 3 for colour in (*colours, palette["edge"]))
    assert all(one != other for one, other in combinations(colours, 2))


def spelt(table: dict[str, Any], path: str = "") -> Iterator[tuple[str, frozenset[str]]]:
    """Every text of a table by its path, with the names in braces that it fills in."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from spelt(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", frozenset(re.findall(r"\{(\w+)", value)) if isinstance(value, str) else frozenset()


def test_languages_have_the_same_texts() -> None:
    """Both languages have every text, with the same places to be filled in."""
    assert dict(spelt(dict(TEXTS["id"]))) == dict(spelt(dict(TEXTS["en"])))


@pytest.mark.parametrize(("language", "locale"), [("id", "id"), ("en", "en_GB")])
def test_figures_as_cldr_writes_them(language: str, locale: str) -> None:
    """Figures, shares and dates are those of Unicode's CLDR, which Babel knows."""
    numbers, dates = pytest.importorskip("babel.numbers"), pytest.importorskip("babel.dates")
    calendar = TEXTS[language]["calendar"]
    for figure in (0, 999, 1_000, 190_000_000):
        assert Figures("–", calendar["group"])[figure] == numbers.format_decimal(figure, locale=locale)
    assert share(5_527, 10_000, calendar["decimal"]) == numbers.format_percent(0.5527, "0.00%", locale=locale)
    for month in range(1, 13):
        day = election().date.replace(month=month)
        assert local_date(day, calendar) == dates.format_date(day, "d MMMM y", locale=locale)


def test_zone_of_the_area() -> None:
    """An area's page tells the time in the zone of the nearest area above that has one, else in the first zone."""
    pages = Pages(SOURCES, election(area_time_zones={"11": "Asia/Jayapura", "110101": "Asia/Makassar"}))
    assert "11 Februari 2026 17.30 WIB" in pages.area_page(nation()).decode()
    assert "11 Februari 2026 19.30 WIT" in pages.area_page(province()).decode()
    assert "11 Februari 2026 18.30 WITA" in pages.area_page(village()).decode()
    assert 'data-zone="Asia/Makassar" data-zone-name="WITA"' in pages.area_page(village()).decode().replace(
        "&#x2f;", "/"
    )
    assert local_time(RELEASED, "Asia/Makassar", TEXTS["en"]["calendar"]) == "11 February 2026, 18:30 WITA"


@pytest.mark.parametrize(
    ("votes", "told"),
    [
        ([3, 5], "XX 2: Luar Negeri, unggul dengan 62,50%"),
        ([4, 4], "XX -: Luar Negeri, imbang"),
        ([None, None], "XX -: Luar Negeri, belum ada suara"),
    ],
    ids=["leader", "tied", "nothing"],
)
def test_tiles_tell_who_leads(votes: list[int | None], told: str) -> None:
    """A tile says in words who leads, that it is even, or that nothing is in; areas without a tile are left out."""
    below = {
        "columns": [],
        "rows": [("-99", "Luar Negeri", "ppwp/n99", 9, 8, *votes, None, None, None, None, None, None, 0)],
    }
    tiles = (Tile(area="-99", column=0, row=0, label="XX"),)
    page = Pages(SOURCES, election(tiles=tiles)).area_page(nation(children=below)).decode()
    assert '<svg class="map" viewBox="0 0 440 62"' in page  # one tile does not fill the page
    assert f'aria-label="{told}, TPS' in page.replace("&#x2f;", "/") or f'aria-label="{told}' in page
    assert '<svg class="map"' not in Pages(SOURCES, election(tiles=tiles)).area_page(province()).decode()
