"""The tally: current rows to figures for every area, by columns. Pure; nothing here is per row.

`count` is always summed from stations that reported and are not withdrawn. `recap` is what a tier handed in; `below` is the sum of the recaps one level down,
a check beside it. A figure that no row gave stays null: absent is not zero.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl

from builder.areas import Areas
from builder.election import Contest, Definition
from builder.ledger import Cut
from builder.progress import progress
from builder.rows import KEY, Rows, votes_given
from builder.rules import FlagRule, flag_rules

__all__ = [
    "Tally",
    "area_findings",
    "definition_cut",
    "judged_recaps",
    "judged_stations",
    "package_releases",
    "pages_cut",
    "read_tallies",
    "row_findings",
    "tally",
    "write_tallies",
]

FINDING = {
    "area": pl.Int32,
    "station": pl.String,
    "recap": pl.Boolean,
    "rule": pl.String,
    "left": pl.Int64,
    "right": pl.Int64,
}
FRAMES = ("areas", "stations", "findings", "history", "progress")


@dataclass(frozen=True)
class Tally:
    """Figures of one contest at one cut.

    - `areas`: one row an area, in the order of `Areas`: `listed, reported, withdrawn, release`, `grown` (the latest release that brought a station of its
      own), the contest's figures (count), the same with prefix `recap_` and `below_`, `recap_revision` (null: none handed in), `recap_withdrawn`, `recap_package`, `handed_in`, one `rule_<code>` for each flag rule
      (broken in the subtree), `sources` (list of package numbers).
    - `stations`: current rows of series count by area and station, with `state`, `rules` (codes joined by a space).
    - `findings`: `area, station, recap, rule, left, right`.
    - `history`: rows of revision 2 and later with the figures before (`old_<figure>`) and after.
    - `progress`: the count after each release that changed it, above the shard level (`builder.progress`).
    """

    contest: Contest
    areas: pl.DataFrame
    stations: pl.DataFrame
    findings: pl.DataFrame
    history: pl.DataFrame
    progress: pl.DataFrame

    def of_areas(self, name: str, first: int, end: int) -> pl.DataFrame:
        """The rows of `stations`, `findings`, `history` or `progress` that are of areas `first` to `end`."""
        starts, frame = self._starts[name], getattr(self, name)
        part: pl.DataFrame = frame.slice(starts[first], starts[end] - starts[first])
        return part

    def of_area(self, name: str, row: int) -> list[tuple[Any, ...]]:
        """The same of one area, as tuples: for most areas, of most frames, there is none."""
        starts = self._starts[name]
        return self.of_areas(name, row, row + 1).rows() if starts[row] < starts[row + 1] else []

    @cached_property
    def _starts(self) -> dict[str, Sequence[int]]:
        """By frame, where each area's rows begin: to search a column takes as long as to make ten rows of it."""
        areas = pl.int_range(len(self.areas) + 1, dtype=pl.Int32, eager=True)
        return {name: array("I", getattr(self, name)["area"].search_sorted(areas).to_list()) for name in FRAMES[1:]}


def write_tallies(folder: Path, tallies: Mapping[str, Tally]) -> None:
    """Leave tallies where other processes find them."""
    folder.mkdir(parents=True, exist_ok=True)
    for contest, one in tallies.items():
        for name in FRAMES:
            getattr(one, name).write_ipc(folder / f"{contest}.{name}.arrow")


def read_tallies(folder: Path, contests: Iterable[Contest]) -> dict[str, Tally]:
    """What `write_tallies` left."""
    return {
        contest.id: Tally(contest, *(pl.read_ipc(folder / f"{contest.id}.{name}.arrow") for name in FRAMES))
        for contest in contests
    }


def definition_cut(cuts: Sequence[Cut]) -> int:
    """The latest cut at which the definition or the results format changed."""
    changed = [
        cut.release
        for before, cut in zip([None, *cuts], cuts, strict=False)
        if before is None or (before.definition, before.results) != (cut.definition, cut.results)
    ]
    return changed[-1]


def pages_cut(cuts: Sequence[Cut]) -> int:
    """The latest cut at which every page was made anew: templates, program or definition changed."""
    changed = [
        cut.release
        for before, cut in pairwise(cuts)
        if (before.templates, before.builder) != (cut.templates, cut.builder)
    ]
    return max([definition_cut(cuts), *changed])


def package_releases(cuts: Sequence[Cut]) -> list[int]:
    """Release of each package by its number: index 0 is unused."""
    through = [cut.through for cut in cuts]
    return [0, *(cuts[bisect_left(through, number)].release for number in range(1, through[-1] + 1))]


def tally(rows: Rows, definition: Definition, cuts: Sequence[Cut]) -> Tally:
    """Figures of one contest for the packages of the last of `cuts`."""
    contest, areas = rows.contest, definition.areas
    releases = pl.Series(package_releases(cuts), dtype=pl.Int32)
    stations = judged_stations(rows.current.filter(~pl.col("recap")), contest, definition)
    rules = [*dict.fromkeys(rule.code for rule in flag_rules(contest))]
    recaps = judged_recaps(rows.current.filter("recap"), contest)
    own = _own_sums(stations, contest, rules)
    told = ("area", "package", "recap", "revision")
    every = pl.concat([rows.current.select(told), rows.replaced.select(told)])
    first = (pl.col("revision") == 1) & ~pl.col("recap")
    touched = (
        every.with_columns(releases.gather(every["package"]).alias("release"))
        .group_by("area")
        .agg(
            pl.col("release").max(),
            pl.col("release").filter(first).max().alias("grown"),
            pl.col("package").unique().sort().alias("sources"),
        )
    )
    base = pl.DataFrame({"area": pl.int_range(len(areas), dtype=pl.Int32, eager=True)})
    table = base.join(touched, on="area", how="left", maintain_order="left").join(
        own, on="area", how="left", maintain_order="left"
    )
    table = table.with_columns(
        pl.col("release", "grown").fill_null(0).clip(lower_bound=definition_cut(cuts)),
    )
    table, found = area_findings(table, recaps, contest, areas)
    table = _with_recap_rules(table, recaps)
    table = _summed_up(table, contest, [*rules, "recap-below", "reported-expected"], areas)
    of_rows = (row_findings(stations, flag_rules(contest)), row_findings(recaps, flag_rules(contest, recap=True)))
    findings = pl.concat([*of_rows, found]).sort("area", "recap", "station", "rule")
    shown = stations.select("area", "station", "revision", "state", *contest.figures, "rules")
    return Tally(contest, table, shown, findings, _history(rows, contest), progress(rows, releases, areas))


def judged_stations(current: pl.DataFrame, contest: Contest, definition: Definition) -> pl.DataFrame:
    """Count rows in the order of areas and stations, with `state`, `reported`, one boolean for each rule, and `rules`."""
    limits = pl.DataFrame(_kind_limits(definition.areas, definition))
    frame = _in_order(current)
    frame = pl.concat([frame, limits[frame["area"]]], how="horizontal")
    given = votes_given(contest)
    frame = frame.with_columns(
        (given & ~pl.col("withdrawn")).alias("reported"),
        pl.when(pl.col("withdrawn"))
        .then(pl.lit("withdrawn"))
        .when(given)
        .then(pl.lit(""))
        .otherwise(pl.lit("pending"))
        .alias("state"),
        pl.col("station").cast(pl.Int64, strict=False).alias("number"),
    )
    return _judged(frame, flag_rules(contest))


def judged_recaps(current: pl.DataFrame, contest: Contest) -> pl.DataFrame:
    """Recap rows with `reported` (in force), one boolean for each rule that a recapitulation can break, and `rules`."""
    return _judged(current.with_columns((~pl.col("withdrawn")).alias("reported")), flag_rules(contest, recap=True))


def _judged(frame: pl.DataFrame, rules: Sequence[FlagRule]) -> pl.DataFrame:
    broken: dict[str, pl.Expr] = {}
    for rule in rules:
        broken[rule.code] = broken[rule.code] | rule.broken if rule.code in broken else rule.broken
    frame = frame.with_columns(
        (expression & pl.col("reported")).alias(f"rule_{code}") for code, expression in broken.items()
    )
    codes = [pl.when(pl.col(f"rule_{code}")).then(pl.lit(code)) for code in broken]
    told = pl.concat_str(codes, separator=" ", ignore_nulls=True) if codes else pl.lit("")
    return frame.with_columns(told.alias("rules"))


def _in_order(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows by area and station, short numbers first. One number a row is sorted in a quarter of the time of three columns, two of them texts."""
    texts = rows.select(pl.col("station").unique()).sort(pl.col("station").str.zfill(16), "station")["station"]
    place = pl.col("station").cast(pl.Enum(texts)).to_physical()
    return rows.sort(pl.col("area").cast(pl.Int64) * len(texts) + place).set_sorted("area")


def _own_sums(stations: pl.DataFrame, contest: Contest, rules: list[str]) -> pl.DataFrame:
    reported = pl.col("reported")
    return stations.lazy().group_by("area").agg(
        pl.len().cast(pl.Int64).alias("listed"), reported.sum().cast(pl.Int64).alias("reported"), pl.col("withdrawn").sum().cast(pl.Int64),
        *(_sum(pl.col(name).filter(reported).cast(pl.Int64)).alias(name) for name in contest.figures),
        *(pl.col(f"rule_{code}").sum().cast(pl.Int64) for code in rules),
    ).collect()  # fmt: skip


def _sum(column: pl.Expr) -> pl.Expr:
    return pl.when(column.count() > 0).then(column.sum())


def _below(recaps: pl.DataFrame, contest: Contest, areas: Areas) -> pl.DataFrame:
    parents = areas.table["parent"]
    return (
        recaps.filter(~pl.col("withdrawn")).with_columns(parents.gather(recaps.filter(~pl.col("withdrawn"))["area"]).alias("parent"))
        .group_by("parent").agg(pl.len().cast(pl.Int64).alias("handed_in"), *(_sum(pl.col(name).cast(pl.Int64)).alias(f"below_{name}") for name in contest.figures))
        .rename({"parent": "area"})
    )  # fmt: skip


def _join_recaps(table: pl.DataFrame, recaps: pl.DataFrame, below: pl.DataFrame, contest: Contest) -> pl.DataFrame:
    own = recaps.select(
        "area", pl.col("revision").alias("recap_revision"), pl.col("withdrawn").alias("recap_withdrawn"), pl.col("package").alias("recap_package"),
        *(pl.col(name).cast(pl.Int64).alias(f"recap_{name}") for name in contest.figures),
    )  # fmt: skip
    joined = table.join(own, on="area", how="left", maintain_order="left").join(
        below, on="area", how="left", maintain_order="left"
    )
    return joined.with_columns(pl.col("handed_in").fill_null(0))


def area_findings(
    table: pl.DataFrame, recaps: pl.DataFrame, contest: Contest, areas: Areas
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Findings on areas themselves: a recap against the tier below, more stations than there are.

    `table` has `area` and `reported` of every area (at the last level the area's own); returned with what the recaps say, and the findings.
    """
    table = _join_recaps(table, recaps, _below(recaps, contest, areas), contest)
    children = [0] * len(areas)
    for parent in areas.parents[1:]:
        children[parent] += 1
    is_last = areas.table["level"] == areas.table["level"].max()
    table = table.with_columns(
        pl.Series("children", children, dtype=pl.Int64), areas.table["stations"].alias("expected")
    )
    whole = (
        (pl.col("handed_in") == pl.col("children"))
        & (pl.col("children") > 0)
        & pl.col("recap_revision").is_not_null()
        & ~pl.col("recap_withdrawn")
    )
    differs = [pl.col(f"recap_{name}").ne_missing(pl.col(f"below_{name}")) for name in contest.votes]
    first = [
        pl.when(differ).then(pl.struct(left=pl.col(f"recap_{name}"), right=pl.col(f"below_{name}")))
        for differ, name in zip(differs, contest.votes, strict=True)
    ]
    table = table.with_columns(
        (whole & pl.any_horizontal(differs)).fill_null(False).cast(pl.Int64).alias("rule_recap-below"),
        (is_last & (pl.col("reported") > pl.col("expected")).fill_null(False))
        .cast(pl.Int64)
        .alias("rule_reported-expected"),
    )
    recap = table.filter(pl.col("rule_recap-below") > 0).with_columns(pl.coalesce(first).alias("sides")).select(
        "area", pl.lit("").alias("station"), pl.lit(True).alias("recap"), pl.lit("recap-below").alias("rule"),
        pl.col("sides").struct.field("left"), pl.col("sides").struct.field("right"),
    )  # fmt: skip
    over = table.filter(pl.col("rule_reported-expected") > 0).select(
        "area", pl.lit("").alias("station"), pl.lit(False).alias("recap"), pl.lit("reported-expected").alias("rule"),
        pl.col("reported").alias("left"), pl.col("expected").alias("right"),
    )  # fmt: skip
    return table, pl.concat([recap, over])


def row_findings(judged: pl.DataFrame, rules: Iterable[FlagRule]) -> pl.DataFrame:
    """Each of `rules` that a row of `judged_stations` or `judged_recaps` breaks: `area, station, recap, rule, left, right`."""
    found = judged.filter(pl.col("rules") != "")
    parts = [
        found.filter(rule.broken & pl.col("reported")).select(
            "area",
            "station",
            "recap",
            pl.lit(rule.code).alias("rule"),
            rule.left.cast(pl.Int64).alias("left"),
            rule.right.cast(pl.Int64).alias("right"),
        )
        for rule in rules
    ]
    return pl.concat([pl.DataFrame(schema=FINDING), *parts])


def _with_recap_rules(table: pl.DataFrame, recaps: pl.DataFrame) -> pl.DataFrame:
    """What the areas' own recaps break, added to what their stations do."""
    found = recaps.filter(pl.col("rules") != "")
    names = [name for name in found.columns if name.startswith("rule_")]
    added = table.select("area").join(found.select("area", *names), on="area", how="left", maintain_order="left")
    return table.with_columns(pl.col(name).fill_null(0) + added[name].fill_null(False).cast(pl.Int64) for name in names)


def _summed_up(table: pl.DataFrame, contest: Contest, rules: Iterable[str], areas: Areas) -> pl.DataFrame:
    """Sums and latest releases carried from the last level up to the root, a level at a time."""
    added = ["listed", "reported", "withdrawn", *contest.figures, *(f"rule_{code}" for code in rules)]
    table = table.with_columns(areas.table["level"], areas.table["parent"])
    done = [table.filter(pl.col("level") == max(areas.levels))]
    for level in range(max(areas.levels) - 1, -1, -1):
        up = (
            done[-1]
            .group_by("parent")
            .agg(
                *(_sum(pl.col(name)).alias(f"up_{name}") for name in added), pl.col("release").max().alias("up_release")
            )
        )
        here = table.filter(pl.col("level") == level).join(
            up, left_on="area", right_on="parent", how="left", maintain_order="left"
        )
        done.append(
            here.with_columns(
                pl.max_horizontal("release", "up_release").alias("release"),
                *(
                    pl.when(pl.col(name).is_not_null() | pl.col(f"up_{name}").is_not_null())
                    .then(pl.col(name).fill_null(0) + pl.col(f"up_{name}").fill_null(0)).alias(name)
                    for name in added
                ),
            ).select(table.columns)
        )  # fmt: skip
    zero = [name for name in added if name not in contest.figures]
    return pl.concat(done).sort("area").with_columns(pl.col(name).fill_null(0) for name in zero)


def _history(rows: Rows, contest: Contest) -> pl.DataFrame:
    """Every revision after the first beside the one before it, oldest first within its row."""
    keys = rows.replaced.select(KEY).unique()
    every = pl.concat([rows.current.join(keys, on=KEY, how="semi"), rows.replaced])
    before = every.select(
        *KEY, pl.col("revision") + 1, *(pl.col(name).alias(f"old_{name}") for name in contest.figures)
    )
    order = ["area", "station", "recap", "revision", "withdrawn", "package", *rows.contest.figures]
    later = (
        every.select(order)
        .filter(pl.col("revision") > 1)
        .join(before, on=[*KEY, "revision"], how="left", maintain_order="left")
    )
    return later.sort("area", "recap", pl.col("station").str.zfill(16), "station", "revision")


def _kind_limits(areas: Areas, definition: Definition) -> dict[str, pl.Series]:
    kinds = definition.election.kinds
    return {
        "spare_percent": pl.Series([kinds[name].spare_percent for name in areas.kinds], dtype=pl.Int32),
        "max_registered": pl.Series([kinds[name].max_registered for name in areas.kinds], dtype=pl.Int32),
        "last_station": pl.Series(
            [
                count if kinds[name].consecutive_stations else None
                for name, count in zip(areas.kinds, areas.table["stations"], strict=True)
            ],
            dtype=pl.Int64,
        ),
    }
