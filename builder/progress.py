"""How a count came in: reported stations and votes after each release, for the areas above the shard level. By columns, like the tally.

All releases are reckoned from the rows as they are kept: a row adds its figures from its package's release on, and takes them away again from the
release at which another revision replaced it. So every row is read once, however many releases there are.
"""

from collections.abc import Sequence
from typing import TypeVar

import polars as pl

from builder.areas import Areas
from builder.rows import KEY, Rows, votes_given

__all__ = ["progress", "thinned"]

Point = TypeVar("Point")


def progress(rows: Rows, releases: pl.Series, areas: Areas) -> pl.DataFrame:
    """The columns `area, release, reported` and each candidate's votes, in order: one row for each release that changed any of these in the area,
    with what stood there then; votes are null where no station had reported.

    `releases` has the release of each package by its number.
    """
    votes = rows.contest.votes
    figures = ("reported", *votes)
    steps = _steps(rows)
    release = releases.gather(steps["package"]).alias("release")
    found = [_summed(steps.with_columns(_nearest(areas).gather(steps["area"]).alias("area"), release), figures)]
    above = areas.table["parent"].replace(-1, None)
    while found[-1].height:
        found.append(_summed(found[-1].with_columns(above.gather(found[-1]["area"]).alias("area")), figures))
    return (
        pl.concat(found)
        .filter(pl.any_horizontal(pl.col(name) != 0 for name in figures))
        .sort("area", "release")
        .with_columns(pl.col(name).cum_sum().over("area") for name in figures)
        .with_columns(pl.when(pl.col("reported") > 0).then(pl.col(name)).alias(name) for name in votes)
    )


def thinned(points: Sequence[Point], most: int) -> list[Point]:
    """At most `most` of `points`, evenly by their places, the first and the last among them."""
    last = len(points) - 1
    return list(points) if last < most else [points[step * last // (most - 1)] for step in range(most)]


def _steps(rows: Rows) -> pl.DataFrame:
    """What the count's rows add when they come, and take away when they are replaced: `area, package, reported`, votes."""
    votes = rows.contest.votes
    counts = ~pl.col("recap") & ~pl.col("withdrawn") & votes_given(rows.contest)
    came = pl.concat([rows.current.filter(counts), rows.replaced.filter(counts)])
    names = [*KEY, "revision", "package"]
    after = pl.concat([rows.current.filter(pl.col("revision") > 1).select(names), rows.replaced.select(names)])
    gone = rows.replaced.filter(counts).drop("package").with_columns(pl.col("revision") + 1).join(after, on=names[:-1])
    return pl.concat(
        frame.select(
            "area",
            "package",
            pl.lit(sign, pl.Int64).alias("reported"),
            *(pl.col(name).cast(pl.Int64) * sign for name in votes),
        )
        for frame, sign in ((came, 1), (gone, -1))
    )


def _summed(steps: pl.DataFrame, figures: Sequence[str]) -> pl.DataFrame:
    """Steps added up by area and release; those without an area are left out."""
    return steps.drop_nulls("area").group_by("area", "release").agg(pl.col(name).sum() for name in figures)


def _nearest(areas: Areas) -> pl.Series:
    """For each area the nearest one at or above it that is above the shard level, or null."""
    own = pl.int_range(len(areas), dtype=pl.Int32, eager=True)
    up = areas.table.select(
        pl.when(pl.col("shard") == "").then(own).when(pl.col("parent") >= 0).then("parent")
    ).to_series()
    places = up
    for _ in range(max(areas.levels)):
        places = up.gather(places)
    return places
