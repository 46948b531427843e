"""Which signing role covers which areas of which contest: docs/formats.md, "TUF metadata"."""

from collections.abc import Iterator
from dataclasses import dataclass

from builder.election import Contest, Definition

__all__ = ["DATA_FILES", "SIREKAP", "Part", "parts"]

# In place of a shard, the role of what stands beside results above the shard level (no code has an inner `-`).
DATA_FILES = "data-files"
# What follows the shard in the name of a role that signs the same figures in Sirekap's shape.
SIREKAP = "sirekap"


@dataclass(frozen=True)
class Part:
    """What one signing role covers of one contest: rows of areas; their `results` and pages, or what stands `beside` these, or both; or all in the shape of `sirekap`."""

    role: str
    contest: str
    rows: tuple[int, ...]
    results: bool = True
    beside: bool = True
    sirekap: bool = False


def parts(definition: Definition) -> list[Part]:
    """All parts, in the order of contests and areas: the areas above the shard level, then each shard."""
    found = []
    areas = definition.areas
    for contest in definition.election.contests:
        top = areas.index[contest.area] if contest.area else 0
        by_shard: dict[str, list[int]] = {}
        for row in range(top, areas.ends[top]):
            by_shard.setdefault(areas.shards[row], []).append(row)
        for shard, rows in by_shard.items():
            if shard:
                found.append(Part(f"{contest.group}-{shard}", contest.id, tuple(rows)))
            else:
                # Apart, so that whoever checks a page need not fetch the long list of what stands beside.
                found.append(Part(contest.group, contest.id, tuple(rows), beside=False))
                found.append(Part(f"{contest.group}-{DATA_FILES}", contest.id, tuple(rows), results=False))
        if contest.sirekap:
            found += _sirekap_parts(definition, contest, by_shard)
    return found


def _sirekap_parts(definition: Definition, contest: Contest, by_shard: dict[str, list[int]]) -> Iterator[Part]:
    """A shard's own area lies in the folder of the area above it, so its files are signed with those above."""
    areas, depth = definition.areas, definition.election.level_number(definition.election.shard_level)
    above = [row for rows in by_shard.values() for row in rows if areas.levels[row] <= depth]
    yield Part(
        f"{contest.group}-{DATA_FILES}-{SIREKAP}", contest.id, tuple(above), results=False, beside=False, sirekap=True
    )
    for shard, rows in by_shard.items():
        if shard and (below := tuple(row for row in rows if areas.levels[row] > depth)):
            yield Part(
                f"{contest.group}-{shard}-{SIREKAP}", contest.id, below, results=False, beside=False, sirekap=True
            )
