"""What a source says that the ledger does not know yet: new rows, revisions, withdrawals.

A published vote is never blanked: a row that lost one of its votes in the source counts as missing from it, and a
missing row is withdrawn or left as it is, never emptied.
"""

import polars as pl

from builder.election import Contest
from builder.rows import Rows

__all__ = ["WITHDRAWAL", "changed_rows"]

LATE, WITHDRAWAL = "late", "withdrawal"
PLACE = ("place", "station")


def changed_rows(
    judged: pl.DataFrame, known: Rows | None, contest: Contest, covers: pl.Series, *, recap: bool, reason: str | None
) -> tuple[pl.DataFrame, int]:
    """Rows to hand in, with `revision`, `state` and `reason`; and the number of rows that are known as they are.

    `judged` has the source's rows: `place` and `cover` (rows in `Areas`), `station`, `time`, figures, `reject` (null:
    taken). In the result a `reason` is "" for a new row, `late` where figures only came in addition or the known row
    had no votes, `withdrawal` where one is withdrawn, or `reason`; null where published figures change and no `reason` was
    given, or that of a withdrawal: the public would read it beside figures that are there.
    """
    taken = judged.filter(pl.col("reject").is_null()).select(*PLACE, "cover", "time", *contest.figures)
    columns = {"revision": pl.lit(1, dtype=pl.Int32), "state": pl.lit(""), "reason": pl.lit("")}
    new = taken.with_columns(value.alias(name) for name, value in columns.items())
    if known is None or known.current.height == 0:
        return new, 0
    figures = [pl.col(name).alias(f"known_{name}") for name in contest.figures]
    before = known.current.filter(pl.col("recap") == recap).select(
        pl.col("area").alias("place"), "station", pl.col("revision").alias("known_revision"), "withdrawn", *figures
    )
    joined = taken.join(before, on=PLACE, how="left", maintain_order="left")
    fresh = pl.col("known_revision").is_null()
    gone = pl.any_horizontal(pl.col(f"known_{name}").is_not_null() & pl.col(name).is_null() for name in contest.votes)
    had_votes = pl.any_horizontal(pl.col(f"known_{name}").is_not_null() for name in contest.votes)
    equal = {name: pl.col(name).eq_missing(pl.col(f"known_{name}")) for name in contest.figures}
    same = ~pl.col("withdrawn") & pl.all_horizontal(*equal.values())
    added = pl.all_horizontal(either | pl.col(f"known_{name}").is_null() for name, either in equal.items())
    late = ~had_votes | (added & ~pl.col("withdrawn"))
    given = pl.lit(None if reason == WITHDRAWAL else reason, dtype=pl.String)
    why = pl.when(fresh).then(pl.lit("")).when(late).then(pl.lit(LATE)).otherwise(given)
    revised = joined.filter(fresh | ~(gone | same)).with_columns(
        (pl.col("known_revision").fill_null(0) + 1).alias("revision"),
        pl.lit("").alias("state"),
        why.alias("reason"),
    )
    missing = _missing(before, judged, joined.filter(gone), covers)
    withdrawn = missing.select(
        *PLACE,
        covers.gather(missing["place"]),
        pl.lit(None, dtype=pl.String).alias("time"),
        *(pl.lit(None, dtype=pl.Int32).alias(name) for name in contest.figures),
        (pl.col("known_revision") + 1).alias("revision"),
        pl.lit("withdrawn").alias("state"),
        pl.lit(WITHDRAWAL).alias("reason"),
    )
    return pl.concat([revised.select(new.columns), withdrawn.select(new.columns)]), joined.filter(~fresh & same).height


def _missing(before: pl.DataFrame, judged: pl.DataFrame, gone: pl.DataFrame, covers: pl.Series) -> pl.DataFrame:
    """Known rows, not withdrawn, that the source no longer has although it speaks of their cover, and those `gone`.

    A rejected row is not a missing one.
    """
    there = judged.filter(pl.col("place").is_not_null())
    spoken_of = covers.gather(before["place"]).is_in(there["cover"].unique().implode())
    covered = before.filter(~pl.col("withdrawn") & spoken_of)
    return pl.concat([covered.join(there, on=PLACE, how="anti"), covered.join(gone, on=PLACE, how="semi")])
