"""The map of the areas below one: in their shapes (`map.topojson`), else one tile for each in the places that the definition gives them (`tiles`).

Who leads in an area is told three times: by number, by pattern, by colour.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from builder.election import Contest, Election
from builder.outlines import Pixel, picture
from builder.topojson import Topology
from builder.wording import Results, Wording

__all__ = ["ShapeMap", "TileMap", "colour", "shape_map", "tile_map"]

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


class Shape(NamedTuple):
    """Where it leads, its SVG path, the place for its number if there is one, then as of a tile."""

    href: str
    path: str
    label: Pixel | None
    title: str
    number: str
    colour: int
    pattern: int


class ShapeMap(NamedTuple):
    """`beside`: href, name, number, colour and pattern of each area whose number is not on the map. `legend`: who leads anywhere, with colour and pattern."""

    width: int
    height: int
    shapes: list[Shape]
    beside: list[tuple[str, str, str, int, int]]
    legend: list[tuple[str, int, int]]


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
        row = rows[tile.area]
        leads = _leads(row, contest, wording, tile.label)
        tiles.append(Tile(f"{up}{row[2]}.html", tile.column * WIDTH, tile.row * HEIGHT, tile.label, *leads))
    return TileMap(max(NARROWEST, *(tile.x + WIDTH for tile in tiles)), max(tile.y for tile in tiles) + HEIGHT, tiles)


def shape_map(
    results: Results, topology: Topology | None, contest: Contest, wording: Wording, up: str
) -> ShapeMap | None:
    """The map for the page of an area whose areas below all have a shape; of the first area, if one of them has. Else None."""
    rows = results["children"]["rows"]
    drawn = [row for row in rows if topology and row[0] in topology.areas]
    if not topology or not drawn or (results["parents"] and len(drawn) < len(rows)):
        return None
    made = picture(topology, tuple(row[0] for row in drawn))
    shapes, beside = [], []
    leaders: dict[str, tuple[int, int]] = {}
    for row in rows:
        href, outline = f"{up}{row[2]}.html", made.outlines.get(row[0])
        _, number, place, pattern = leads = _leads(row, contest, wording)
        if outline:
            shapes.append(Shape(href, outline.path, outline.label, *leads))
        if not outline or not outline.label:
            beside.append((href, row[1], number, place, pattern))
        if place:
            leaders[number] = place, pattern
    # The order in which candidates stand everywhere else.
    legend = [
        (number, *leaders[number]) for number in (str(one.number) for one in contest.candidates) if number in leaders
    ]
    return ShapeMap(made.width, made.height, shapes, beside, legend)


def _leads(row: Sequence[Any], contest: Contest, wording: Wording, label: str = "") -> tuple[str, str, int, int]:
    """An area's whole text, and its leader's number, colour and pattern; `row` is of the results' `children`."""
    _, name, _, expected, reported, *figures = row
    votes = figures[: len(contest.candidates)]
    leader = _leader(votes)
    words = {"label": label, "area": name, "station": wording.station}
    words |= {"reported": wording.figure(reported), "expected": wording.figure(expected)}
    if leader is None:
        number, told = wording.words["none"], "tile_even" if any(votes) else "tile_nothing"
    else:
        number, told = str(contest.candidates[leader].number), "tile_leads"
        words["share"] = wording.share(votes[leader], sum(vote or 0 for vote in votes))
    title = wording.words[told].format_map(words | {"number": number}).lstrip()
    return title, number, *((0, 0) if leader is None else (colour(leader), leader % PATTERNS + 1))


def _leader(votes: Sequence[Any]) -> int | None:
    """Place of the one who has most votes; None for nobody, or more than one."""
    most = max((vote or 0 for vote in votes), default=0)
    places = [place for place, vote in enumerate(votes) if vote == most]
    return places[0] if most and len(places) == 1 else None
