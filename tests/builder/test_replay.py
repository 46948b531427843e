"""Judging a ledger's packages again: the same rows under the same numbers, however they are batched."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.recap import Package
from builder.replay import replay
from builder.rows import KEY, Rows
from tests.builder.elections import accept, line, make_package, no_rows, small_election

SMALL = small_election()


def count(station: int, revision: int = 1) -> Package:
    rows = line(SMALL, "111", str(station), revision, votes_1=revision, votes_2=0)
    return make_package(SMALL, rows, reason="source", document=f"{station}.{revision}")


def council(station: int) -> Package:
    rows = line(SMALL, "111", str(station), contest="dprd-11", votes_7=station)
    return make_package(SMALL, rows, contest="dprd-11", area="11", document=str(station))


# In the order of a ledger that several runs of intake wrote: contests mixed, a revision long after its row.
LEDGER = [council(1), count(1), council(2), count(2), count(1, 2), council(3), count(3), count(1, 3), count(2, 2)]


def frames(rows: dict[str, Rows]) -> list[object]:
    return [frame.sort([*KEY, "revision"]).rows() for one in rows.values() for frame in (one.current, one.replaced)]


def one_by_one(packages: Sequence[Package]) -> dict[str, Rows]:
    rows = no_rows(SMALL)
    for number, package in enumerate(packages):
        accept(SMALL, package, rows=rows, known=number)
    return rows


@settings(deadline=None)
@given(st.integers(0, len(LEDGER)), st.integers(1, 400))
def test_the_ledgers_numbers(known: int, size: int) -> None:
    """Whatever lies before and however large a batch is, each row has the number that the ledger gave its package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builder.replay.BATCH_BYTES", size)
        rows = one_by_one(LEDGER[:known])
        verdicts = [verdict for batch in replay(LEDGER[known:], rows, SMALL, known) for verdict in batch]
    assert [verdict.broken for verdict in verdicts] == [()] * (len(LEDGER) - known)
    assert frames(rows) == frames(one_by_one(LEDGER))


def test_a_broken_package_is_left_out_under_its_number() -> None:
    """A package that no rule lets through is told, changes nothing, and the later ones keep their numbers."""
    wrong = count(9, 5)
    rows = no_rows(SMALL)
    (verdicts,) = replay([council(1), wrong, count(1)], rows, SMALL, 0)
    assert [verdict.package.name for verdict in verdicts if verdict.broken] == [wrong.name]
    assert rows["ppwp"].current["package"].to_list() == [3]
    assert rows["dprd-11"].current["package"].to_list() == [1]
