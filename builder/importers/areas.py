"""Any CSV of areas to `areas.csv`, by a map."""

from itertools import pairwise
from pathlib import Path
from typing import Annotated

import msgspec
import polars as pl

from builder.areas import COLUMNS
from builder.errors import ImporterError
from builder.importers.source import Map, read_source
from builder.rules import INTEGER

__all__ = ["AreasMap", "import_areas"]


class AreasColumns(Map, frozen=True):
    """Columns of the source.

    Without `parent` a parent's code is the beginning of the code; without `level` the code's length tells the level.
    """

    code: str
    name: str
    stations: str
    parent: str | None = None
    level: str | None = None
    extra_first: str | None = None
    extra_last: str | None = None


class KindRule(Map, frozen=True):
    """Codes that begin with `begins` are of this kind."""

    begins: Annotated[str, msgspec.Meta(min_length=1)]
    kind: str


class Root(Map, frozen=True):
    """A root that the source lacks, above the areas without parent."""

    code: str
    name: str
    level: str
    kind: str


class AreasMap(Map, frozen=True):
    """Map of a CSV of areas.

    `levels`: the level for each value of the level column (or each length of a code), from the top down. `stations`
    (and the extra range from `extra_first` to `extra_last`, counted) are written at the last level alone; a negative
    or empty number there is 0. `names` gives other names to single codes. Kinds follow each other as they stand in
    the map, the default first; else the source's order stays.
    """

    columns: AreasColumns
    levels: dict[str, str]
    kind: str
    kinds: tuple[KindRule, ...] = ()
    names: dict[str, str] = msgspec.field(default_factory=dict)
    root: Root | None = None


def import_areas(path: Path, map_: AreasMap) -> bytes:
    """The bytes of `areas.csv` for a source of areas. That they are a tree is checked where the definition is loaded.

    Raises:
        ImporterError: with file, line, field and rule.
    """
    columns = map_.columns
    wanted: dict[str, str] = {key: name for key, name in msgspec.to_builtins(columns).items() if name is not None}
    source = read_source(path, set(wanted.values())).select(pl.col(name).alias(key) for key, name in wanted.items())
    value = pl.col("level") if columns.level else pl.col("code").str.len_chars().cast(pl.String)
    source = source.with_columns(
        value.alias("level_value"),
        value.replace_strict(map_.levels, default=None, return_dtype=pl.String).alias("level"),
    )
    _check(source, path)
    areas = source.select(
        pl.col("code"),
        (pl.col("parent") if columns.parent else _parent_by_length(map_)).alias("parent"),
        pl.col("level"),
        pl.coalesce(pl.col("code").replace_strict(map_.names, default=None, return_dtype=pl.String), "name").alias(
            "name"
        ),
        _kind(map_).alias("kind"),
        pl.when(pl.col("level") == list(map_.levels.values())[-1])
        .then(_stations(columns))
        .cast(pl.String)
        .alias("stations"),
    )
    order = {name: place for place, name in enumerate(dict.fromkeys([map_.kind, *(rule.kind for rule in map_.kinds)]))}
    areas = areas.sort(pl.col("kind").replace_strict(order, return_dtype=pl.Int32), maintain_order=True)
    if (root := map_.root) is not None:
        top = [[root.code, None, root.level, root.name, root.kind, None]]
        areas = pl.concat([pl.DataFrame(top, schema=areas.schema, orient="row"), areas])
    return areas.select(COLUMNS).write_csv().encode()


def _kind(map_: AreasMap) -> pl.Expr:
    rules = (pl.when(pl.col("code").str.starts_with(rule.begins)).then(pl.lit(rule.kind)) for rule in map_.kinds)
    return pl.coalesce(*rules, pl.lit(map_.kind))


def _check(table: pl.DataFrame, path: Path) -> None:
    """Every area needs a level; a negative number of stations is taken for none, a word is not."""
    lines = table.with_row_index("line", 2)
    if (bad := lines.filter(pl.col("level").is_null())).height:
        problem = f"the map's [levels] has no level for {bad['level_value'][0]!r}"
        raise ImporterError(problem, file=path, line=bad["line"][0], field="level", rule="unknown-level")
    for name in ("stations", "extra_first", "extra_last"):
        if name in table.columns:
            number = pl.col(name).str.strip_prefix("-").str.contains(INTEGER).fill_null(True)
            if (bad := lines.filter(~number)).height:
                problem = f"{bad[name][0]!r} is not a number"
                raise ImporterError(problem, file=path, line=bad["line"][0], field=name, rule="not-an-integer")


def _stations(columns: AreasColumns) -> pl.Expr:
    stations = pl.col("stations").cast(pl.Int64).fill_null(0).clip(lower_bound=0)
    if columns.extra_first is None or columns.extra_last is None:
        return stations
    extra = pl.col("extra_last").cast(pl.Int64) - pl.col("extra_first").cast(pl.Int64) + 1
    return stations + extra.fill_null(0).clip(lower_bound=0)


def _parent_by_length(map_: AreasMap) -> pl.Expr:
    """A code cut to the next shorter length of code; the shortest ones lie below the added root."""
    lengths = sorted(int(length) for length in map_.levels if length.isdecimal())
    above = pl.lit(map_.root.code if map_.root else None, dtype=pl.String)
    own = pl.col("code").str.len_chars()
    cuts = (pl.when(own == longer).then(pl.col("code").str.slice(0, shorter)) for shorter, longer in pairwise(lengths))
    return pl.coalesce(*cuts, above)
