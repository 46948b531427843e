"""The map: one tile for each area below the first one, in the places that the definition gives them (`tiles`).

Who leads in an area is told three times: by number, by pattern, by colour.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from builder.election import Contest, Election
from builder.wording import Results, Wording

__all__ = ["TileMap", "colour", "tile_map"]

COLOURS = 8
PATTERNS = 4
WIDTH, HEIGHT = 44, 62
# A map fills its place on the page: with few columns its tiles would grow larger than the figures.
NARROWEST = 10 * WIDTH


def colour(place: int) -> int:
    """Number of the style sheet's colour for the candidate at `place`; there are as many as can be told apart."""
    return place % COLOURS + 1


class Tile(NamedTuple):
    """Where it leads, its place, its short and whole text, the leader's number and colour and pattern (0: nobody leads)."""

    href: str
    x: int
    y: int
    label: str
    title: str
    number: str
    colour: int
    pattern: int


class TileMap(NamedTuple):
    width: int
    height: int
    tiles: list[Tile]


def tile_map(results: Results, election: Election, contest: Contest, wording: Wording, up: str) -> TileMap | None:
    """The map for the page of the first area, where the definition has tiles for what lies below it; else None."""
    if results["parents"]:
        return None
    rows = {row[0]: row for row in results["children"]["rows"]}
    found = [tile for tile in election.tiles if tile.area in rows]
    if not found:
        return None
    tiles = []
    for tile in found:
        _, name, path, expected, reported, *figures = rows[tile.area]
        votes = figures[: len(contest.candidates)]
        leader = _leader(votes)
        words = {"label": tile.label, "area": name, "station": wording.station}
        words |= {"reported": wording.figure(reported), "expected": wording.figure(expected)}
        if leader is None:
            number, told = wording.words["none"], "tile_even" if any(votes) else "tile_nothing"
        else:
            number, told = str(contest.candidates[leader].number), "tile_leads"
            words["share"] = wording.share(votes[leader], sum(vote or 0 for vote in votes))
        title = wording.words[told].format_map(words | {"number": number})
        place = (0, 0) if leader is None else (colour(leader), leader % PATTERNS + 1)
        tiles.append(
            Tile(f"{up}{path}.html", tile.column * WIDTH, tile.row * HEIGHT, tile.label, title, number, *place)
        )
    return TileMap(max(NARROWEST, *(tile.x + WIDTH for tile in tiles)), max(tile.y for tile in tiles) + HEIGHT, tiles)


def _leader(votes: Sequence[Any]) -> int | None:
    """Place of the one who has most votes; None for nobody, or more than one."""
    most = max((vote or 0 for vote in votes), default=0)
    places = [place for place, vote in enumerate(votes) if vote == most]
    return places[0] if most and len(places) == 1 else None
