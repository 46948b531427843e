"""Data files: every row once, the same in CSV and Parquet, nothing that a spreadsheet would run; NIST's report is what NIST's schema says."""

import gzip
import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from jsonschema import Draft4Validator

from builder.cdf import cdf_report
from builder.election import Definition
from builder.exports import columns, portion_files, portion_paths, portions
from builder.tally import Tally, tally
from tests.builder.elections import SMALL_AREAS, SMALL_TOML, accept, define, line, make_cuts, make_package

SCHEMA = Path(__file__).parent / "nist" / "NIST_V2_election_results_reporting.json"
FORMULAS = {
    "equals": '=HYPERLINK("http://x")',
    "plus": "+1+cmd",
    "minus": "-2+3",
    "at": "@SUM(A1)",
    "full width": "＝1+1",
}


def figures(definition: Definition) -> dict[str, Tally]:
    """Tallies of counts, a withdrawn and a pending station, and recaps."""
    rows = "".join(
        line(definition, area, station, votes_1=first, votes_2=7, registered=200, voters=first + 9, valid=first + 7, invalid=2, total=first + 9)
        for area, station, first in (("111", "1", 10), ("111", "2", 20), ("112", "1", 30), ("121", "1", 40), ("-911", "1", 50))
    )  # fmt: skip
    recap = make_package(definition, line(definition, "1", "", votes_1=101, votes_2=28), series="recap", area="1")
    council = make_package(definition, line(definition, "111", "1", contest="dprd-11", votes_7=5, valid=5), contest="dprd-11", area="11")  # fmt: skip
    pending = line(definition, "121", "2")
    accepted = accept(definition, make_package(definition, rows + pending), recap, council)
    late = make_package(definition, line(definition, "112", "1", 2, "withdrawn"), reason="court")
    accepted = accept(definition, late, rows=accepted, known=3)
    return {name: tally(one, definition, make_cuts(3, 4)) for name, one in accepted.items()}


def tables(definition: Definition, one: Tally) -> dict[str, list[tuple[str, pl.DataFrame, pl.DataFrame]]]:
    """By table, the portions' paths with what their CSV (as text) and their Parquet hold."""
    found: dict[str, list[tuple[str, pl.DataFrame, pl.DataFrame]]] = {"areas": [], "stations": []}
    for portion in portions(definition, one.contest):
        files = dict(portion_files(definition, one, portion))
        assert files.keys() == portion_paths(portion).keys()
        for table in ("areas", "stations"):
            start = f"{portion.path}.{table}"
            if f"{start}.parquet" in files:
                csv = pl.read_csv(gzip.decompress(files[f"{start}.csv.gz"]), infer_schema=False).fill_null("")  # fmt: skip
                found[table].append((start, csv, pl.read_parquet(io.BytesIO(files[f"{start}.parquet"]))))
    return found


def test_portions(small: Definition) -> None:
    """A contest of the root has a portion for its own row and one for each province; one within a shard lies in the shard's folder."""
    national, council = small.election.contests
    assert [portion.path for portion in portions(small, national)] == [
        "data/ppwp/0",
        "data/ppwp/1",
        "data/ppwp/n9",
    ]
    assert [portion.path for portion in portions(small, council)] == ["data/dprd-11/11/11"]


@pytest.mark.parametrize("contest", ["ppwp", "dprd-11"])
def test_every_row_once(small: Definition, contest: str) -> None:
    """All portions together have every area and every station of the contest once, with the tally's figures."""
    one = figures(small)[contest]
    found = tables(small, one)
    top = small.areas.index[one.contest.area or "0"]
    areas = pl.concat([table for _, _, table in found["areas"]])
    assert areas["area"].to_list() == small.areas.codes[top : small.areas.ends[top]]
    for name in one.contest.figures:
        assert areas[name].to_list() == one.areas[name].to_list()[top : small.areas.ends[top]]
    stations = pl.concat([table for _, _, table in found["stations"]])
    shown = [(small.areas.codes[area], station) for area, station in one.stations.select("area", "station").iter_rows()]
    assert list(stations.select("area_desa", "station").iter_rows()) == shown
    assert stations["votes_7" if contest != "ppwp" else "votes_1"].to_list() == one.stations[one.contest.votes[0]].to_list()  # fmt: skip
    if contest == "ppwp":
        assert dict(stations.select("station", "state").group_by("state").len().iter_rows()) == {"": 4, "pending": 1, "withdrawn": 1}  # fmt: skip
        assert stations.row(0)[:3] == ("1", "11", "111")


@pytest.mark.parametrize("contest", ["ppwp", "dprd-11"])
def test_csv_and_parquet_agree(small: Definition, contest: str) -> None:
    """CSV and Parquet hold the same rows and the columns that the schema names, in its order."""
    one = figures(small)[contest]
    for table, some in tables(small, one).items():
        names = [column.name for column in columns(small, one.contest, table)]
        for path, csv, parquet in some:
            assert csv.columns == parquet.columns == names, path
            text = parquet.select(pl.all().cast(pl.String).fill_null(""))
            assert csv.equals(text), path


@pytest.mark.parametrize("name", FORMULAS)
def test_no_formula_in_csv(name: str) -> None:
    """An area's name that a spreadsheet would take for a formula is text in CSV, and itself in Parquet."""
    quoted = '"' + FORMULAS[name].replace('"', '""') + '"'
    definition = define(SMALL_TOML, SMALL_AREAS.replace("Seratus", quoted).encode())
    found = tables(definition, figures(definition)["ppwp"])
    for table in ("areas", "stations"):
        path, csv, parquet = next(one for one in found[table] if one[0] == f"data/ppwp/1.{table}")
        assert f"'{FORMULAS[name]}" in csv["name"].to_list(), path
        assert FORMULAS[name] in parquet["name"].to_list(), path
        assert not csv["name"].str.contains(r"^[=+\-@＝]").any()


def test_the_same_bytes(small: Definition) -> None:
    """Made twice, a portion has the same bytes; nothing in them tells of when they were made."""
    one = figures(small)["ppwp"]
    for portion in portions(small, one.contest):
        assert dict(portion_files(small, one, portion)) == dict(portion_files(small, one, portion))


def report(definition: Definition, contest: str) -> dict[str, Any]:
    one = figures(definition)[contest]
    view = {"release": 2, "released": "2029-02-14T00:00:00Z", "recap": None, "count": {"status": "unofficial-partial"}}
    made: dict[str, Any] = json.loads(cdf_report(definition, one, view))
    return made


@pytest.mark.parametrize("contest", ["ppwp", "dprd-11"])
def test_nist_schema(small: Definition, contest: str) -> None:
    """The report validates against NIST's own JSON Schema, and each id that it refers to is there once."""
    made = report(small, contest)
    validator = Draft4Validator(json.loads(SCHEMA.read_bytes()))
    assert [error.message for error in validator.iter_errors(made)] == []
    text = json.dumps(made)
    ids = [one["@id"] for one in made["GpUnit"]]
    assert len(set(ids)) == len(ids)
    assert {one for one in text.split('"') if one.startswith("gp-")} == set(ids)


def test_nist_schema_refuses_others(small: Definition) -> None:
    """The schema in the tests does refuse: a status that is not NIST's does not pass."""
    validator = Draft4Validator(json.loads(SCHEMA.read_bytes()))
    assert not validator.is_valid(report(small, "ppwp") | {"Status": "final"})


def test_report_has_both_series(small: Definition) -> None:
    """The count and the recapitulation of an area stand beside each other, told apart by type."""
    contest = report(small, "ppwp")["Election"][0]["Contest"][0]
    counts = {(one["GpUnitId"], one["Type"]): one["Count"] for one in contest["ContestSelection"][0]["VoteCounts"]}
    assert counts["gp-1", "total"] == 10 + 20 + 40
    assert counts["gp-1", "other"] == 101
    assert counts["gp-n9", "total"] == 50
    assert ("gp-111", "total") not in counts  # beneath the shard level
