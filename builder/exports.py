"""A contest's figures as tables for programs: CSV and Parquet, in portions, each a function of its own subtree alone.

docs/formats.md, "Data". A national contest has one portion for each area of the second level and one for the nation's own row, so that a release writes anew
only the portions in which something changed. CSV is protected against spreadsheets that take a text for a formula. Compressed by zlib's level 1 and by
Zstandard: neither's bytes depend on the processor.
"""

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from builder.areas import path_name
from builder.election import Contest, Definition, Level
from builder.tally import Tally

__all__ = [
    "Column",
    "Portion",
    "columns",
    "data_path",
    "portion_files",
    "portion_paths",
    "portion_tables",
    "portions",
    "top_row",
]

GZIP_LEVEL = 1
ROW_GROUP = 1 << 18  # named, since the default depends on the machine
# What a spreadsheet takes for the beginning of a formula, in both widths.
_FORMULA = r"^[=+\-@\t\r＝＋－＠]"


@dataclass(frozen=True)
class Portion:
    """Rows `first` to `end` of `Areas`: the area `first` with all beneath it, or alone. `path` is that of its files, without what follows the area."""

    first: int
    end: int
    path: str
    has_stations: bool


@dataclass(frozen=True)
class Column:
    """One column of a table: its type in Table Schema's words and what it holds."""

    name: str
    type: str
    about: str


def top_row(definition: Definition, contest: Contest) -> int:
    """Row of the area that a contest covers."""
    return definition.areas.index[contest.area] if contest.area else 0


def data_path(definition: Definition, contest: Contest, row: int) -> str:
    """Path of the data files of one of a contest's areas, without what follows the area: all lie beside those of the contest's own area, whose role signs them."""
    folder = definition.areas.path(contest.id, top_row(definition, contest)).rpartition("/")[0]
    return f"data/{folder}/{path_name(definition.areas.codes[row])}"


def portions(definition: Definition, contest: Contest) -> list[Portion]:
    """A contest's portions. One of the root is split at the second level; any other is whole."""
    areas, top = definition.areas, top_row(definition, contest)
    if areas.levels[top] > 0 or areas.levels[top] == max(areas.levels):
        return [Portion(top, areas.ends[top], data_path(definition, contest, top), True)]
    found, child = [Portion(top, top + 1, data_path(definition, contest, top), False)], top + 1
    while child < areas.ends[top]:
        found.append(Portion(child, areas.ends[child], data_path(definition, contest, child), True))
        child = areas.ends[child]
    return found


def columns(definition: Definition, contest: Contest, table: str) -> list[Column]:
    """The columns of `areas` or `stations`, in order."""
    candidates = {f"votes_{one.number}": f"Votes for {one.number}, {one.name}" for one in contest.candidates}
    figures = {**candidates, **{name: f"Ballot count {name!r} of the form" for name in contest.fields}}
    counted = [Column(name, "integer", about) for name, about in figures.items()]
    if table == "stations":
        levels = [
            Column(f"area_{level.id}", "string", f"Code of the {level.title.en.lower()}")
            for level in _coded_levels(definition)
        ]
        return [
            *levels,
            Column("name", "string", "Name of the area of the last level"),
            Column("station", "string", "Number of the polling station"),
            Column("revision", "integer", "1, and one more for each correction"),
            Column("state", "string", "Empty, withdrawn, or pending (listed, no votes yet)"),
            *counted,
            Column("findings", "string", "Codes of the rules that do not hold, joined by a space"),
        ]
    return [
        Column("area", "string", "Code of the area"),
        Column("level", "string", "Its level"),
        Column("parent", "string", "Code of the area above it"),
        Column("name", "string", "Its name"),
        Column("kind", "string", "Its kind"),
        Column("release", "integer", "Release at which something in it changed last"),
        Column("expected", "integer", "Polling stations that there are"),
        Column("listed", "integer", "Polling stations that were handed in"),
        Column("reported", "integer", "of these, with votes and not withdrawn"),
        Column("withdrawn", "integer", "of these, withdrawn"),
        *counted,
        Column("recap_revision", "integer", "Revision of the recapitulation handed in for this area; empty: none"),
        Column("recap_withdrawn", "boolean", "The recapitulation was withdrawn"),
        *(Column(f"recap_{name}", "integer", f"Recapitulation. {about}") for name, about in figures.items()),
        Column("handed_in", "integer", "Areas one level down whose recapitulation is in force"),
        *(Column(f"below_{name}", "integer", f"Sum of these recapitulations. {about}") for name, about in figures.items()),
        Column("findings", "integer", "Rules that do not hold in it and beneath it"),
    ]  # fmt: skip


def portion_tables(definition: Definition, tally: Tally, portion: Portion) -> dict[str, pl.DataFrame]:
    """The tables of a portion, as they are written to Parquet."""
    tables = {"areas": _areas(definition, tally, portion)}
    if portion.has_stations:
        tables["stations"] = _stations(definition, tally, portion)
    return {
        name: table.select(column.name for column in columns(definition, tally.contest, name))
        for name, table in tables.items()
    }


def portion_files(definition: Definition, tally: Tally, portion: Portion) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of each file of a portion."""
    for name, table in portion_tables(definition, tally, portion).items():
        yield f"{portion.path}.{name}.csv.gz", zlib.compress(_csv(table), GZIP_LEVEL, wbits=31)
        yield f"{portion.path}.{name}.parquet", _parquet(table)


def portion_paths(portion: Portion) -> dict[str, str]:
    """The paths of these files, each with the name of its table."""
    tables = ("areas", "stations") if portion.has_stations else ("areas",)
    return {f"{portion.path}.{name}.{suffix}": name for name in tables for suffix in ("csv.gz", "parquet")}


def _coded_levels(definition: Definition) -> tuple[Level, ...]:
    """The levels whose codes a station's row has: not the root's, which says nothing, but where it is the only one."""
    return definition.election.levels[1:] or definition.election.levels


def _areas(definition: Definition, tally: Tally, portion: Portion) -> pl.DataFrame:
    part = slice(portion.first, portion.end)
    areas, table = definition.areas, definition.areas.table[part]
    levels = pl.Series([level.id for level in definition.election.levels])
    parents = [areas.codes[parent] if parent >= 0 else "" for parent in areas.parents[part]]
    rules = [name for name in tally.areas.columns if name.startswith("rule_")]
    return tally.areas[part].with_columns(
        table["code"].alias("area"),
        levels.gather(table["level"]).alias("level"),
        pl.Series("parent", parents, dtype=pl.String),
        table["name"],
        table["kind"],
        pl.sum_horizontal(rules).alias("findings"),
    )


def _stations(definition: Definition, tally: Tally, portion: Portion) -> pl.DataFrame:
    areas, table = definition.areas, tally.of_areas("stations", portion.first, portion.end)
    row, ways = table["area"], {}
    for level in reversed(_coded_levels(definition)):
        ways[f"area_{level.id}"] = areas.table["code"].gather(row)
        row = areas.table["parent"].gather(row)
    return table.with_columns(
        *(codes.alias(name) for name, codes in ways.items()),
        areas.table["name"].gather(table["area"]).alias("name"),
        pl.col("rules").alias("findings"),
    )


def _csv(table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    # Codes, numbers of stations and codes of rules cannot be formulas by their own grammar; names can be anything.
    safe = pl.when(pl.col("name").str.contains(_FORMULA)).then("'" + pl.col("name")).otherwise("name")
    table.with_columns(safe.alias("name")).write_csv(buffer)
    return buffer.getvalue()


def _parquet(table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.rechunk().write_parquet(buffer, compression="zstd", compression_level=3, row_group_size=ROW_GROUP)
    return buffer.getvalue()
