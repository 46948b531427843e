"""Maps of areas' shapes: TopoJSON as the reference programs read it, pictures that fit their page, and what the page says."""

import json
import re
import subprocess
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from builder import limits
from builder.election import Tile, load_definition
from builder.errors import DefinitionError
from builder.outlines import LABEL_HEIGHT, LABEL_WIDTH, PATHS, picture
from builder.pages import Pages
from builder.topojson import Topology, parse_topojson
from tests.builder.maps import coasts
from tests.builder.sample_results import election, nation, province
from tests.builder.test_page_budgets import SOURCES
from tests.election import write_definition
from tests.programs import require, require_package

CODES = ("11", "12", "-99")


def square(x: float, y: float, side: float = 1) -> list[list[float]]:
    return [[x, y], [x, y + side], [x + side, y + side], [x + side, y], [x, y]]


def mosaic(seed: int) -> dict[str, Any]:
    """GeoJSON: a board of squares, dealt out to areas that so share borders; one area has a hole in which another lies."""
    chance = Random(seed)
    boards: dict[str, list[Any]] = {str(code): [] for code in range(11, 16)}
    for x in range(8):
        for y in range(6):
            boards[str(chance.randint(11, 15))].append([square(95 + x * 1.5, y * 1.25 - 4, 1.25)])
    boards["15"].append([square(120, -9, 6), square(122, -7, 2)])
    boards["-99"] = [[square(122, -7, 2)]]
    features = [{"type": "Feature", "id": code, "properties": {}, "geometry": {"type": "MultiPolygon", "coordinates": some}} for code, some in boards.items()]  # fmt: skip
    features.append({"type": "Feature", "id": "16", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [square(100, 8)]}})  # fmt: skip
    return {"type": "FeatureCollection", "features": features}


@pytest.mark.parametrize("steps", [0, 500, 100_000])
@pytest.mark.parametrize("seed", [1, 2])
def test_decodes_as_the_reference_does(seed: int, steps: int) -> None:
    """Every area has the rings that topojson-client decodes from what topojson-server made, point by point."""
    libraries = [require_package(f"topojson-{name}") for name in ("server", "client")]
    command = [require("node"), Path(__file__).with_name("topojson.cjs"), *libraries, str(steps)]
    said = json.loads(subprocess.run(command, input=json.dumps(mosaic(seed)).encode(), check=True, capture_output=True).stdout)  # fmt: skip
    read = parse_topojson(json.dumps(said["topology"]).encode(), {*said["polygons"]}, "map.topojson")
    assert read.areas.keys() == said["polygons"].keys()
    for code, polygons in said["polygons"].items():
        rings = [[[x, y] for x, y in read.points(ring)] for ring in read.areas[code]]
        expected = [ring for polygon in polygons for ring in polygon]
        assert [[pytest.approx(point, abs=1e-9) for point in ring] for ring in expected] == rings


def small(**changes: Any) -> bytes:
    area = {"type": "Polygon", "id": 11, "arcs": [[0]]}
    told = {"type": "Topology", "objects": {"a": area}, "arcs": [square(100, 0)]}
    return json.dumps(told | changes).encode()


def one(**changes: Any) -> bytes:
    return small(objects={"a": {"type": "Polygon", "id": "11", "arcs": [[0]], **changes}})


BROKEN = {
    "no JSON": (b"{", None, "type"),
    "deep": (b'{"type":"Topology","arcs":' + b"[" * 100_000, "arcs[0][0][0]", "type"),
    "GeoJSON": (json.dumps(mosaic(1)).encode(), "type", "type"),
    "a word among the numbers": (small(arcs=[[[0, "x"]]]), "arcs[0][0][1]", "type"),
    "not a number": (b'{"type":"Topology","objects":{},"arcs":[[[NaN,0],[0,0]]]}', None, "type"),
    "a number without end": (small().replace(b"101", b"1e999"), "arcs[0][2][0]", "type"),
    "one point": (small(arcs=[[[100, 0]]]), "arcs[0]", "arc"),
    "one number": (small(arcs=[[[100], [101]]]), "arcs[0]", "arc"),
    "metres": (small(arcs=[square(700_000, 9_300_000)]), "arcs[0]", "degrees"),
    "steps out of the world": (small(transform={"scale": [1e300, 1e300], "translate": [0, 0]}), "arcs[0]", "degrees"),
    "points": (one(type="Point"), "objects[...].type", "type"),
    "no id": (one(id=None), "objects.a.id", "unknown-area"),
    "another id": (one(id="77"), "objects.a.id", "unknown-area"),
    "true": (one(id=True), "objects[...].id", "type"),
    "an arc that is not there": (one(arcs=[[1]]), "objects.a.arcs", "arc"),
    "an arc that is not there, backwards": (one(arcs=[[-2]]), "objects.a.arcs", "arc"),
    "an empty ring": (one(arcs=[[]]), "objects.a.arcs", "arc"),
    "half an arc": (one(arcs=[[0.5]]), "objects.a.arcs", "type"),
    "arcs of another shape": (one(type="MultiPolygon"), "objects.a.arcs", "type"),
    "an open ring": (small(arcs=[square(100, 0)[:4]]), "objects.a.arcs", "ring"),
    "arcs that do not meet": (
        small(arcs=[square(100, 0)[:3], square(100, 5)[2:]], objects={"a": {"type": "Polygon", "id": "11", "arcs": [[0, 1]]}}),
        "objects.a.arcs", "ring",
    ),
    "two shapes of one area": (
        small(objects={"a": {"type": "GeometryCollection", "geometries": [{"type": "Polygon", "id": "11", "arcs": [[0]]}] * 2}}),
        "objects.a.geometries[1].id", "duplicate-area",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("data", "field", "rule"), BROKEN.values(), ids=BROKEN)
def test_a_broken_map_is_refused(data: bytes, field: str | None, rule: str) -> None:
    """What is not TopoJSON of this election's areas is refused with file, field and rule."""
    with pytest.raises(DefinitionError) as refused:
        parse_topojson(data, CODES, "map.topojson")
    assert (refused.value.file, refused.value.field, refused.value.rule) == ("map.topojson", field, rule)


MENDED = {
    "GeoJSON": (json.dumps(mosaic(1)).encode(), "GeoJSON becomes TopoJSON by geo2topo"),
    "points": (one(type="Point"), "a shape is a Polygon, a MultiPolygon or a GeometryCollection of these"),
    "no id": (one(id=None), "is missing; every shape has as its id the code of an area in areas.csv"),
}


@pytest.mark.parametrize(("data", "mend"), MENDED.values(), ids=MENDED)
def test_likely_mistakes_are_told_with_the_way_to_mend_them(data: bytes, mend: str) -> None:
    """GeoJSON, points and shapes without an id, which programs for maps write, are refused with what to do."""
    with pytest.raises(DefinitionError, match=mend):
        parse_topojson(data, CODES, "map.topojson")


@pytest.mark.parametrize(("cap", "value"), [("MAP_POINTS", 4), ("MAP_RING_POINTS", 9)])
def test_a_map_of_too_many_points_is_refused(monkeypatch: pytest.MonkeyPatch, cap: str, value: int) -> None:
    """Points are counted in arcs, and in shapes: a ring may name one arc many times."""
    monkeypatch.setattr(limits, cap, value)
    with pytest.raises(DefinitionError, match="simplify the map") as refused:
        parse_topojson(one(arcs=[[0], [0]]), CODES, "map.topojson")
    assert refused.value.rule == "size"


def test_what_areas_do_not_need_is_let_be() -> None:
    """Properties, boxes, heights, numbers as ids and areas without shape are TopoJSON, too."""
    arcs = [[[*point, 12] for point in square(100, 0)]]
    objects = {"a": {"type": "Polygon", "id": 11, "arcs": [[~0]], "properties": {"x": [1]}}, "b": {"type": None, "id": "12"}}  # fmt: skip
    read = parse_topojson(small(arcs=arcs, objects=objects, bbox=[100, 0, 101, 1]), CODES, "map.topojson")
    assert read.areas == {"11": ((-1,),)}
    assert read.points((-1,)) == [(x, y) for x, y in reversed(square(100, 0))]


def drawn(path: str) -> list[list[tuple[int, int]]]:
    """The rings of an SVG path of ours."""
    rings = []
    for part in re.findall(r"M([-0-9 ]+)l([-0-9 ]+)z", path):
        (x, y), steps = map(int, part[0].split()), [int(step) for step in re.findall(r"-?\d+", part[1])]
        ring = [(x, y)]
        for step in zip(steps[::2], steps[1::2], strict=True):
            ring.append((ring[-1][0] + step[0], ring[-1][1] + step[1]))
        rings.append([*ring, ring[0]])
    assert "".join(re.findall(r"M[-0-9 ]+l[-0-9 ]+z", path)) == path
    return rings


def parsed(codes: tuple[str, ...], points: int) -> Topology:
    return parse_topojson(coasts(codes, points), codes, "map.topojson")


@pytest.mark.parametrize(("count", "points"), [(3, 4), (5, 60), (38, 60), (38, 2_000), (514, 30)])
def test_a_picture_fits_its_page(count: int, points: int) -> None:
    """However crooked the coasts, the paths keep their size; each area has a ring, in the picture, of whole numbers."""
    codes = tuple(str(code) for code in range(100, 100 + count))
    made = picture(parsed(codes, points), codes)
    assert set(made.outlines) == set(codes)
    assert sum(len(outline.path) for outline in made.outlines.values()) <= max(PATHS, 45 * count)
    for outline in made.outlines.values():
        rings = drawn(outline.path)
        assert all(len(set(ring)) > 2 for ring in rings)
        assert all(0 <= x <= made.width and 0 <= y <= made.height for ring in rings for x, y in ring)


def test_neighbours_share_their_border() -> None:
    """Simplified, two areas still meet: the lines between them are the same in both."""
    made = picture(parsed(CODES, 400), CODES)

    def lines(code: str) -> set[frozenset[tuple[int, int]]]:
        return {frozenset(line) for ring in drawn(made.outlines[code].path) for line in pairwise(ring)}

    assert len(lines("11") & lines("12")) > 5
    assert len(lines("12") & lines("-99")) > 5
    assert not lines("11") & lines("-99")


def test_both_sides_of_the_180th_meridian_stand_together() -> None:
    """Islands around the 180th meridian are drawn as they lie: as they would be elsewhere, whether a shape that crosses it is cut there or goes on."""

    def outlines(*rings: list[list[float]]) -> dict[str, str]:
        objects = {
            "a": {"type": "Polygon", "id": "11", "arcs": [[0]]},
            "b": {"type": "MultiPolygon", "id": "12", "arcs": [[[1]], *([[[2]]] if len(rings) > 2 else [])]},
        }
        topology = parse_topojson(small(arcs=list(rings), objects=objects), CODES, "map.topojson")
        return {code: outline.path for code, outline in picture(topology, ("11", "12")).outlines.items()}

    across = [[179, 0], [179, 2], [-179, 2], [-179, 0], [179, 0]]
    assert outlines(square(174, 0), across) == outlines(square(4, 0), square(9, 0, 2))
    cut = outlines(square(174, 0), square(178, 0, 2), square(-180, 0, 2))
    assert cut == outlines(square(4, 0), square(8, 0, 2), square(10, 0, 2))
    assert outlines(square(-175, 0), square(100, 0)) == outlines(square(85, 0), square(0, 0))
    assert outlines(square(-80, 0), square(99, 0)) == outlines(square(-90, 0), square(89, 0))


def test_a_tiny_area_is_still_there() -> None:
    """An area smaller than a pixel is drawn as a small square, without its number; islands that cannot be seen are left out."""
    arcs = [square(100, 0, 20), square(130, 0, 0.001), square(131, 0, 0.001), square(125, 5, 0.001)]
    objects = {
        "a": {"type": "MultiPolygon", "id": "11", "arcs": [[[0]], [[3]]]},
        "b": {"type": "MultiPolygon", "id": "12", "arcs": [[[1]], [[2]]]},
    }
    made = picture(parse_topojson(small(arcs=arcs, objects=objects), CODES, "map.topojson"), ("11", "12"))
    (large,), (tiny,) = (drawn(made.outlines[code].path) for code in ("11", "12"))
    assert len(large) == 5
    assert made.outlines["11"].label is not None
    assert (len(tiny), made.outlines["12"].label) == (5, None)


def test_a_number_stands_in_its_area() -> None:
    """The box of a number lies within the area's largest ring; where none does, the area has none on the map."""
    made = picture(parsed(CODES, 40), CODES)
    for outline in made.outlines.values():
        ring = max(drawn(outline.path), key=len)
        assert outline.label is not None
        x, y = outline.label
        for corner in (
            (x - LABEL_WIDTH // 2 + 1, y - LABEL_HEIGHT // 2 + 1),
            (x + LABEL_WIDTH // 2 - 1, y + LABEL_HEIGHT // 2 - 1),
        ):
            assert _inside(ring, corner)


def _inside(ring: list[tuple[int, int]], point: tuple[int, int]) -> bool:
    x, y = point[0] + 0.5, point[1] + 0.5
    crossed = [a[0] + (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1]) for a, b in pairwise(ring) if (a[1] < y) != (b[1] < y)]
    return sum(at > x for at in crossed) % 2 == 1


def test_the_first_page_shows_shapes_and_lists_the_rest() -> None:
    """Shapes link to the areas and say in words who leads; an area without shape or room is listed with its number; there are no tiles."""
    topology = parse_topojson(coasts(["11"]), CODES, "map.topojson")
    tiles = (Tile(area="11", column=0, row=0, label="XX"),)
    page = Pages(SOURCES, election(tiles=tiles), "id", topology).area_page(nation()).decode().replace("&#x2f;", "/")
    assert re.search(r'<a href="\.\./ppwp/11\.html"><title>2: Tanjung Biru, unggul dengan 85,59%, 15\.600 dari 15\.610 TPS masuk</title><path d="M', page)  # fmt: skip
    assert '<b>-</b> <a href="../ppwp/n99.html"><bdi>Luar Negeri</bdi></a>' in page
    assert "XX" not in page
    assert page.count('class="map') == 1


def test_other_pages_show_shapes_where_all_are_there() -> None:
    """A province's page has a map when all of its areas have a shape, else none: half a province would mislead."""
    results = province(children=nation()["children"])
    whole, part = (parse_topojson(coasts(some), CODES, "map.topojson") for some in (("11", "-99"), ("11", "12")))
    assert '<path d="M' in Pages(SOURCES, election(), "en", whole).area_page(results).decode()
    assert 'class="map' not in Pages(SOURCES, election(), "en", part).area_page(results).decode()


def test_a_map_is_part_of_the_definition(tmp_path: Path) -> None:
    """The file counts for the definition's hash; a broken one is named by its path; without it nothing is different."""
    write_definition(tmp_path)
    without = load_definition(tmp_path)
    (tmp_path / "map.topojson").write_bytes(coasts(CODES))
    definition = load_definition(tmp_path)
    assert without.topology is None
    assert definition.topology is not None
    assert definition.files.keys() - without.files.keys() == {"map.topojson"}
    assert definition.sha256 != without.sha256
    (tmp_path / "map.topojson").write_bytes(coasts(["11", "13"]))
    with pytest.raises(DefinitionError, match=r"map\.topojson, field objects\.areas\.geometries\[1\]\.id: is '13'; .* \[unknown-area\]"):  # fmt: skip
        load_definition(tmp_path)
