"""Areas' shapes as a picture: projected, simplified to the picture's resolution, as SVG paths of whole numbers. Pure.

The same topology gives the same paths on every machine: but for one rounded cosine all of it is arithmetic that IEEE 754 leaves no choice in. Borders are
simplified arc by arc, so that neighbours keep sharing them.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from heapq import heapify, heappop, heappush
from itertools import chain, pairwise
from typing import NamedTuple

from builder.topojson import Point, Ring, Topology, join

__all__ = ["Outline", "Picture", "Pixel", "picture"]

Pixel = tuple[int, int]

WIDTH, TALLEST = 640, 560
MARGIN = 4
# Characters of all paths together: what a national page's 14 KB on the wire have room for.
PATHS = 5_000
# Twice the area of the smallest triangle that is seen: a point that changes less is left out, and so is an island that is nothing else.
SEEN = 4
HALF = 180  # degrees
# A number with its margin, as the style sheet writes it; the least side of an area's mark.
LABEL_WIDTH, LABEL_HEIGHT = 13, 16
MARK = 4


class Outline(NamedTuple):
    """An area's SVG path, to be filled by the rule `evenodd`, and the middle of a place in it where a number fits."""

    path: str
    label: Pixel | None


class Picture(NamedTuple):
    width: int
    height: int
    outlines: dict[str, Outline]


@lru_cache(maxsize=64)
def picture(topology: Topology, areas: tuple[str, ...]) -> Picture:
    """The shapes of some areas, all of which have one, as large as the picture's width or height allows."""
    rings = {area: topology.areas[area] for area in areas}
    used = sorted({arc if arc >= 0 else ~arc for some in rings.values() for ring in some for arc in ring})
    arcs, height = _projected({arc: topology.arcs[arc] for arc in used})
    weights = {arc: _weights(points) for arc, points in arcs.items()}
    least = SEEN
    drawn = {area: _drawn(some, arcs, weights, least) for area, some in rings.items()}
    while sum(len(_path(some)) for some in drawn.values()) > PATHS and least < WIDTH * TALLEST:
        least += least // 4
        drawn = {area: _drawn(some, arcs, weights, least) for area, some in rings.items()}
    return Picture(WIDTH, height, {area: Outline(_path(some), _label(some[0])) for area, some in drawn.items()})


def _drawn(
    rings: Sequence[Ring], arcs: Mapping[int, Sequence[Pixel]], weights: Mapping[int, Sequence[int]], least: int
) -> list[list[Pixel]]:
    """An area's rings, the largest first, of the points that weigh `least`; a mark if nothing is left."""
    used = {arc if arc >= 0 else ~arc for ring in rings for arc in ring}
    simple = {
        arc: [point for point, weight in zip(arcs[arc], weights[arc], strict=True) if weight >= least] for arc in used
    }
    drawn = [points for points in (join(simple, ring) for ring in rings) if len(set(points)) > 2]
    return sorted(drawn, key=_area, reverse=True) or [_mark(max((join(arcs, ring) for ring in rings), key=_area))]


def _projected(arcs: Mapping[int, Sequence[Point]]) -> tuple[dict[int, list[Pixel]], int]:
    """Equirectangular, true to length at the middle latitude; y points down. The arcs without repeated points, and the picture's height."""
    arcs = _together(arcs)
    every = list(chain.from_iterable(arcs.values()))
    left, right = min(x for x, _ in every), max(x for x, _ in every)
    bottom, top = min(y for _, y in every), max(y for _, y in every)
    narrowing = round(math.cos(math.radians((bottom + top) / 2)), 4) or 0.0001
    wide, high = max((right - left) * narrowing, 1e-9), max(top - bottom, 1e-9)
    unit = min((WIDTH - 2 * MARGIN) / wide, (TALLEST - 2 * MARGIN) / high)
    start = (WIDTH - wide * unit) / 2

    def pixels(points: Sequence[tuple[float, float]]) -> list[Pixel]:
        found = [(round((x - left) * narrowing * unit + start), round((top - y) * unit + MARGIN)) for x, y in points]
        return [*found[:1], *(point for before, point in pairwise(found) if point != before)]

    return {arc: pixels(points) for arc, points in arcs.items()}, round(high * unit) + 2 * MARGIN


def _together(arcs: Mapping[int, Sequence[Point]]) -> Mapping[int, Sequence[Point]]:
    """The same arcs, with what lies on the other side of the 180th meridian 360 degrees further east: where a gap of more than half the globe tells so."""
    every = sorted({x for points in arcs.values() for x, _ in points})
    last = next((a for a, b in pairwise(every) if b - a > HALF), None) if every[-1] - every[0] > HALF else None
    if last is None:
        return arcs
    return {arc: [(x + 2 * HALF if x <= last else x, y) for x, y in points] for arc, points in arcs.items()}


def _weights(points: Sequence[Pixel]) -> list[int]:
    """How much each point of an arc matters: twice the area of the triangle that goes when it is left out, no less than that of those left out before.

    Visvalingam and Whyatt, "Line generalisation by repeated elimination of points" (1993). The ends always matter.
    """
    last = len(points) - 1
    weights = [1 << 62] * len(points)
    before, after = list(range(-1, last)), list(range(1, last + 2))
    current = {at: _triangle(points[at - 1], points[at], points[at + 1]) for at in range(1, last)}
    waiting = [(weight, at) for at, weight in current.items()]
    heapify(waiting)
    heaviest = 0
    while waiting:
        weight, at = heappop(waiting)
        if current.get(at) != weight:
            continue
        del current[at]
        heaviest = weights[at] = max(heaviest, weight)
        left, right = before[at], after[at]
        after[left], before[right] = right, left
        for near in (left, right):
            if near in current:
                current[near] = _triangle(points[before[near]], points[near], points[after[near]])
                heappush(waiting, (current[near], near))
    return weights


def _triangle(a: Pixel, b: Pixel, c: Pixel) -> int:
    return abs((b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1]))


def _area(ring: Sequence[Pixel]) -> int:
    """Twice a ring's area."""
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring)))


def _mark(ring: Sequence[Pixel]) -> list[Pixel]:
    """A square in the place of an area that is too small to be seen."""
    x, y = ((min(values) + max(values) - MARK) // 2 for values in zip(*ring, strict=True))
    return [(x, y), (x + MARK, y), (x + MARK, y + MARK), (x, y + MARK), (x, y)]


def _path(rings: Sequence[Sequence[Pixel]]) -> str:
    return "".join(map(_ring_path, rings))


def _ring_path(ring: Sequence[Pixel]) -> str:
    steps = ((b[0] - a[0], b[1] - a[1]) for a, b in pairwise(ring[:-1]))
    told = " ".join(f"{x} {y}" for x, y in steps).replace(" -", "-")
    return f"M{ring[0][0]} {ring[0][1]}l{told}z"


def _label(ring: Sequence[Pixel]) -> Pixel | None:
    """The middle of the widest place in a ring that holds a number; None where none does."""
    rows = [y for _, y in ring]
    half, best = LABEL_HEIGHT // 2, (LABEL_WIDTH - 1, 0, 0)
    for y in range(min(rows) + half, max(rows) - half + 1, 2):
        for left, right in _common([_spans(ring, y + step) for step in (-half, 0, half)]):
            best = max(best, (right - left, -y, (left + right) // 2))
    width, y, x = best
    return (x, -y) if width >= LABEL_WIDTH else None


def _spans(ring: Sequence[Pixel], y: int) -> list[tuple[int, int]]:
    """Where a line across a ring is inside it; just below `y`, so that it meets no corner."""
    found = [
        a[0] + (b[0] - a[0]) * (2 * (y - a[1]) + 1) // (2 * (b[1] - a[1]))
        for a, b in pairwise(ring)
        if (a[1] <= y) != (b[1] <= y)
    ]
    found.sort()
    return list(zip(found[::2], found[1::2], strict=True))


def _common(lines: Sequence[Sequence[tuple[int, int]]]) -> Iterator[tuple[int, int]]:
    """What is inside on all of three lines."""
    first, *others = lines
    for left, right in first:
        parts = [(left, right)]
        for spans in others:
            parts = [(max(a, c), min(b, d)) for a, b in parts for c, d in spans if min(b, d) > max(a, c)]
        yield from parts
