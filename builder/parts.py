"""Which signing role covers which areas of which contest: docs/formats.md, "TUF metadata"."""

from dataclasses import dataclass

from builder.election import Definition

__all__ = ["DATA_FILES", "Part", "parts"]

# In place of a shard, the role of what stands beside results above the shard level (no code has an inner `-`).
DATA_FILES = "data-files"


@dataclass(frozen=True)
class Part:
    """What one signing role covers of one contest: rows of areas; their `results` and pages, or what stands `beside` these, or both."""

    role: str
    contest: str
    rows: tuple[int, ...]
    results: bool = True
    beside: bool = True


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
    return found
