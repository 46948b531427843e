"""Indonesia's presidential election of 2019 from the real data: its figures stand on the pages that citizens read."""

import gzip
import html
import io
import json
import re
import time

import polars as pl
import pytest

from builder.cdf import cdf_report
from builder.election import load_definition
from builder.exports import portion_files, portions
from builder.importers.areas import AreasMap, import_areas
from builder.importers.csv import CsvMap
from builder.importers.delivery import import_results
from builder.importers.source import load_map
from builder.inbox import find_packages, take_in
from builder.ledger import Cut, Ledger
from builder.results import View
from builder.rows import Rows
from builder.search import search_files
from builder.site import Inputs, Site, make_tallies, packaged_templates
from tests.builder.elections import TOML_2019, shared_data

TIME = "2019-05-21T00:00:00Z"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The whole election by the operator's way: definition, imports of counts and recaps, intake, one cut."""
    count, recap = shared_data("pemilu2019/tps_2019_ppwp.csv.gz"), shared_data("pemilu2019/agregat_2019.csv.gz")
    areas = import_areas(shared_data("pemilu2019/wilayah_2019.csv.gz"), load_map("kpu-2019-areas", AreasMap))
    directory = tmp_path_factory.mktemp("nation")
    content, inbox = directory / "content", directory / "inbox"
    (content / "pages").mkdir(parents=True)
    (content / "election.toml").write_text(TOML_2019)
    (content / "areas.csv").write_bytes(areas)
    definition = load_definition(content)
    inputs = Inputs(content, packaged_templates())
    ledger, rows = Ledger(directory / "ledger"), {"ppwp": Rows(definition.election.contests[0])}
    for path, name in ((count, "kpu-2019-ppwp"), (recap, "kpu-2019-recap")):
        import_results(path, load_map(name, CsvMap), definition, rows, out=inbox)
    report = take_in(find_packages(inbox), inbox, ledger, rows, definition, lambda _: None, time.time())
    assert not report.refused
    with ledger.lock():
        ledger.add_cut(Cut(1, TIME, len(ledger.packages), **inputs.hashes(), trust="0" * 64, builder="0", results=1))
    return Site(inputs, ledger, make_tallies(rows, definition, ledger.cuts))


def page(site: Site, path: str) -> str:
    """The text of a page as it is read: tags out, whitespace as one space."""
    data = site.render(path)
    assert data is not None
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", data.decode())))


def view(site: Site, code: str) -> View:
    return next(iter(site.views("ppwp", [site.definition.areas.index[code]])))


def test_known_answers(site: Site) -> None:
    """The nation's results hold Situng's sums, the official recapitulation beside them, and what differs."""
    nation = view(site, "0")
    assert nation["stations"] == {"expected": 813_336, "listed": 816_907, "reported": 806_583, "withdrawn": 0}
    assert nation["count"]["votes"] == [84_298_880, 68_221_284]
    assert nation["count"]["fields"][-2:] == [151_950_244, 4_190_487]
    assert nation["recap"] is None  # the source has the recapitulation of the provinces, none of the nation
    assert nation["below"]["votes"] == [85_607_362, 68_650_239]
    assert (nation["below"]["handed_in"], nation["below"]["expected"]) == (35, 35)
    assert nation["difference"] == [85_607_362 - 84_298_880, 68_650_239 - 68_221_284]
    assert nation["finding_counts"]["candidates-valid"] == 13_848


def test_recap_differs_in_every_province(site: Site) -> None:
    """In all 35 provinces, overseas among them, the recapitulation is not the sum of the stations."""
    areas = site.definition.areas
    provinces = [row for row in range(len(areas)) if areas.levels[row] == 1]
    found = [one["difference"] for one in site.views("ppwp", provinces)]
    assert len(found) == 35
    assert all(any(difference) for difference in found)


def test_data_files_have_the_known_answers(site: Site) -> None:
    """The tables of all portions add up to Situng's sums and to the official recapitulation, in CSV as in Parquet."""
    one = site.tallies["ppwp"]
    portions_of = portions(site.definition, one.contest)
    assert len(portions_of) == 1 + 35
    files = {path: data for portion in portions_of for path, data in portion_files(site.definition, one, portion)}
    columns = ["votes_1", "votes_2"]
    for suffix in ("csv.gz", "parquet"):
        stations = tables(files, f".stations.{suffix}", ["state", *columns])
        assert stations.height == 816_907
        counted = stations.filter(pl.col("state").fill_null("") == "").select(pl.col(columns).cast(pl.Int64).sum())
        assert counted.row(0) == (84_298_880, 68_221_284)
        areas = tables(
            files, f".areas.{suffix}", ["level", *columns, "recap_votes_1", "recap_votes_2", "below_votes_1"]
        )
        assert areas.height == 91_540
        figures = areas.with_columns(pl.exclude("level").cast(pl.Int64))
        for level in ("negara", "provinsi", "kabupaten", "kecamatan", "kelurahan"):
            shown = figures.filter(pl.col("level") == level).select(pl.col(columns).sum())
            assert shown.row(0) == (84_298_880, 68_221_284), level
        recap = figures.filter(pl.col("level") == "provinsi").select(pl.col("recap_votes_1", "recap_votes_2").sum())
        assert recap.row(0) == (85_607_362, 68_650_239)
        assert figures.row(0, named=True)["below_votes_1"] == 85_607_362


def tables(files: dict[str, bytes], ending: str, columns: list[str]) -> pl.DataFrame:
    """The tables of one kind, of all portions."""
    some = [data for path, data in files.items() if path.endswith(ending)]
    if ending.endswith("parquet"):
        return pl.concat([pl.read_parquet(io.BytesIO(data), columns=columns) for data in some])
    return pl.concat([pl.read_csv(gzip.decompress(data), columns=columns, infer_schema=False) for data in some])


def test_nist_report_of_the_nation(site: Site) -> None:
    """NIST's report has the nation's count, and the provinces' recapitulation beside theirs."""
    report = json.loads(cdf_report(site.definition, site.tallies["ppwp"], view(site, "0")))
    assert len(report["GpUnit"]) == 1 + 35 + 644
    selections = report["Election"][0]["Contest"][0]["ContestSelection"]
    provinces = {unit["@id"] for unit in report["GpUnit"] if unit["OtherType"] == "provinsi"}
    for selection, count, recap in zip(selections, (84_298_880, 68_221_284), (85_607_362, 68_650_239), strict=True):
        votes = selection["VoteCounts"]
        assert [one["Count"] for one in votes if one["GpUnitId"] == "gp-0"] == [count]
        assert sum(one["Count"] for one in votes if one["GpUnitId"] in provinces and one["Type"] == "other") == recap


def test_search_of_the_nation(site: Site) -> None:
    """A reader's first help is below 10 kB on the wire, each further one about 15 kB; every area beneath the regencies is found by its code."""
    files = dict(search_files(site.definition))
    sizes = {path: len(gzip.compress(data, 6)) for path, data in files.items()}
    assert sizes.pop("search/index.json") < 10_000
    assert max(sizes.values()) < 16_000
    codes = {
        entry[0] for path, data in files.items() if path != "search/index.json" for entry in json.loads(data)["entries"]
    }
    assert len(codes) == 91_540 - 1 - 35 - 644


VOTES = ("84.298.880", "68.221.284", "85.607.362", "68.650.239")


@pytest.mark.parametrize(
    ("path", "figures"),
    [("index.html", VOTES), ("ppwp/0.html", (*VOTES, "151.950.244", "4.190.487", "806.583", "13.848"))],
    ids=["front", "nation"],
)
def test_national_pages(site: Site, path: str, figures: tuple[str, ...]) -> None:
    """The front page and the nation's show the sums as Indonesian writes figures, the recapitulation's beside the stations'."""
    text = page(site, path)
    missing = [figure for figure in figures if not re.search(rf"(?<![\d.]){re.escape(figure)}(?![\d.])", text)]
    assert missing == []


def test_village_page(site: Site) -> None:
    """A village's page shows each of its stations with the figures of the form, and agrees with its results file."""
    stations = site.tallies["ppwp"].stations
    place = int(stations.filter(stations["invalid"] == 105_200)["area"][0])
    areas = site.definition.areas
    results = view(site, areas.codes[place])
    text = page(site, f"{areas.path('ppwp', place)}.html")
    assert areas.names[place] in text
    assert "105.200" in text
    columns = results["polling_stations"]["columns"]
    assert len(results["polling_stations"]["rows"]) == results["stations"]["listed"]
    for row in results["polling_stations"]["rows"]:
        one = dict(zip(columns, row, strict=True))
        assert f" {one['station']} " in text
        assert f" {one['votes_1']} " in text
        assert f" {one['votes_2']} " in text
