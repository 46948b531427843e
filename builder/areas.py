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
        raise DefinitionError(
            "there is no area in it; add a line for each, beginning with the whole election's", file=file, rule="empty"
        )
    _check_cells(table, election, file)
    codes = table.select("code", row=pl.int_range(pl.len(), dtype=pl.Int32))
    parent = table.join(codes, left_on="parent", right_on="code", how="left", maintain_order="left")["row"]
    _check_parents(table, parent, file)
    levels = [level.id for level in election.levels]
    level = table["level"].replace_strict(levels, range(len(levels)), return_dtype=pl.Int32)
    _check_tree(table, parent, level, levels, file)
    return Areas(_ordered(table, parent, level, election), Path(file).name)


def _refuse_first(
    table: pl.DataFrame, bad: pl.Expr | pl.Series, field: str, rule: str, problem: str, file: str | Path
) -> None:
    found = table.with_row_index("row").filter(bad).head(1)
    if found.height:
        value = found[field][0]
        shown = "" if value is None else f": {value if len(value) <= 60 else value[:60] + '…'!r}"
        raise DefinitionError(f"{problem}{shown}", file=file, line=found["row"][0] + 2, field=field, rule=rule)


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


def _check_parents(table: pl.DataFrame, parent: pl.Series, file: str | Path) -> None:
    """Each row's parent is in the file, but for one row that has none; `parent` is null where there is none."""
    named = table["parent"].is_not_null()
    unknown, roots = (named & parent.is_null()).arg_true(), (~named).arg_true()
    second = roots[1] if len(roots) > 1 else None
    if len(unknown) and (second is None or unknown[0] < second):
        problem = f"parent {table['parent'][unknown[0]]!r} is not in this file"
        raise DefinitionError(problem, file=file, line=unknown[0] + 2, field="parent", rule="unknown-parent")
    if second is not None:
        problem = "a second area without parent; there is one root"
        raise DefinitionError(problem, file=file, line=second + 2, field="parent", rule="second-root")


def _check_tree(table: pl.DataFrame, parent: pl.Series, level: pl.Series, levels: list[str], file: str | Path) -> None:
    """Each area lies one level below its parent."""
    wrong = (level != (level.gather(parent) + 1).fill_null(0)).arg_true()
    if len(wrong) == 0:
        if parent.null_count() == 0:
            raise DefinitionError("no area without parent: the tree needs its root", file=file, rule="no-root")
        return
    row, codes, parents = wrong[0], table["code"], parent.to_list()
    # On a circle some area cannot be one level below its parent, so only here may one be.
    seen, above = {row}, parents[row]
    while above is not None and len(seen) <= len(levels):
        if above in seen:
            problem = f"area {codes[row]!r} is its own ancestor"
            raise DefinitionError(problem, file=file, line=row + 2, field="parent", rule="cycle")
        seen.add(above)
        above = parents[above]
    own, up = levels[level[row]], parents[row]
    below = "the root has the first level" if up is None else f"its parent {codes[up]!r} is a {levels[level[up]]}"
    raise DefinitionError(
        f"area {codes[row]!r} is a {own}, but {below}; are two levels swapped?", file=file, line=row + 2, field="level", rule="level-order"
    )  # fmt: skip


def _ordered(table: pl.DataFrame, parent: pl.Series, level: pl.Series, election: Election) -> pl.DataFrame:
    """The table in depth-first order, siblings in the file's order, with rows for parent and end of subtree."""
    last, shard_level = len(election.levels) - 1, election.level_number(election.shard_level)
    lineage = _lineage(parent, level, last)
    order = lineage.select(pl.arg_sort_by(lineage.columns)).to_series()
    place = order.arg_sort().cast(pl.Int32)
    stations = pl.when(level == last).then(table["stations"].cast(pl.Int64)).otherwise(0).alias("stations")
    # Each area heads its own subtree once: at its level's column.
    counted = lineage.with_columns(stations)
    heads = [
        counted.filter(pl.col(name).is_not_null()).group_by(name).agg(pl.len().alias("size"), pl.sum("stations"))
        for name in lineage.columns
    ]
    subtrees = pl.concat([head.rename({head.columns[0]: "row"}) for head in heads]).sort("row")
    shards = table["code"].gather(lineage[str(shard_level)]).str.replace_all("-", "n", literal=True)
    return table.select(
        "code",
        "name",
        "kind",
        level,
        place.gather(parent).fill_null(-1).alias("parent"),
        (place + subtrees["size"]).cast(pl.Int32).alias("end"),
        subtrees["stations"],
        shards.fill_null("").alias("shard"),
    )[order]


def _lineage(parent: pl.Series, level: pl.Series, last: int) -> pl.DataFrame:
    """For each row a column for each level: the row of its ancestor there, itself at its own, none below. Sorted, that is depth-first."""
    above = pl.int_range(len(parent), dtype=pl.Int32, eager=True)
    columns = []
    for number in range(last, -1, -1):
        columns.append(above.set(level < number, None).alias(str(number)))
        above = above.zip_with(level < number, parent.gather(above))
    return pl.DataFrame(columns[::-1])
