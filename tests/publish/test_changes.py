"""What a release changes in votes, against figures by hand and against two whole tallies held beside each other."""

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.recap import Package
from builder.rows import KEY, Rows
from builder.tally import Tally, tally
from publish.planning.changes import Changes, Fall, Leader, Votes, compare, questions
from tests.builder.elections import accept, line, make_cuts, make_package, small_election

SMALL = small_election()
AREAS, CONTEST = SMALL.areas, SMALL.election.contests[0]
COUNTS = [("111", "1"), ("111", "2"), ("111", "3"), ("111", "4"), ("112", "1"), ("121", "1"), ("-911", "1")]
RECAPS = [("11", ""), ("111", ""), ("112", ""), ("1", ""), ("12", "")]
FIGURES = ("votes_1", "votes_2", "registered", "voters", "valid", "invalid", "total")


def changes_of(before: list[Package], after: list[Package]) -> Changes:
    """Changes from release 1, with the packages `before`, to release 2."""
    # Two intakes: within one, packages that speak of other rows are numbered before later revisions of one row.
    rows = accept(SMALL, *after, rows=accept(SMALL, *before), known=len(before))
    cuts = make_cuts(len(before), len(before) + len(after))
    tallies = {name: tally(one, SMALL, cuts) for name, one in rows.items()}
    covers = {number: ("", package.cover) for number, package in enumerate([*before, *after], 1)}
    return compare(
        rows, tallies, SMALL, covers.__getitem__, since=1, packages=len(before), through=len(before) + len(after), first=False
    )  # fmt: skip


def count(area: str, station: str, first: int, second: int, revision: int = 1) -> Package:
    row = line(SMALL, area, station, revision, votes_1=first, votes_2=second)
    return make_package(SMALL, row, reason="transcription" if revision > 1 else None)


def recap(area: str, first: int, second: int, revision: int = 1) -> Package:
    row = line(SMALL, area, "", revision, votes_1=first, votes_2=second)
    return make_package(SMALL, row, series="recap", area=area, reason="recount" if revision > 1 else None)


def test_a_correction() -> None:
    """Votes, leaders at every level, falls and reasons of one changed station."""
    before = [count("111", "1", 10, 5), count("112", "1", 3, 4), count("121", "1", 1, 0)]
    changes = changes_of(before, [count("111", "1", 8, 20, 2)])
    contest = changes.contests[0]
    assert contest.votes == (Votes(1, 14, 12), Votes(2, 9, 24))
    assert contest.stations == (3, 3)
    assert contest.leaders == (
        Leader("0", "Negeri", "negara", "count", 1, 2),
        Leader("1", "Satu", "provinsi", "count", 1, 2),
        Leader("11", "Sebelas", "kabupaten", "count", 1, 2),
        Leader("111", "Seratus", "desa", "count", 1, 2),
    )
    assert contest.falls == (Fall("111", "Seratus", "count", "1", "votes_1", 10, 8),)
    assert [(level.level, level.touched, level.leaders) for level in contest.levels] == [
        ("negara", 1, 1), ("provinsi", 1, 1), ("kabupaten", 1, 1), ("desa", 1, 1),
    ]  # fmt: skip
    assert [level.changed for level in contest.levels] == [1, 1, 1, 1]
    assert (changes.packages, changes.rows, changes.reasons) == (1, 1, {"transcription": 1})


def test_a_tie_and_nobody() -> None:
    """A lead that turns into a tie is a change, one that begins is none, and with the last votes withdrawn nobody leads."""
    tie = changes_of([count("111", "1", 10, 5)], [count("111", "1", 10, 10, 2), count("121", "1", 1, 2)])
    assert [(one.area, one.old, one.new) for one in tie.contests[0].leaders] == [
        ("0", 1, 2), ("1", 1, 2), ("11", 1, 0), ("111", 1, 0),
    ]  # fmt: skip
    gone = make_package(SMALL, line(SMALL, "111", "1", 2, "withdrawn"), reason="withdrawal")
    withdrawn = changes_of([count("111", "1", 10, 5)], [gone]).contests[0]
    assert {(one.old, one.new) for one in withdrawn.leaders} == {(1, None)}
    assert withdrawn.votes == (Votes(1, 10, None), Votes(2, 5, None))
    assert [(fall.figure, fall.old, fall.new) for fall in withdrawn.falls] == [
        ("votes_1", 10, None),
        ("votes_2", 5, None),
    ]


def test_recaps_by_level() -> None:
    """Recaps are told level by level, with those handed in, their leaders and their falls."""
    contest = changes_of([recap("11", 7, 5), recap("111", 1, 2)], [recap("11", 4, 5, 2), recap("112", 2, 2)]).contests[
        0
    ]
    levels = {level.level: (level.handed_in, level.recap) for level in contest.levels if level.handed_in}
    assert levels == {
        "kabupaten": ((1, 1), (Votes(1, 7, 4), Votes(2, 5, 5))),
        "desa": ((1, 2), (Votes(1, 1, 3), Votes(2, 2, 4))),
    }
    assert contest.leaders == (Leader("11", "Sebelas", "kabupaten", "recap", 1, 2),)
    assert contest.falls == (Fall("11", "Sebelas", "recap", "", "votes_1", 7, 4),)
    assert {(one.rule, one.added, one.cleared) for one in contest.findings} == {("recap-below", 1, 0)}


def test_questions() -> None:
    """A person is asked for falls, leaders and many areas, never for an election's first release or where an area's first figures come in."""
    before = [count("111", "1", 10, 5)]
    first = changes_of(before, [count("-911", "1", 1, 0), recap("111", 10, 5)])
    assert questions(first, 0) == []
    grown = changes_of(before, [count("111", "2", 1, 0)])
    assert questions(grown, 100) == []
    assert [text.partition(" ")[0] for text in questions(grown, 10)] == ["40.0"]
    raised = changes_of([recap("111", 10, 5)], [recap("111", 11, 5, 2), count("112", "1", 1, 0)])
    assert [text.partition(" ")[0] for text in questions(raised, 10)] == ["40.0"]
    fallen = changes_of(before, [count("111", "1", 4, 5, 2)])
    assert questions(fallen, 100) == ["figures fall: 1", "areas where the leader changes: 4"]
    assert questions(msgspec.structs.replace(fallen, first=True), 0) == []


def council(votes: int, revision: int = 1) -> Package:
    row = line(SMALL, "112", "1", revision, contest="dprd-11", votes_7=votes)
    return make_package(SMALL, row, contest="dprd-11", reason="transcription" if revision > 1 else None)


def test_contests_do_not_dilute_the_share_of_areas() -> None:
    """Of ten areas those change where figures change in any contest: one that changes in two counts once, and a contest in which nothing changes takes nothing away."""
    before = [count("111", "1", 10, 5), count("112", "1", 1, 0), council(3)]
    assert changes_of(before, [count("111", "1", 11, 5, 2)]).areas == (4, 10)
    assert changes_of(before, [council(4, 2)]).areas == (2, 10)
    assert changes_of(before, [council(4, 2), count("111", "1", 11, 5, 2)]).areas == (5, 10)
    assert changes_of(before, [council(4, 2), count("112", "1", 2, 0, 2)]).areas_percent == 40


def test_what_is_again_as_it_was_is_no_change() -> None:
    """Wrong figures that were put right before they went out ask nobody: what the public sees does not change."""
    before = [count("111", "1", 10, 5), recap("11", 10, 5)]
    wrong = [count("111", "1", 1, 5, 2), recap("11", 1, 5, 2)]
    right = [count("111", "1", 10, 5, 3), recap("11", 10, 5, 3)]
    assert len(questions(changes_of(before, wrong), 0)) == 3
    assert questions(changes_of(before, [*wrong, *right]), 0) == []


figures = st.integers(0, 30)
steps = st.lists(
    st.tuples(st.sampled_from(COUNTS + RECAPS), st.booleans(), st.lists(figures | st.none(), min_size=7, max_size=7)), max_size=14
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(steps, st.integers(0, 14))
def test_against_two_tallies(steps: list[Any], split: int) -> None:
    """Whatever is handed in, corrected and withdrawn: the changes are those between the tallies of the two states."""
    packages = handed_in(steps)
    before, after = packages[:split], packages[split:]
    contest = changes_of(before, after).contests[0]
    old, new = (whole(part) for part in (before, packages))
    votes = CONTEST.votes
    tops = [one.areas.row(0, named=True) for one in (old, new)]
    assert contest.votes == tuple(Votes(number, *(top[name] for top in tops)) for number, name in enumerate(votes, 1))
    assert contest.stations == tuple(top["reported"] for top in tops)
    assert {(one.area, one.series, one.old, one.new) for one in contest.leaders} == {
        (AREAS.codes[area], series, *pair)
        for series, prefix in (("count", ""), ("recap", "recap_"))
        for area, pair in enumerate(zip(*(leaders(one, prefix) for one in (old, new)), strict=True))
        if pair[0] is not None and pair[0] != pair[1]
    }
    assert {(one.rule, one.added, one.cleared) for one in contest.findings} == finding_steps(old, new)
    rows = [shown(part) for part in (before, packages)]
    assert {(one.area, one.station, one.figure, one.old, one.new) for one in contest.falls} == {
        (AREAS.codes[key[1]], key[2], name, value, rows[1].get(key, {}).get(name))
        for key, row in rows[0].items()
        for name, value in row.items()
        if value is not None and ((now := rows[1].get(key, {}).get(name)) is None or now < value)
    }


def handed_in(steps: list[Any]) -> list[Package]:
    packages, revisions = [], dict[tuple[str, str], int]()
    for (area, station), withdrawn, values in steps:
        revision = revisions.get((area, station), 0) + 1
        gone = withdrawn and revision > 1
        revisions[area, station] = revision
        cells = {} if gone else dict(zip(FIGURES, values, strict=True))
        row = line(SMALL, area, station, revision, "withdrawn" if gone else "", **cells)
        series = {} if station else {"series": "recap", "area": area}
        packages.append(make_package(SMALL, row, reason="recount" if revision > 1 else None, **series))
    return packages


def rows_of(packages: list[Package]) -> Rows:
    return accept(SMALL, *packages)["ppwp"]


def whole(packages: list[Package]) -> Tally:
    return tally(rows_of(packages), SMALL, make_cuts(len(packages)))


def leaders(result: Tally, prefix: str) -> list[int | None]:
    """Who leads in each area, in plain Python."""
    found: list[int | None] = []
    for row in result.areas.iter_rows(named=True):
        votes = [row[f"{prefix}{name}"] or 0 for name in CONTEST.votes]
        if prefix and (row["recap_withdrawn"] or row["recap_revision"] is None):
            votes = [0, 0]
        found.append(None if max(votes) == 0 else 0 if votes.count(max(votes)) > 1 else votes.index(max(votes)) + 1)
    return found


def finding_steps(old: Tally, new: Tally) -> set[tuple[str, int, int]]:
    before, after = ({*one.findings.select("rule", "area", "station").iter_rows()} for one in (old, new))
    added, cleared = [rule for rule, *_ in after - before], [rule for rule, *_ in before - after]
    return {(rule, added.count(rule), cleared.count(rule)) for rule in {*added, *cleared}}


def shown(packages: list[Package]) -> dict[Any, dict[str, int | None]]:
    """Figures of every row that is in the sums."""
    found = {}
    for row in rows_of(packages).current.iter_rows(named=True):
        reported = row["recap"] or all(row[name] is not None for name in CONTEST.votes)
        if reported and not row["withdrawn"]:
            found[tuple(row[name] for name in KEY)] = {name: row[name] for name in CONTEST.figures}
    return found
