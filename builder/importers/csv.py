"""Any CSV of results to recap packages, by a map that says which column is which figure."""

from pathlib import Path

import polars as pl

from builder.election import BALLOT_COUNTS, Contest
from builder.errors import ImporterError
from builder.importers.source import ResultsMap, Slice, Source, read_source
from builder.rules import INTEGER

__all__ = ["CsvMap"]


class CsvMap(ResultsMap, frozen=True, kw_only=True):
    """Map of a CSV of results.

    `columns` says where `area`, `station` (series count only), `votes_N` and ballot counts come from; several columns
    are added, and the sum is absent where a part is. Ballot counts that the contest's form does not have are left
    out. `absent` are cells that mean "no figure"; only rows with something in column `present` are read.
    """

    columns: dict[str, Source]
    present: str | None = None
    absent: tuple[str, ...] = ()

    def read(self, path: Path, contest: Contest) -> pl.DataFrame:
        """The rows of a `.csv` or `.csv.gz`."""
        sources = _sources(self, contest)
        needed = {name for source in sources.values() for name in _columns(source)}
        table = read_source(path, needed | ({self.present} if self.present else set())).with_row_index("line", 2)
        if self.present:
            table = table.filter(_cell(self.present, self.absent).is_not_null())
        absent = (name for name in ("station", *contest.figures) if name not in sources)
        return table.select(
            pl.col("line").alias("source"),
            *(_value(source, self.absent).alias(name) for name, source in sources.items()),
            *(pl.lit(None, dtype=pl.String).alias(name) for name in absent),
        )

    def named(self, column: str) -> str:
        """The column's name, or the names of those that are added."""
        return "+".join(_columns(self.columns[column]))


def _sources(map_: CsvMap, contest: Contest) -> dict[str, Source]:
    """The map's columns that this contest has, checked."""
    needed = ("area", *(("station",) if map_.series == "count" else ()), *contest.votes)
    missing = [name for name in needed if name not in map_.columns]
    lacks = f"the map's [columns] lack {', '.join(missing)}, which contest {contest.id!r} needs" if missing else ""
    if unknown := sorted(set(map_.columns) - {*needed, *BALLOT_COUNTS}):
        problem = f"is neither a vote column of contest {contest.id!r} nor a ballot count{'; ' if lacks else ''}{lacks}"
        raise ImporterError(problem, field=f"columns.{unknown[0]}", rule="map")
    if missing:
        raise ImporterError(lacks, field="columns", rule="map")
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
