"""The tree of areas: `areas.csv` as columns, in depth-first order, so that every subtree is one slice.

Any tree of codes works: nothing is read from a code but its identity.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from builder import limits
from builder.errors import DefinitionError
from builder.tables import read_strict

if TYPE_CHECKING:
    from builder.election import Election

__all__ = ["Areas", "parse_areas", "path_name"]

COLUMNS = ("code", "parent", "level", "name", "kind", "stations")
CODE = r"^-?[0-9a-z]{1,20}$"
NUMBER = r"^(0|[1-9][0-9]{0,8})$"


def path_name(code: str) -> str:
    """An area's code as it stands in paths: `-990972` is `n990972`."""
    return code.replace("-", "n")


class Areas:
    """All areas in depth-first order.

    `table` has one row an area: `code, name, kind, level` (depth), `parent` (row of the parent, -1 for the root), `end` (row after its
    subtree), `stations` (expected, summed over the subtree), `shard` (path name of its shard area, "" above the shard level).
    """

    def __init__(self, table: pl.DataFrame, file: str) -> None:
        self.table, self.file = table, file
        self.codes: list[str] = table["code"].to_list()
        self.index: dict[str, int] = {code: row for row, code in enumerate(self.codes)}
        self.names: list[str] = table["name"].to_list()
        self.kinds: list[str] = table["kind"].to_list()
        self.levels: list[int] = table["level"].to_list()
        self.parents: list[int] = table["parent"].to_list()
        self.ends: list[int] = table["end"].to_list()
        self.shards: list[str] = table["shard"].to_list()

    def __len__(self) -> int:
        return len(self.codes)

    def path(self, contest: str, row: int) -> str:
        """Path of an area's results without extension, relative to the election."""
        shard = self.shards[row]
        name = path_name(self.codes[row])
        return f"{contest}/{shard}/{name}" if shard else f"{contest}/{name}"

    def ancestors(self, row: int) -> list[int]:
        """Rows from the root down to the parent."""
        found: list[int] = []
        while (row := self.parents[row]) >= 0:
            found.append(row)
        return found[::-1]


def parse_areas(data: bytes, election: Election, file: str | Path) -> Areas:
    """`areas.csv`'s bytes to a checked tree.

    Raises:
        DefinitionError: unknown parent, cycle, duplicate code, swapped levels…, with file, line, field and rule.
    """
    table = read_strict(data, COLUMNS, file=file, error=DefinitionError, quoted=True)
    if table.height == 0:
        raise DefinitionError("no areas", file=file, rule="empty")
    _check_cells(table, election, file)
    codes: list[str] = table["code"].to_list()
    index = {code: row for row, code in enumerate(codes)}
    parents = _parents(table, index, file)
    levels = [level.id for level in election.levels]
    places = {name: place for place, name in enumerate(levels)}
    depth = [places[name] for name in table["level"].to_list()]
    _check_tree(codes, parents, depth, levels, file)
    return Areas(_ordered(table, parents, depth, election), Path(file).name)


def _refuse_first(
    table: pl.DataFrame, bad: pl.Expr | pl.Series, field: str, rule: str, problem: str, file: str | Path
) -> None:
    found = table.with_row_index("row").filter(bad).head(1)
    if found.height:
        value = found[field][0]
        shown = value if value is None or len(value) <= 60 else value[:60] + "…"
        raise DefinitionError(f"{problem}: {shown!r}", file=file, line=found["row"][0] + 2, field=field, rule=rule)


def _check_cells(table: pl.DataFrame, election: Election, file: str | Path) -> None:
    levels = [level.id for level in election.levels]
    for bad, field, rule, problem in (
        (~pl.col("code").fill_null("").str.contains(CODE), "code", "code", "a code is an optional minus and 1 to 20 of 0-9 a-z"),
        (pl.col("code").is_duplicated() & ~pl.col("code").is_first_distinct(), "code", "duplicate-code", "this code stands on an earlier line too"),
        (~pl.col("level").is_in(levels).fill_null(False), "level", "unknown-level", f"not one of the levels {', '.join(levels)}"),
        (~pl.col("kind").is_in(list(election.kinds)).fill_null(False), "kind", "unknown-kind", "no such kind in [kinds]"),
        (pl.col("name").is_null(), "name", "name", "an area needs a name"),
        (pl.col("name").str.len_chars() > limits.NAME_CHARACTERS, "name", "name", f"a name has at most {limits.NAME_CHARACTERS} characters"),
        (pl.col("name").str.contains(r"[\x00-\x1f\x7f]"), "name", "name", "a name has no control characters"),
        (~pl.col("stations").fill_null("0").str.contains(NUMBER), "stations", "not-an-integer", "the number of stations is a plain integer"),
        (
            pl.col("stations").is_null() & (pl.col("level") == levels[-1]),
            "stations", "stations", "areas of the last level need their number of polling stations",
        ),
    ):  # fmt: skip
        _refuse_first(table, bad, field, rule, problem, file)
    names = table["code"].str.replace("-", "n")
    _refuse_first(
        table,
        names.is_duplicated() & ~names.is_first_distinct(),
        "code",
        "path-name",
        "in paths this code equals an earlier one",
        file,
    )


def _parents(table: pl.DataFrame, index: dict[str, int], file: str | Path) -> list[int]:
    roots = 0
    parents = []
    for row, parent in enumerate(table["parent"].to_list()):
        if parent is None:
            roots += 1
            parents.append(-1)
            if roots > 1:
                raise DefinitionError(
                    "a second area without parent; there is one root",
                    file=file,
                    line=row + 2,
                    field="parent",
                    rule="second-root",
                )
        elif parent not in index:
            raise DefinitionError(
                f"parent {parent!r} is not in this file", file=file, line=row + 2, field="parent", rule="unknown-parent"
            )
        else:
            parents.append(index[parent])
    return parents


def _check_tree(codes: list[str], parents: list[int], depth: list[int], levels: list[str], file: str | Path) -> None:
    for row, parent in enumerate(parents):
        if depth[row] == (0 if parent < 0 else depth[parent] + 1):
            continue
        # On a circle some area cannot be one level below its parent, so only here may one be.
        seen, above = {row}, parent
        while above >= 0 and len(seen) <= len(levels):
            if above in seen:
                raise DefinitionError(
                    f"area {codes[row]!r} is its own ancestor", file=file, line=row + 2, field="parent", rule="cycle"
                )
            seen.add(above)
            above = parents[above]
        below = (
            f"its parent {codes[parent]!r} is a {levels[depth[parent]]}"
            if parent >= 0
            else "the root has the first level"
        )
        raise DefinitionError(
            f"area {codes[row]!r} is a {levels[depth[row]]}, but {below}; are two levels swapped?",
            file=file, line=row + 2, field="level", rule="level-order",
        )  # fmt: skip
    if -1 not in parents:
        raise DefinitionError("no area without parent: the tree needs its root", file=file, rule="no-root")


def _ordered(table: pl.DataFrame, parents: list[int], depth: list[int], election: Election) -> pl.DataFrame:
    """The table in depth-first order, siblings in the file's order, with rows for parent and end of subtree."""
    children: list[list[int]] = [[] for _ in parents]
    root = 0
    for row, parent in enumerate(parents):
        if parent < 0:
            root = row
        else:
            children[parent].append(row)
    order: list[int] = []
    stack = [root]
    while stack:
        row = stack.pop()
        order.append(row)
        stack.extend(reversed(children[row]))
    place = [0] * len(parents)
    for new, row in enumerate(order):
        place[row] = new
    parent_of = [place[parents[row]] if parents[row] >= 0 else -1 for row in order]
    own: list[int] = [int(value) if value else 0 for value in table["stations"].to_list()]
    ends = list(range(1, len(order) + 1))
    last = len(election.levels) - 1
    expected = [own[row] if depth[row] == last else 0 for row in order]
    for new in range(len(order) - 1, 0, -1):
        parent = parent_of[new]
        ends[parent] = max(ends[parent], ends[new])
        expected[parent] += expected[new]
    shard_depth = election.level_number(election.shard_level)
    codes: list[str] = table["code"].to_list()
    shards: list[str] = []
    for new, row in enumerate(order):
        if depth[row] < shard_depth:
            shards.append("")
        elif depth[row] == shard_depth:
            shards.append(path_name(codes[row]))
        else:
            shards.append(shards[parent_of[new]])
    return (
        table[order]
        .select("code", "name", "kind")
        .with_columns(
            pl.Series("level", [depth[row] for row in order], dtype=pl.Int32),
            pl.Series("parent", parent_of, dtype=pl.Int32),
            pl.Series("end", ends, dtype=pl.Int32),
            pl.Series("stations", expected, dtype=pl.Int64),
            pl.Series("shard", shards),
        )
    )
