"""Results: what a view says of an area beyond the tally's own figures."""

import pytest

from builder.ledger import PackageRecord
from builder.recap import Cover, NamedFile, Package
from builder.results import View, Views
from builder.tally import tally
from tests.builder.elections import accept, line, make_cuts, make_package, small_election

SMALL = small_election()
STATIONS = make_package(
    SMALL,
    line(SMALL, "111", "1", votes_1=10, votes_2=20)
    + line(SMALL, "112", "1", votes_1=100, votes_2=200)
    + line(SMALL, "121", "1", votes_1=1, votes_2=2),
)


def recap(area: str, *votes: int) -> Package:
    row = line(SMALL, area, "", votes_1=votes[0], votes_2=votes[1])
    return make_package(SMALL, row, series="recap", area=area)


def withdrawn(area: str) -> Package:
    return make_package(SMALL, line(SMALL, area, "", 2, "withdrawn"), series="recap", area=area, reason="court")


PART, WHOLE = recap("111", 11, 20), recap("112", 100, 203)


def view(area: str, *given: Package) -> View:
    """The view of one area once `given` have been accepted."""
    result = tally(accept(SMALL, *given)["ppwp"], SMALL, make_cuts(len(given)))

    def cover(number: int) -> tuple[PackageRecord, Cover]:
        return PackageRecord(f"{number:064}", "ppwp", "count", 1), given[number - 1].cover

    views = Views(SMALL, result, cover, [0, *[1] * len(given)], lambda _: "2029-02-14T00:00:00Z")
    return next(iter(views.views([SMALL.areas.index[area]])))


@pytest.mark.parametrize(
    ("packages", "difference"),
    [
        ((), None),
        ((PART,), None),
        ((PART, WHOLE), [1, 3]),
        ((PART, recap("11", 115, 220)), [5, 0]),
        ((PART, WHOLE, recap("11", 115, 220), withdrawn("11")), [1, 3]),
        ((PART, recap("11", 115, 220), withdrawn("11")), None),
    ],
    ids=["nothing", "a part below", "all below", "its own", "its own withdrawn, all below", "withdrawn, a part below"],
)
def test_a_part_is_not_held_against_the_whole(packages: tuple[Package, ...], difference: list[int] | None) -> None:
    """The count is held against the recap in force, or against those below once all of them are in; never against a part."""
    assert view("11", STATIONS, *packages)["difference"] == difference


def test_scans_stand_with_what_they_show() -> None:
    """A scan belongs to the area and station that its name begins with; an area without any has no such key."""
    names = ["111_1.jpg", "111_1_2.jpg", "111.pdf", "note.pdf"]
    scans = tuple(NamedFile(name, "0" * 64, 1) for name in names)
    package = make_package(SMALL, line(SMALL, "111", "1") + line(SMALL, "112", "1"), scans=scans)
    found = view("111", package)["scans"]
    assert [(scan["station"], scan["file"]) for scan in found] == [
        ("1", "111_1.jpg"),
        ("1", "111_1_2.jpg"),
        ("", "111.pdf"),
    ]
    assert found[0]["package"] == f"{1:064}"
    assert "scans" not in view("112", package)
