"""Maps for tests: areas in a row, each with a coast of its own and a border that it shares with the next one."""

import json
import random
from collections.abc import Sequence
from itertools import pairwise

__all__ = ["coasts"]

STEPS = 10_000


def coasts(codes: Sequence[str], points: int = 60, seed: int = 7) -> bytes:
    """The bytes of a `map.topojson`: `points` on each border and each coast, and before each coast an island."""
    chance = random.Random(seed)
    width = STEPS // len(codes)

    def line(start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
        """From `start` to `end` in steps as crooked as a coast."""
        parts = [
            tuple(a + (b - a) * step // points for a, b in zip(start, end, strict=True)) for step in range(1, points)
        ]
        bend = width // 4
        return [start, *((x + chance.randint(-bend, bend), y + chance.randint(-bend, bend)) for x, y in parts), end]

    corners = [(place * width, y) for place in range(len(codes) + 1) for y in (0, STEPS // 4)]
    borders = [line(south, north) for south, north in zip(corners[::2], corners[1::2], strict=True)]
    coasts = [
        line(corners[2 * place + side], corners[2 * place + side + 2]) for place in range(len(codes)) for side in (0, 1)
    ]
    islands = [
        [(x, STEPS), (x + 300, STEPS), (x, STEPS - 300), (x, STEPS)] for x in range(0, width * len(codes), width)
    ]
    count = len(codes)
    geometries = [
        {"type": "MultiPolygon", "id": code, "arcs": [[[2 * place + count + 1, place + 1, ~(2 * place + count + 2), ~place]], [[3 * count + 1 + place]]]}
        for place, code in enumerate(codes)
    ]  # fmt: skip
    arcs = [[list(arc[0]), *([b[0] - a[0], b[1] - a[1]] for a, b in pairwise(arc))] for arc in (*borders, *coasts, *islands)]  # fmt: skip
    return json.dumps(
        {
            "type": "Topology",
            "transform": {"scale": [0.004, 0.001], "translate": [95, -5]},
            "objects": {"areas": {"type": "GeometryCollection", "geometries": geometries}},
            "arcs": arcs,
        }
    ).encode()
