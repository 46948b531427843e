"""Navigation: from an area to its neighbours and to its other contests, without any figure."""

from builder.navigation import Link, Navigation
from tests.builder.elections import small_election

SMALL = small_election()


def test_neighbours_are_siblings() -> None:
    """Previous and next are areas of the same parent, in the file's order; the first has none before it, the root none at all."""
    navigation, areas = Navigation(SMALL), SMALL.areas
    contest = SMALL.election.contests[0]
    for row, parent in enumerate(areas.parents):
        siblings = [one for one, its in enumerate(areas.parents) if its == parent]
        place = siblings.index(row)
        found = navigation.around(contest, row)
        for link, beside in ((found.previous, siblings[:place][-1:]), (found.next, siblings[place + 1 :][:1])):
            assert link == next((Link(areas.path(contest.id, one), areas.names[one]) for one in beside), None)


def test_contests_of_an_area() -> None:
    """Where several contests cover an area each is linked; a contest of one area leads to no area beside it."""
    navigation, areas = Navigation(SMALL), SMALL.areas
    local = next(one for one in SMALL.election.contests if one.area)
    row = areas.index[local.area or ""]
    assert {one.id for _, one in navigation.around(local, row).contests} == {
        one.id for one in SMALL.election.contests if one.area in {None, local.area}
    }
    assert navigation.around(local, row)[:2] == (None, None)
    assert local not in [one for _, one in navigation.around(SMALL.election.contests[0], 0).contests]
