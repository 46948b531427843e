"""The example election: what `terbit init` copies holds together, and shows what a real night shows."""

import posixpath
import re
from pathlib import Path

import polars as pl
import pytest

import builder
from builder.content import read_pages
from builder.election import Definition, load_definition
from builder.importers.csv import CsvMap
from builder.importers.delivery import import_results
from builder.importers.source import load_map
from builder.recap import read_package
from builder.rows import Rows
from builder.tally import Tally, tally
from tests.builder.elections import accept, make_cuts, no_rows

CONTENT = Path(builder.__file__).parent.parent / "content"
EXAMPLE = CONTENT / "example"
DELIVERIES = (("count", "count", None), ("recap", "recap", None), ("correction", "count", "transcription"))


@pytest.fixture(scope="module")
def example() -> Definition:
    return load_definition(CONTENT)


@pytest.fixture(scope="module")
def night(example: Definition, tmp_path_factory: pytest.TempPathFactory) -> list[Tally]:
    """The tally after count, recap and correction."""
    rows: dict[str, Rows] = no_rows(example)
    tallies, known = [], 0
    for name, map_name, reason in DELIVERIES:
        map_ = load_map(str(EXAMPLE / f"{map_name}.toml"), CsvMap)
        out = tmp_path_factory.mktemp(name)
        report = import_results(EXAMPLE / f"{name}.csv", map_, example, rows, reason=reason, out=out)
        packages = [read_package(path) for path in report.packages]
        accept(example, *packages, rows=rows, known=known)
        known += len(packages)
        tallies.append(tally(rows["ppwp"], example, make_cuts(known)))
    return tallies


def area(example: Definition, one: Tally, code: str) -> dict[str, int | None]:
    return one.areas.row(example.areas.index[code], named=True)


def test_marked_as_rehearsal(example: Definition) -> None:
    """The example says that it is one: its pages carry the banner, and real keys may refuse it."""
    assert example.election.test


def test_every_kind_of_trouble(example: Definition, night: list[Tally]) -> None:
    """The count has stations not in yet, broken sums, too many voters, and posts overseas."""
    first = night[0]
    assert first.stations.height == area(example, first, "0")["expected"]
    assert first.stations.filter(pl.col("state") == "pending").height > 0
    assert {"candidates-valid", "voters-list", "sexes-total"} <= set(first.findings["rule"])
    assert {"POS-1", "KSK-1"} <= set(first.stations["station"])


def test_recap_beside_the_count(example: Definition, night: list[Tally]) -> None:
    """One district's recap differs from its count, one regency's from its districts; the country has none."""
    last = night[-1]
    district, regency, country = (area(example, last, code) for code in ("110301", "1201", "0"))
    assert (district["recap_votes_1"], district["recap_votes_2"]) == (
        district["votes_1"] + 12,
        district["votes_2"] - 12,
    )
    assert regency["rule_recap-below"] == 1
    assert (country["recap_revision"], country["handed_in"], country["children"]) == (None, 1, 3)
    agreeing = [area(example, last, code) for code in ("110101", "110102", "110201", "110202", "110302", "120101")]
    assert all(one[f"recap_votes_{n}"] == one[f"votes_{n}"] for one in agreeing for n in (1, 2, 3))


def test_correction(night: list[Tally]) -> None:
    """Three stations are corrected; each keeps its old figures as history."""
    assert night[1].history.height == 0
    assert night[2].history.height == 3
    assert set(night[2].history["revision"]) == {2}


def test_pages_in_both_languages() -> None:
    """Every page is there in both languages, and links only what the public tree has."""
    pages = read_pages(CONTENT / "pages")
    by_language = {language: {page.slug for page in pages if page.language == language} for language in ("id", "en")}
    assert by_language["id"] == by_language["en"]
    known = {
        "assets/pemeriksa.css",
        "assets/pemeriksa.js",
        "assets/periksa-luring.html",
        "assets/periksa.html",
        "keys/minisign.pub",
        "metadata/1.root.json",
        "mirrors.json",
        "openapi.json",
        "schema/results.json",
        "trust/election.toml",
        *(page.path for page in pages),
    }
    for page in pages:
        for link in re.findall('href="([^"]*)"', page.html):
            if not link.startswith("https://"):
                assert posixpath.normpath(posixpath.join(posixpath.dirname(page.path), link)) in known, page.path
