"""Any CSV of results to recap packages, by a map that says which column is which figure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import polars as pl

from builder.election import BALLOT_COUNTS, Contest, Definition
from builder.errors import ImporterError
from builder.importers.delivery import Delivery, ImportReport, deliver, required_contest
from builder.importers.source import Map, Slice, Source, load_map, read_source
from builder.rows import Rows
from builder.rules import INTEGER

__all__ = ["CsvMap", "import_csv", "load_csv_map"]


class CsvMap(Map, frozen=True):
    """Map of a CSV of results.

    `columns` says where `area`, `station` (series count only), `votes_N` and ballot counts come from; several columns
    are added, and the sum is absent where a part is. Ballot counts that the contest's form does not have are left
    out. `absent` are cells that mean "no figure"; only rows with something in column `present` are read. `tier`:
    level of the areas that the packages cover, default the shard level.
    """

    contest: str
    series: Literal["count", "recap"]
    by: Annotated[str, msgspec.Meta(min_length=1)]
    columns: dict[str, Source]
    form: str = ""
    tier: str | None = None
    present: str | None = None
    absent: tuple[str, ...] = ()


def load_csv_map(name: str) -> CsvMap:
    """Read a map by path or bare name (`kpu-2019-ppwp`…)."""
    return load_map(name, CsvMap)


def import_csv(
    data_path: Path,
    map_: CsvMap,
    definition: Definition,
    rows: Mapping[str, Rows],
    *,
    reason: str | None = None,
    note: str = "",
    withdraw_missing: bool = False,
    out: Path,
) -> ImportReport:
    """Write packages into `out` with what is new in a `.csv` or `.csv.gz` against `rows`, the ledger's current rows.

    `reason` and `note` go with rows that change published figures. With `withdraw_missing`, rows that the file no
    longer has are withdrawn in the areas that it speaks of.

    Raises:
        ImporterError: with file, line or key, and rule; nothing was written.
    """
    contest = required_contest(definition, map_.contest, data_path.name)
    sources = _sources(map_, contest)
    needed = {name for source in sources.values() for name in _columns(source)}
    table = read_source(data_path, needed | ({map_.present} if map_.present else set())).with_row_index("line", 2)
    if map_.present:
        table = table.filter(_cell(map_.present, map_.absent).is_not_null())
    text = table.select(
        pl.col("line").alias("source"),
        *(_value(source, map_.absent).alias(name) for name, source in sources.items()),
        *(pl.lit(None, dtype=pl.String).alias(name) for name in ("station", *contest.figures) if name not in sources),
    )
    delivery = Delivery(
        contest,
        series=map_.series,
        form=map_.form,
        by=map_.by,
        source=data_path.name,
        tier=map_.tier,
        reason=reason,
        note=note,
        withdraw_missing=withdraw_missing,
    )
    return deliver(text, delivery, definition, rows.get(contest.id), out)


def _sources(map_: CsvMap, contest: Contest) -> dict[str, Source]:
    """The map's columns that this contest has, checked."""
    needed = ("area", *(("station",) if map_.series == "count" else ()), *contest.votes)
    if missing := [name for name in needed if name not in map_.columns]:
        problem = f"contest {contest.id!r} needs {missing[0]!r}; add it to the map's [columns]"
        raise ImporterError(problem, field="columns", rule="map")
    if unknown := sorted(set(map_.columns) - {*needed, *BALLOT_COUNTS}):
        problem = f"{unknown[0]!r} is neither a vote column of contest {contest.id!r} nor a ballot count"
        raise ImporterError(problem, field=f"columns.{unknown[0]}", rule="map")
    return {name: source for name, source in map_.columns.items() if name in (*needed, *contest.fields)}


def _columns(source: Source) -> tuple[str, ...]:
    if isinstance(source, Slice):
        return (source.column,)
    return (source,) if isinstance(source, str) else source


def _cell(column: str, absent: tuple[str, ...]) -> pl.Expr:
    return pl.when(~pl.col(column).is_in(absent)).then(pl.col(column)) if absent else pl.col(column)


def _value(source: Source, absent: tuple[str, ...]) -> pl.Expr:
    """A cell's text. A sum with a part that is not an integer becomes `12+x`, which the delivery rejects."""
    if isinstance(source, Slice):
        return pl.col(source.column).str.slice(source.first, source.length)
    if isinstance(source, str):
        return _cell(source, absent)
    parts = [_cell(column, absent) for column in source]
    plain = pl.all_horizontal(part.is_null() | part.str.contains(INTEGER) for part in parts)
    total = pl.sum_horizontal([part.cast(pl.Int64, strict=False) for part in parts], ignore_nulls=False).cast(pl.String)
    return pl.when(plain).then(total).otherwise(pl.concat_str([part.fill_null("") for part in parts], separator="+"))
