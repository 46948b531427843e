"""Flag rules: each has a case by hand, and what real data breaks is counted again without columns."""

import csv
import gzip
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from builder.election import Definition
from builder.rows import Rows
from builder.rules import FLAG_CODES, flag_rules
from builder.tally import Tally, tally
from tests.builder.elections import (
    FIELDS_2024,
    SMALL_AREAS,
    SMALL_TOML,
    accept,
    define,
    import_packages,
    line,
    make_cuts,
    make_package,
    shared_data,
)

FORM = define(
    SMALL_TOML.replace('["registered", "voters", "valid", "invalid", "total"]', str(FIELDS_2024).replace("'", '"')),
    SMALL_AREAS.encode(),
)
RIGHT = {
    "votes_1": 100, "votes_2": 50, "valid": 150, "invalid": 2, "total": 152,
    "registered_male": 100, "registered_female": 100, "registered": 200,
    "voters_listed_male": 80, "voters_listed_female": 70, "voters_listed": 150,
    "voters_moved_male": 1, "voters_moved_female": 0, "voters_moved": 1,
    "voters_unlisted_male": 0, "voters_unlisted_female": 1, "voters_unlisted": 1,
    "voters_male": 81, "voters_female": 71, "voters": 152,
}  # fmt: skip


def crowd(voters: int) -> dict[str, int | None]:
    """So many voters, all right but for a list of 101: with 2 % of spare ballots, rounded up, 104 ballots."""
    figures = {"voters": voters, "total": voters, "valid": voters - 2, "votes_1": voters - 52, "registered": 101}
    return figures | dict.fromkeys(("registered_male", "voters_male", "voters_listed"))


MEN_AND_WOMEN = [name for name in RIGHT if name.endswith("male")]

# id: (area, station, what is changed in a right form, findings as (rule, left, right))
CASES: dict[str, tuple[str, str, dict[str, int | None], list[tuple[str, int, int]]]] = {
    "nothing": ("111", "1", {}, []),
    "candidates and valid": ("111", "1", {"votes_1": 99}, [("candidates-valid", 149, 150)]),
    "valid and invalid": ("111", "1", {"invalid": 3}, [("valid-invalid-total", 153, 152)]),
    "total and voters": ("111", "1", {"total": 153, "invalid": 3}, [("voters-total", 153, 152)]),
    "parts of the voters": ("111", "1", {"voters_listed": 151, "voters_listed_male": 81}, [("voters-parts", 153, 152)]),
    "parts beyond 32 bits": (
        "111", "1", dict.fromkeys(("voters_listed", "voters_moved", "voters_unlisted"), 999_999_999) | dict.fromkeys(MEN_AND_WOMEN),
        [("voters-parts", 2_999_999_997, 152)],
    ),
    "men and women": ("111", "1", {"registered_male": 99}, [("sexes-total", 199, 200)]),
    "as many voters as ballots": ("111", "1", crowd(104), []),
    "more voters than ballots": ("111", "1", crowd(105), [("voters-list", 105, 104)]),
    "more voters than ballots overseas": ("-911", "1", crowd(105), []),
    "long list": ("111", "1", {"registered": 301, "registered_male": 201}, [("registered-limit", 301, 300)]),
    "long list overseas": ("-911", "1", {"registered": 4515, "registered_male": 4415}, []),
    "station beyond the expected": ("111", "4", {}, [("station-range", 4, 3)]),
    "special station": ("111", "901", {}, [("station-range", 901, 3)]),
    "station beyond the expected overseas": ("-911", "901", {}, []),
    "station with leading zeros": ("111", "003", {}, []),
    "station with a name": ("111", "KSK-1", {}, []),
    "absent figures": ("111", "1", {"invalid": None, "valid": None, "total": None}, []),
    "absent votes": ("111", "1", {"votes_1": None, "invalid": 77}, []),
}  # fmt: skip


def judged(*lines: str, definition: Definition = FORM) -> Tally:
    rows = accept(definition, make_package(definition, "".join(lines)))
    return tally(rows["ppwp"], definition, make_cuts(1))


@pytest.mark.parametrize("name", CASES)
def test_flag(name: str) -> None:
    """A figure that breaks a rule is accepted with a finding that shows both sides; a right one has none."""
    area, station, changes, expected = CASES[name]
    result = judged(line(FORM, area, station, **RIGHT | changes))
    assert result.findings.select("rule", "left", "right").rows() == expected
    assert result.stations["rules"].to_list() == [" ".join(rule for rule, _, _ in expected)]
    sums = result.areas.row(0, named=True)
    assert {code: sums[f"rule_{code}"] for code in FLAG_CODES if sums[f"rule_{code}"]} == {
        rule: 1 for rule, _, _ in expected
    }


# What limits one polling station's figures says nothing about the sum of many.
OF_A_STATION = {"voters-list", "registered-limit", "station-range"}
# A station without one of its votes does not count yet; a recap is shown as it was handed in, and with it what the rest of it breaks.
OF_A_RECAP = {"absent votes": [("valid-invalid-total", 227, 152)]}


@pytest.mark.parametrize("name", [name for name, (area, *_) in CASES.items() if area == "111"])
def test_recap_flag(name: str) -> None:
    """A recapitulation is asked what a station's form is asked of its own sums, and its findings count with the others, here and above."""
    _, _, changes, of_a_station = CASES[name]
    expected = OF_A_RECAP.get(name) or [found for found in of_a_station if found[0] not in OF_A_STATION]
    right = make_package(FORM, line(FORM, "111", "1", **RIGHT | {"votes_1": 99}))
    for area in ("111", "11"):
        own = make_package(FORM, line(FORM, area, "", **RIGHT | changes), series="recap", area=area)
        result = tally(accept(FORM, right, own)["ppwp"], FORM, make_cuts(2))
        place = FORM.areas.index[area]
        assert result.findings.filter("recap").rows() == [(place, "", True, *found) for found in expected]
        counted = [("candidates-valid", 149, 150), *expected]
        for row in (0, FORM.areas.index["11"]):
            sums = result.areas.row(row, named=True)
            assert {code: sums[f"rule_{code}"] for code in FLAG_CODES if sums[f"rule_{code}"]} == Counter(
                code for code, _, _ in counted
            )


def test_recap_of_a_form_without_fields() -> None:
    """Where the form has nothing but votes, as in the recapitulations of 2019, there is nothing to hold a recap's votes against."""
    bare = define(
        SMALL_TOML.replace('["registered", "voters", "valid", "invalid", "total"]', "[]"), SMALL_AREAS.encode()
    )
    own = make_package(bare, line(bare, "11", "", votes_1=1, votes_2=2), series="recap", area="11")
    assert tally(accept(bare, own)["ppwp"], bare, make_cuts(1)).findings.height == 0


def test_more_stations_than_expected() -> None:
    """More stations with votes than the area has is a finding on the area."""
    result = judged(line(FORM, "-911", "1", **RIGHT), line(FORM, "-911", "2", **RIGHT))
    place = FORM.areas.index["-911"]
    assert result.findings.rows() == [(place, "", False, "reported-expected", 2, 1)]


def test_recap_and_tier_below() -> None:
    """A recap that differs from a complete tier below is a finding; an incomplete tier below proves nothing."""
    below = [
        make_package(FORM, line(FORM, area, "", votes_1=10, votes_2=5), series="recap", area=area)
        for area in ("111", "112")
    ]
    own = make_package(FORM, line(FORM, "11", "", votes_1=20, votes_2=11), series="recap", area="11")
    whole = tally(accept(FORM, *below, own)["ppwp"], FORM, make_cuts(3))
    assert whole.findings.rows() == [(FORM.areas.index["11"], "", True, "recap-below", 11, 10)]
    assert tally(accept(FORM, below[0], own)["ppwp"], FORM, make_cuts(2)).findings.height == 0


def test_every_flag_rule_has_a_case() -> None:
    """No flag rule goes untested, and every code that a contest can break is a published one."""
    tested = {rule for _, _, _, expected in CASES.values() for rule, _, _ in expected}
    assert tested | {"recap-below", "reported-expected"} == set(FLAG_CODES)
    assert {rule.code for rule in flag_rules(FORM.election.contests[0])} <= set(FLAG_CODES)


def test_withdrawn_rows_have_no_findings() -> None:
    """A row that is out of the sums is out of the counts of findings."""
    first = make_package(FORM, line(FORM, "111", "1", **RIGHT | {"votes_1": 1}))
    gone = make_package(FORM, line(FORM, "111", "1", 2, "withdrawn"), reason="court")
    assert tally(accept(FORM, first, gone)["ppwp"], FORM, make_cuts(2)).findings.height == 0
    recap = make_package(FORM, line(FORM, "11", "", **RIGHT | {"votes_1": 1}), series="recap", area="11")
    back = make_package(FORM, line(FORM, "11", "", 2, "withdrawn"), series="recap", area="11", reason="court")
    assert tally(accept(FORM, recap)["ppwp"], FORM, make_cuts(1)).findings.height == 1
    assert tally(accept(FORM, recap, back)["ppwp"], FORM, make_cuts(2)).findings.height == 0


def source_rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@dataclass
class Real:
    """A nation's or province's tally and the rows that it comes from."""

    definition: Definition
    rows: Rows
    tally: Tally
    packages: int


def real(definition: Definition, sources: list[Path], map_name: str, out: Path) -> Real:
    packages = [package for path in sources for package in import_packages(definition, path, map_name, out)]
    rows = accept(definition, *packages)["ppwp"]
    return Real(definition, rows, tally(rows, definition, make_cuts(len(packages))), len(packages))


@pytest.fixture(scope="module")
def nation(nation_2019: Definition, tmp_path_factory: pytest.TempPathFactory) -> Real:
    source = shared_data("pemilu2019/tps_2019_ppwp.csv.gz")
    return real(nation_2019, [source], "kpu-2019-ppwp", tmp_path_factory.mktemp("2019"))


FILES_2024 = ("31_dki_jakarta", "95_papua_pegunungan", "99_luar_negeri")


@pytest.fixture(scope="module")
def sirekap(nation_2024: Definition, tmp_path_factory: pytest.TempPathFactory) -> Real:
    sources = [shared_data(f"pemilu2024/{name}_final.csv.gz") for name in FILES_2024]
    return real(nation_2024, sources, "sirekap-2024-final", tmp_path_factory.mktemp("2024"))


def test_nation_of_2019(nation: Real) -> None:
    """All 816,907 rows of 2019 are accepted, add up to Situng's sums, and break the rules as often as is known."""
    total = nation.tally.areas.row(0, named=True)
    assert (nation.packages, total["listed"], total["reported"]) == (644, 816_907, 806_583)
    assert (total["votes_1"], total["votes_2"], total["valid"], total["invalid"]) == (
        84_298_880,
        68_221_284,
        151_950_244,
        4_190_487,
    )
    assert total["rule_candidates-valid"] == 13_848
    assert total["rule_voters-total"] == 39_666
    assert total["rule_voters-list"] == 6_831


def test_invalid_votes_of_a_city(nation: Real) -> None:
    """The station with 105,200 invalid votes is published as it came, with the finding."""
    (station,) = nation.tally.stations.filter(pl.col("invalid") == 105_200).rows(named=True)
    assert "voters-total" in station["rules"].split(" ")
    found = nation.tally.findings.filter(
        (pl.col("area") == station["area"]) & (pl.col("station") == station["station"])
    )
    sides = found.filter(pl.col("rule") == "voters-total").select("left", "right").rows()
    assert sides == [(station["valid"] + 105_200, station["voters"])]


def test_station_of_2024(sirekap: Real) -> None:
    """Station 3172051001046 (16, 202 and 92 votes, 200 valid, 500 in total) shows every sum that does not hold."""
    place = sirekap.definition.areas.index["3172051001"]
    here = (pl.col("area") == place) & (pl.col("station") == "046")
    assert sirekap.tally.stations.filter(here).select(
        "votes_1", "votes_2", "votes_3", "valid", "invalid", "total"
    ).rows() == [(16, 202, 92, 200, 0, 500)]
    found = {
        rule: (left, right)
        for rule, left, right in sirekap.tally.findings.filter(here).select("rule", "left", "right").rows()
    }
    assert found["candidates-valid"] == (310, 200)
    assert found["valid-invalid-total"] == (200, 500)


def broken_2024(row: dict[str, str]) -> set[str]:
    """Which rules of the form a row of 2024 breaks, in plain Python."""
    figures = {
        name: int(cell) if cell else None
        for name, cell in row.items()
        if name[0] in "pds" and name not in ("prov", "psu")
    }

    def differs(left: list[str], right: str) -> bool:
        cells = [figures[name] for name in (*left, right)]
        return None not in cells and sum(cell or 0 for cell in cells[:-1]) != cells[-1]

    broken = {
        "candidates-valid": differs(["p1", "p2", "p3"], "suara_sah"),
        "valid-invalid-total": differs(["suara_sah", "suara_tidak_sah"], "suara_total"),
        "voters-total": differs(["suara_total"], "ptot_j"),
        "voters-parts": differs(["pdpt_j", "pdptb_j", "pdpk_j"], "ptot_j"),
        "sexes-total": any(
            differs([f"{part}_l", f"{part}_p"], f"{part}_j") for part in ("dpt", "pdpt", "pdptb", "pdpk", "ptot")
        ),
    }
    return {rule for rule, is_broken in broken.items() if is_broken}


def test_findings_of_2024_counted_again(sirekap: Real) -> None:
    """On the real stations of 2024 the rules find what a plain loop over the source finds, station by station."""
    codes = set(sirekap.definition.areas.codes)
    expected = {}
    for name in FILES_2024:
        for row in source_rows(shared_data(f"pemilu2024/{name}_final.csv.gz")):
            if (
                row["kode"][:10] in codes
                and all(row[vote] for vote in ("p1", "p2", "p3"))
                and (broken := broken_2024(row))
            ):
                expected[row["kode"]] = broken
    rules = {"candidates-valid", "valid-invalid-total", "voters-total", "voters-parts", "sexes-total"}
    shown = sirekap.tally.stations.select(pl.col("area"), "station", "rules").filter(pl.col("rules") != "")
    found = {
        sirekap.definition.areas.codes[area] + station: rules & set(text.split(" "))
        for area, station, text in shown.rows()
    }
    assert {code: broken for code, broken in found.items() if broken} == expected
    assert len(expected) > 1_000
