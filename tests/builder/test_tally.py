"""Sums and releases of a small tree, each figure reckoned by hand."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.election import Definition
from builder.ledger import Cut
from builder.recap import Package
from builder.tally import Tally, definition_cut, package_releases, tally
from tests.builder.elections import accept, line, make_cuts, make_package, small_election

SMALL = small_election()


def count(area: str, station: str, *votes: int | None, **figures: int | None) -> str:
    return line(SMALL, area, station, **dict(zip(("votes_1", "votes_2"), votes, strict=True)), **figures)


def recap(area: str, *votes: int, cover: str | None = None) -> Package:
    row = line(SMALL, area, "", votes_1=votes[0], votes_2=votes[1])
    return make_package(SMALL, row, series="recap", area=cover or area)


def tallied(*packages: Package, cuts: list[Cut] | None = None) -> Tally:
    return tally(accept(SMALL, *packages)["ppwp"], SMALL, cuts or make_cuts(len(packages)))


def of(result: Tally, code: str, *names: str) -> tuple[Any, ...]:
    """Figures of one area."""
    return result.areas.select(names).row(SMALL.areas.index[code])


VOTES = ("votes_1", "votes_2")
STATIONS = make_package(
    SMALL,
    count("111", "1", 10, 20, valid=30)
    + count("111", "2", 1, 2)
    + count("112", "1", 100, 200, valid=300)
    + count("121", "1", 1000, 2000)
    + count("121", "2", None, None, registered=7)
    + count("-911", "1", 5, 0, valid=5),
)


def test_count_is_summed_from_stations() -> None:
    """Every area has the sum of the stations below it, tier by tier, overseas and home together at the root."""
    result = tallied(STATIONS)
    expected = {
        "111": (11, 22),
        "112": (100, 200),
        "11": (111, 222),
        "12": (1000, 2000),
        "1": (1111, 2222),
        "-9": (5, 0),
    }
    assert {code: of(result, code, *VOTES) for code in expected} == expected
    assert of(result, "0", *VOTES) == (1116, 2222)


def test_stations_are_counted() -> None:
    """Listed are all stations that came, reported those with votes, expected those of areas.csv."""
    result = tallied(STATIONS)
    assert of(result, "121", "expected", "listed", "reported", "withdrawn") == (2, 2, 1, 0)
    assert of(result, "0", "expected", "listed", "reported", "withdrawn") == (7, 6, 5, 0)
    states = result.stations.filter(pl.col("area") == SMALL.areas.index["121"])
    assert states.select("station", "state").rows() == [("1", ""), ("2", "pending")]


def test_null_is_not_zero() -> None:
    """A figure that no row gave is null, one that some row gave is the sum of those, and a 0 handed in is 0."""
    result = tallied(STATIONS)
    assert of(result, "111", "valid") == (30,)
    assert of(result, "12", "valid") == (None,)
    assert of(result, "1", "valid") == (330,)
    assert of(result, "-9", "votes_2") == (0,)
    assert of(result, "0", "invalid") == (None,)


def test_pending_station_adds_nothing() -> None:
    """The list of a station without votes is not added: its voters have not voted in any sum yet."""
    assert of(tallied(STATIONS), "121", "registered") == (None,)


def test_part_of_the_votes_is_not_a_result() -> None:
    """A station with one candidate's votes missing is pending, and none of its votes are added."""
    result = tallied(make_package(SMALL, count("111", "1", 10, None)))
    assert of(result, "0", "listed", "reported", *VOTES) == (1, 0, None, None)


def test_area_without_anything() -> None:
    """An area from which nothing came has nulls for figures and zero stations."""
    result = tallied(make_package(SMALL, count("111", "1", 10, 20)))
    assert of(result, "12", "listed", "reported", *VOTES) == (0, 0, None, None)


def test_recap_is_what_was_handed_in() -> None:
    """A recap stands as it was handed in, beside the count and beside the sum of the recaps one level down."""
    result = tallied(STATIONS, recap("111", 12, 22), recap("112", 100, 200), recap("11", 113, 222))
    assert of(result, "11", *VOTES) == (111, 222)
    assert of(result, "11", "recap_votes_1", "recap_votes_2", "recap_revision") == (113, 222, 1)
    assert of(result, "11", "below_votes_1", "below_votes_2", "handed_in", "children") == (112, 222, 2, 2)


def test_below_reaches_one_level_down() -> None:
    """The sum below is of the tier directly beneath: villages say nothing in a province's stead."""
    result = tallied(recap("111", 12, 22), recap("112", 100, 200))
    assert of(result, "11", "below_votes_1", "recap_votes_1") == (112, None)
    assert of(result, "1", "below_votes_1", "handed_in") == (None, 0)


def test_withdrawn_recap_is_not_below() -> None:
    """A withdrawn recap stays in its own area and leaves the sum below its parent."""
    gone = make_package(SMALL, line(SMALL, "111", "", 2, "withdrawn"), series="recap", area="111", reason="court")
    result = tallied(recap("111", 12, 22), recap("112", 100, 200), gone)
    assert of(result, "111", "recap_votes_1", "recap_withdrawn") == (12, True)
    assert of(result, "11", "below_votes_1", "handed_in") == (100, 1)


def test_stations_in_the_order_of_numbers() -> None:
    """Stations stand by number, not by text, and those with letters have their place too."""
    numbers = ("10", "9", "1", "901", "KSK-1", "2")
    result = tallied(make_package(SMALL, "".join(count("111", number, 1, 1) for number in numbers)))
    assert result.stations["station"].to_list() == ["1", "2", "9", "10", "901", "KSK-1"]


def test_releases() -> None:
    """An area's release is the latest cut that changed a row in it or beneath; its neighbours keep theirs."""
    revised = make_package(SMALL, line(SMALL, "111", "1", 2, votes_1=1, votes_2=1), reason="recount")
    result = tallied(STATIONS, recap("12", 1, 1), revised, cuts=make_cuts(1, 2, 2, 3))
    releases = {code: of(result, code, "release")[0] for code in SMALL.areas.codes}
    assert releases == {
        "0": 4, "1": 4, "11": 4, "111": 4, "112": 1, "12": 2, "121": 1, "-9": 1, "-91": 1, "-911": 1,
    }  # fmt: skip


def test_release_of_a_new_definition() -> None:
    """A changed definition or results format gives every area the release of its cut; other inputs do not."""
    cuts = make_cuts(1, 1, 1, 1)
    cuts[1] = Cut(2, *_inputs(definition="1" * 64), "0.1.0", 1)
    cuts[2] = Cut(3, *_inputs(definition="1" * 64, content="2" * 64), "0.2.0", 1)
    cuts[3] = Cut(4, *_inputs(definition="1" * 64, content="2" * 64), "0.2.0", 1)
    assert definition_cut(cuts) == 2
    assert tallied(STATIONS, cuts=cuts).areas["release"].unique().to_list() == [2]
    cuts[3] = Cut(4, *_inputs(definition="1" * 64, content="2" * 64), "0.2.0", 2)
    assert definition_cut(cuts) == 4


def _inputs(**changed: str) -> tuple[str, int, str, str, str, str]:
    hashes = [changed.get(name, "0" * 64) for name in ("definition", "content", "templates", "trust")]
    return ("2029-02-14T00:00:00Z", 1, hashes[0], hashes[1], hashes[2], hashes[3])


def test_release_of_each_package() -> None:
    """A package's release is the first cut that took it."""
    assert package_releases(make_cuts(2, 2, 5)) == [0, 1, 1, 3, 3, 3]


def test_sources() -> None:
    """An area names the packages of its own rows, replaced ones included, and not those of the areas beneath."""
    revised = make_package(SMALL, line(SMALL, "111", "1", 2, votes_1=1, votes_2=1), reason="recount")
    result = tallied(STATIONS, revised)
    assert [of(result, code, "sources")[0] for code in ("111", "112", "11")] == [[1, 2], [1], None]


PLACE = st.sampled_from([("111", "1"), ("111", "2"), ("112", "1"), ("121", "1"), ("-911", "1")])
FIGURE = st.one_of(st.none(), st.integers(0, 999_999_999))


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(PLACE, st.tuples(FIGURE, FIGURE, FIGURE), min_size=1))
def test_sums_against_plain_python(stations: dict[tuple[str, str], tuple[int | None, int | None, int | None]]) -> None:
    """For any figures the sums of every area are those of a plain loop, null where nothing was given."""
    lines = [
        line(SMALL, *place, votes_1=one, votes_2=two, valid=valid) for place, (one, two, valid) in stations.items()
    ]
    result = tallied(make_package(SMALL, "".join(lines)))
    for row, code in enumerate(SMALL.areas.codes):
        beneath = set(SMALL.areas.codes[row : SMALL.areas.ends[row]])
        inside = [figures for (area, _), figures in stations.items() if area in beneath and None not in figures[:2]]
        for column, name in enumerate(("votes_1", "votes_2", "valid")):
            given_figures = [figure for figures in inside if (figure := figures[column]) is not None]
            assert of(result, code, name) == (sum(given_figures) if given_figures else None,)


@pytest.mark.parametrize("contest", ["ppwp", "dprd-11"])
def test_nothing_in(small: Definition, contest: str) -> None:
    """Before the first package every area is there, with nothing in it."""
    result = tally(accept(small)[contest], small, make_cuts(0))
    assert result.areas.height == len(small.areas)
    assert result.areas["listed"].sum() == 0
    assert result.areas[result.contest.votes[0]].null_count() == len(small.areas)
    assert (result.stations.height, result.findings.height, result.history.height) == (0, 0, 0)
