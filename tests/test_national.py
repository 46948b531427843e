"""Indonesia's presidential election of 2019 from the real data: its figures stand on the pages that citizens read."""

import html
import re
import time

import pytest

from builder.election import load_definition
from builder.importers.areas import AreasMap, import_areas
from builder.importers.csv import CsvMap
from builder.importers.delivery import import_results
from builder.importers.source import load_map
from builder.inbox import find_packages, take_in
from builder.ledger import Cut, Ledger
from builder.results import View
from builder.rows import Rows
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
