"""`map.topojson`: areas' shapes in TopoJSON, read and checked as a whole. Pure.

The TopoJSON Format Specification, https://github.com/topojson/topojson-specification, of which areas have: Polygon, MultiPolygon, GeometryCollection.
"""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, Literal, NoReturn

import msgspec

from builder import limits
from builder.errors import DefinitionError

__all__ = ["Point", "Ring", "Topology", "parse_topojson"]

Point = tuple[float, float]
Ring = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Topology:
    """Shapes by area's code. A ring is a list of arcs that join to a closed line: `i` is arc i, `~i` the same backwards. Outer rings and holes stand together;
    points are longitude and latitude in degrees."""

    arcs: tuple[tuple[Point, ...], ...]
    areas: dict[str, tuple[Ring, ...]]

    def points(self, ring: Ring) -> list[Point]:
        """A ring's points; the last one is the first."""
        return join(self.arcs, ring)


def join(arcs: Any, ring: Ring) -> list[Any]:  # noqa: ANN401 - points of any kind, by arc
    """The points of a ring's arcs in turn; where two arcs meet, their common point once."""
    some = [arcs[arc] if arc >= 0 else arcs[~arc][::-1] for arc in ring]
    return [*some[0][:1], *chain.from_iterable(points[1:] for points in some)]


class _Transform(msgspec.Struct, frozen=True):
    scale: tuple[float, float]
    translate: tuple[float, float]


class _Geometry(msgspec.Struct, frozen=True):
    type: Literal["Polygon", "MultiPolygon", "GeometryCollection"] | None
    id: str | int | None = None
    arcs: msgspec.Raw = msgspec.Raw(b"[]")
    geometries: tuple["_Geometry", ...] = ()


class _File(msgspec.Struct, frozen=True):
    type: Literal["Topology"]
    objects: dict[str, _Geometry]
    arcs: list[list[list[float]]]
    transform: _Transform | None = None


def parse_topojson(data: bytes, areas: Container[str], file: str | Path) -> Topology:
    """The shapes of `areas`, by code.

    Raises:
        DefinitionError: with file, field and rule.
    """
    try:
        told = msgspec.json.decode(data, type=_File)
    except (ValueError, RecursionError) as error:
        problem, _, path = str(error).partition(" - at ")
        field = path.strip("`").removeprefix("$.") or None
        raise DefinitionError(
            f"not TopoJSON of areas: {_plain(problem, field)}", file=file, field=field, rule="type"
        ) from None
    try:
        arcs = tuple(_arcs(told))
        found: dict[str, tuple[Ring, ...]] = {}
        drawn = 0
        for field, geometry in _geometries(told.objects):
            code = "" if geometry.id is None else str(geometry.id)
            if not code:
                _refuse(
                    f"{field}.id",
                    "unknown-area",
                    "is missing; every shape has as its id the code of an area in areas.csv",
                )
            if code not in areas:
                _refuse(f"{field}.id", "unknown-area", f"is {code[:40]!r}; it must be the code of an area in areas.csv")
            if code in found:
                _refuse(f"{field}.id", "duplicate-area", f"area {code!r} has two shapes; make one MultiPolygon of them")
            if rings := tuple(_rings(geometry, arcs, field)):
                found[code] = rings
            drawn += sum(len(arcs[arc]) for ring in rings for arc in (n if n >= 0 else ~n for n in ring))
            if drawn > limits.MAP_RING_POINTS:
                _refuse(field, "size", f"the shapes have more than {limits.MAP_RING_POINTS} points; simplify the map")
    except _Refused as refused:
        field, rule, problem = refused.args
        raise DefinitionError(problem, file=file, field=field, rule=rule) from None
    return Topology(arcs, found)


def _plain(problem: str, field: str | None) -> str:
    """What the decoder says, with the way to mend the mistakes that are likely."""
    if field == "type":
        return "its type must be Topology; GeoJSON becomes TopoJSON by geo2topo (topojson-server) or mapshaper"
    if (field or "").endswith(".type"):
        return f"{problem}; a shape is a Polygon, a MultiPolygon or a GeometryCollection of these"
    return problem


class _Refused(Exception):  # noqa: N818 - never leaves this module
    """Field, rule, problem."""


def _refuse(field: str, rule: str, problem: str) -> NoReturn:
    raise _Refused(field, rule, problem)


def _arcs(told: _File) -> Iterator[tuple[Point, ...]]:
    """Every arc in degrees; where there is a transform, its points are steps on a grid (section 2.1.2 of the specification)."""
    if sum(map(len, told.arcs)) > limits.MAP_POINTS:
        _refuse("arcs", "size", f"more than {limits.MAP_POINTS} points; simplify the map")
    for number, arc in enumerate(told.arcs):
        field = f"arcs[{number}]"
        if len(arc) < 2 or any(len(point) < 2 for point in arc):
            _refuse(field, "arc", "an arc has at least two points of two numbers each")
        points = [(point[0], point[1]) for point in arc]
        if told.transform:
            points = list(_degrees(points, told.transform))
        if not all(-180 <= x <= 180 and -90 <= y <= 90 for x, y in points):
            _refuse(field, "degrees", "points are longitude (-180 to 180) and latitude (-90 to 90), in degrees")
        yield tuple(points)


def _degrees(steps: Sequence[Point], transform: _Transform) -> Iterator[Point]:
    (scale_x, scale_y), (left, bottom) = transform.scale, transform.translate
    x = y = 0.0
    for step_x, step_y in steps:
        x, y = x + step_x, y + step_y
        yield x * scale_x + left, y * scale_y + bottom


def _geometries(objects: dict[str, _Geometry]) -> Iterator[tuple[str, _Geometry]]:
    """Every geometry that is no collection, with its place in the file. `null` ones have no shape."""
    waiting = [(f"objects.{name[:40]}", geometry) for name, geometry in reversed(objects.items())]
    while waiting:
        field, geometry = waiting.pop()
        if geometry.type == "GeometryCollection":
            inner = enumerate(geometry.geometries)
            waiting += reversed([(f"{field}.geometries[{number}]", one) for number, one in inner])
        elif geometry.type is not None:
            yield field, geometry


def _rings(geometry: _Geometry, arcs: Sequence[Sequence[Point]], field: str) -> Iterator[Ring]:
    """The rings of all its polygons."""
    kind: Any = list[list[Ring]] if geometry.type == "MultiPolygon" else list[Ring]
    try:
        told = msgspec.json.decode(geometry.arcs, type=kind)
    except (ValueError, RecursionError) as error:
        _refuse(f"{field}.arcs", "type", f"not the arcs of a {geometry.type}: {error}")
    for ring in chain.from_iterable(told) if geometry.type == "MultiPolygon" else told:
        if not ring or any(not -len(arcs) <= arc < len(arcs) for arc in ring):
            _refuse(f"{field}.arcs", "arc", "a ring names at least one arc, and none that is not there")
        ends = [(arcs[arc][0], arcs[arc][-1]) if arc >= 0 else (arcs[~arc][-1], arcs[~arc][0]) for arc in ring]
        if any(one[1] != other[0] for one, other in pairwise([*ends, ends[0]])):
            _refuse(f"{field}.arcs", "ring", "the arcs of a ring must join to a closed line")
        yield ring
