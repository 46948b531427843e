"""Where a page leads: to the areas beside its own, and to the other contests of the same area.

Static names alone, from the definition: a neighbour's figures are never looked at, so that its page may change without this one.
"""

from typing import NamedTuple

from builder.election import Contest, Definition

__all__ = ["NOWHERE", "Link", "Navigation", "Surroundings"]


class Link(NamedTuple):
    """A page by its path without extension, relative to the election, and what it is called."""

    path: str
    name: str


class Surroundings(NamedTuple):
    """`previous` and `next` are areas of the same parent; `contests` are all that cover the area, as path and contest, where there is more than one."""

    previous: Link | None
    next: Link | None
    contests: tuple[tuple[str, Contest], ...]


NOWHERE = Surroundings(None, None, ())


class Navigation:
    """What lies around each area, worked out once for the whole tree."""

    def __init__(self, definition: Definition) -> None:
        areas = definition.areas
        self._areas, self._previous, self._next = areas, [-1] * len(areas), [-1] * len(areas)
        last: dict[int, int] = {}
        for row, parent in enumerate(areas.parents):
            before = last.get(parent, -1)
            self._previous[row] = before
            if before >= 0:
                self._next[before] = row
            last[parent] = row
        self._tops: dict[int, list[Contest]] = {}
        for contest in definition.election.contests:
            self._tops.setdefault(areas.index[contest.area] if contest.area else 0, []).append(contest)

    def around(self, contest: Contest, row: int) -> Surroundings:
        """The surroundings of the area at `row` of the tree."""
        is_top = contest.area == self._areas.codes[row]
        previous, following = (None, None) if is_top else (self._previous[row], self._next[row])
        ways = (*self._areas.ancestors(row), row) if len(self._tops) > 1 else (0,)
        contests = [one for way in ways for one in self._tops.get(way, ())]
        return Surroundings(
            self._link(contest, previous),
            self._link(contest, following),
            tuple((self._areas.path(one.id, row), one) for one in contests) if len(contests) > 1 else (),
        )

    def _link(self, contest: Contest, row: int | None) -> Link | None:
        return None if row is None or row < 0 else Link(self._areas.path(contest.id, row), self._areas.names[row])
