"""Search by name and code without a server: a static index of all areas. It depends on static names alone.

docs/formats.md, "Search". A key is an area's name from one of its words on, with the names of the areas above it behind, or its code. All keys, sorted, are cut
into shards of like size; `index.json` says where each begins, and has itself the areas down to the shard level, which help with the very first letters.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

import msgspec

from builder.areas import path_name
from builder.election import Definition, Election
from builder.exports import top_row

__all__ = ["SHARD_LENGTH", "fold", "search_files"]

FORMAT = "terbit-search-1"
SHARD_LENGTH = 40_000  # bytes, about: some 12 kB on the wire
# What people write before a name in Indonesia, whatever an election calls its levels.
_LEVEL_WORDS = frozenset(["desa", "kab", "kabupaten", "kec", "kecamatan", "kel", "kelurahan", "prov", "provinsi"])
_WORD = re.compile(r"[a-z0-9]+")
_encode = msgspec.json.Encoder(order="sorted").encode

# Code, name, name of the area above (empty where that is in `index.json`), place of the shard's area in `index.json`, level's number; the kind where that has titles.
Entry = tuple[str, str, str, int, int, *tuple[str, ...]]
Key = tuple[str, Entry]


@lru_cache(maxsize=1 << 17)
def fold(text: str) -> str:
    """A name as it is looked for: small letters and digits, without marks, words parted by one space."""
    plain = text if text.isascii() else unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return " ".join(_WORD.findall(plain.lower()))


def search_files(definition: Definition) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of the index's files."""
    areas, election = definition.areas, definition.election
    depth = election.level_number(election.shard_level)
    tops = [row for row, level in enumerate(areas.levels) if level <= depth]
    places = {row: place for place, row in enumerate(tops)}
    titled: dict[str, tuple[str, ...]] = {name: (name,) if kind.titles else () for name, kind in election.kinds.items()}
    shards = list(_cut(sorted(_keys(definition, depth, places, titled))))
    # Enough of a shard's first key to tell it from the last one before.
    starts = [_apart(before[-1][0], after[0][0]) for before, after in pairwise(shards)]
    yield _file("index", {
        "format": FORMAT,
        # Which contest's page an area leads to: the first one that covers it.
        "contests": [(contest.id, places[top]) for contest in election.contests if (top := top_row(definition, contest)) in places],
        "areas": [(areas.codes[row], areas.names[row], places.get(areas.parents[row], -1), areas.shards[row] != "", *titled[areas.kinds[row]]) for row in tops],
        "shards": ["", *starts] if shards else [],
        "words": sorted({word for name in _level_names(election) for word in fold(name).split()} | _LEVEL_WORDS),
    })  # fmt: skip
    for number, keys in enumerate(shards):
        # An area once in a shard, by whichever of its words.
        yield _file(str(number), {"entries": list(dict.fromkeys(entry for _, entry in keys))})


def _level_names(election: Election) -> Iterator[str]:
    """Ids and titles of the levels, and their titles for each kind."""
    yield from (level.id for level in election.levels)
    titles = (title for kind in election.kinds.values() for title in kind.titles.values())
    for title in (*(level.title for level in election.levels), *titles):
        yield from (title.id, title.en)


def _keys(definition: Definition, depth: int, places: dict[int, int], titled: dict[str, tuple[str, ...]]) -> Iterator[Key]:  # fmt: skip
    """The keys of all areas beneath the shard level; `titled` is what an entry has of its area's kind."""
    areas = definition.areas
    shards = {path_name(areas.codes[row]): place for row, place in places.items()}
    behind = [""] * len(areas)
    for row, (code, name, up, level) in enumerate(zip(areas.codes, areas.names, areas.parents, areas.levels, strict=True)):  # fmt: skip
        folded = fold(name)
        behind[row] = f"{folded} {behind[up]}" if up > 0 else folded
        if level <= depth:
            continue
        entry: Entry = (
            code,
            name,
            areas.names[up] if level > depth + 1 else "",
            shards[areas.shards[row]],
            level,
            *titled[areas.kinds[row]],
        )
        yield fold(code), entry
        words = folded.split(" ")
        for first, word in enumerate(words):
            # So that an area is found by any of its words; a number behind a name tells nothing.
            if first == 0 or not word.isdigit():
                yield f"{' '.join(words[first:])} {behind[up]}", entry


def _cut(keys: Sequence[Key]) -> Iterator[list[Key]]:
    """Consecutive keys, together about a shard's length as JSON."""
    shard: list[Key] = []
    length = 0
    for key, entry in keys:
        shard.append((key, entry))
        length += len(entry[0]) + len(entry[1]) + len(entry[2]) + len("['','','',999,9],")
        if length >= SHARD_LENGTH:
            yield shard
            shard, length = [], 0
    if shard:
        yield shard


def _apart(before: str, after: str) -> str:
    """The shortest beginning of `after` that comes after `before`."""
    return next((after[:end] for end in range(1, len(after)) if after[:end] > before), after)


def _file(name: str, value: dict[str, object]) -> tuple[str, bytes]:
    return f"search/{name}.json", _encode(value) + b"\n"
