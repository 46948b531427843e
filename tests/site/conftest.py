"""One Chromium, and a site of every kind of page, calm and hostile, served with the headers of the public site."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from builder.content import read_pages
from builder.election import Election, Tile, Title
from builder.languages import language_folder
from builder.navigation import Link, Surroundings
from builder.pages import Pages
from builder.station_pages import station_pages
from builder.topojson import parse_topojson
from publish.serve import Server
from tests.browser.chromium import chromium
from tests.builder.maps import coasts
from tests.builder.sample_results import PACKAGE, contest, election, nation, province, village
from tests.builder.test_station_pages import large, revision
from tests.servers import serving

PROJECT = Path(sys.modules["builder"].__path__[0]).parent
RELEASED = "2026-02-11T10:30:00Z"
SCAN = {"station": "2", "file": "1101012001_2.jpg", "length": 91_000, "sha256": "ab" * 32, "package": PACKAGE}
HOSTILE = '"><img src=https://evil.test/x onerror=alert(1)><script>alert(1)</script>'


@dataclass(frozen=True)
class Place:
    """A served site: `url` of the election's folder, which is `folder` on the disk."""

    url: str
    folder: Path


def sample(**changes: object) -> Election:
    tiles = (Tile(area="11", column=0, row=0, label="TB"), Tile(area="-99", column=1, row=1, label="LN"))
    values = {"languages": ("id", "en"), "tiles": tiles, "address": "https://hasil.example.org/contoh/", "test": True}
    return election(**{**values, "contact": "mailto:halo@example.org", **changes})


def write_pages(folder: Path, election: Election, **changes: object) -> None:
    """Every kind of page in both languages, with what pages ask for. The map has tiles in `ppwp/0.html`, elsewhere shapes: of the country's areas one of two."""
    content = read_pages(PROJECT / "content" / "pages")
    around = Surroundings(Link("ppwp/1101/1", "Awan Biru"), Link("ppwp/1101/2", "Padi Kuning"), ())
    shapes = parse_topojson(coasts(["11", "1101"]), ["11", "1101"], "map.topojson")
    for language in ("id", "en"):
        top = folder / language_folder(language)
        tiled, pages = (Pages(PROJECT / "site_templates", election, language, map_) for map_ in (None, shapes))
        made = {"index.html": pages.index_page(3, RELEASED, [(election.contests[0], nation())], content)}
        made["ppwp/0.html"] = tiled.area_page(nation(**changes), around)
        for results in (
            nation(path="ppwp/0-shapes.json", **changes),
            province(**changes),
            village(scans=[SCAN], **changes),
            many := large(70, path="ppwp/1101/large.json", revisions=[revision("65", 2)], **changes),
        ):
            made[results["path"].replace(".json", ".html")] = pages.area_page(results, around)
        made["ppwp/1101/large-2.html"] = pages.station_page(many, station_pages(many)[1], 2, RELEASED, around)
        made |= {
            f"{one.slug}.html": pages.content_page(one, ("id", "en")) for one in content if one.language == language
        }
        for path, data in made.items():
            (top / path).parent.mkdir(parents=True, exist_ok=True)
            (top / path).write_bytes(data)
    assets = folder / "assets"
    assets.mkdir()
    for file in (PROJECT / "site_templates" / "assets").iterdir():
        (assets / file.name).write_bytes(file.read_bytes())
    (folder / "latest.json").write_text(
        '{"release":3,"released":"2026-02-11T10:30:00Z","expires":"2126-02-11T10:30:00Z"}'
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    public = tmp_path_factory.mktemp("public")
    write_pages(public / "contoh", sample())
    attacked = sample(title=Title(id=HOSTILE, en=HOSTILE), contests=(contest(HOSTILE, HOSTILE),))
    area = {"code": "0", "name": HOSTILE, "level": "negara", "kind": "domestic"}
    write_pages(public / "jahat", attacked, area=area)
    with serving(Server(public, "127.0.0.1", 0)) as server:
        yield Place(f"{server.url}contoh/", public / "contoh")
