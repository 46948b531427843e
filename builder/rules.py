"""The rules: each a code, a severity and a small pure expression over columns, so that a million rows cost what one costs.

*Refuse* rules are judged at intake, over the rows of many packages at once; a row that breaks one refuses its whole package.
*Flag* rules are judged over the current rows; a row that breaks one is published with the finding: real data breaks them
(16 % of Indonesia's 2024 stations), and the site must show that, not hide it or choke on it.

Source: the arithmetic of form C.HASIL and the recapitulation order of DESIGN's "Intake".
"""

from dataclasses import dataclass
from enum import Enum

import polars as pl

from builder.election import Contest

__all__ = ["FLAG_CODES", "NOT_AN_INTEGER", "REFUSE_RULES", "FlagRule", "RefuseRule", "Severity", "flag_rules"]

INTEGER = r"^(0|[1-9][0-9]{0,8})$"
STATION = r"^[0-9A-Za-z._-]{1,16}$"
NOT_AN_INTEGER = "is not an integer from 0 to 999999999, written plainly"


class Severity(Enum):
    REFUSE = "refuse"
    FLAG = "flag"


@dataclass(frozen=True)
class RefuseRule:
    """`broken` is true for a row that may not be accepted; `field` and `problem` go into the report."""

    code: str
    field: str
    problem: str
    broken: pl.Expr
    severity = Severity.REFUSE


@dataclass(frozen=True)
class FlagRule:
    """A rule whose two sides are figures; `broken` says when it does not hold. Absent figures break nothing."""

    code: str
    left: pl.Expr
    right: pl.Expr
    broken: pl.Expr
    severity = Severity.FLAG


_count = pl.col("series") == "count"
_empty_figures = pl.col("figures_given") == 0

# Columns that intake prepares: row (area's place or null), level, in_scope, in_contest, repeated, series, has_reason, station, revision,
# withdrawn, state, figures_given, known_revision (0 for none), was_reported, spelt_otherwise.
REFUSE_RULES: tuple[RefuseRule, ...] = (
    RefuseRule("unknown-area", "area", "no such area in areas.csv", pl.col("row").is_null()),
    RefuseRule("contest-area", "area", "lies outside the area of this contest", ~pl.col("in_contest")),
    RefuseRule("out-of-scope", "area", "does not lie in the area that the cover names", ~pl.col("in_scope")),
    RefuseRule("station", "station", "is not a station number of 1 to 16 of 0-9 A-Z a-z . _ -", _count & ~pl.col("station").str.contains(STATION)),
    RefuseRule("station", "station", "must be empty in series recap", ~_count & (pl.col("station") != "")),
    RefuseRule("wrong-level", "area", "polling stations belong to areas of the last level", _count & ~pl.col("last_level")),
    RefuseRule("state", "state", "is neither empty nor 'withdrawn'", ~pl.col("state").is_in(["", "withdrawn"])),
    RefuseRule("duplicate-row", "station", "stands twice in this package", pl.col("repeated")),
    RefuseRule("duplicate-row", "station", "is known with other zeros or capitals; spell it so, or withdraw that one first", ~pl.col("withdrawn") & pl.col("spelt_otherwise")),
    RefuseRule("wrong-revision", "revision", "must be the known revision plus one", pl.col("revision") != pl.col("known_revision") + 1),
    RefuseRule("withdrawn-figures", "state", "a withdrawn row has no figures", pl.col("withdrawn") & ~_empty_figures),
    RefuseRule("withdrawn-unknown", "state", "a row that was never handed in cannot be withdrawn", pl.col("withdrawn") & (pl.col("known_revision") == 0)),
    RefuseRule("reason-missing", "revision", "changes a published figure; [revision] in recap.toml must give the reason", pl.col("was_reported") & ~pl.col("has_reason")),
)  # fmt: skip

FLAG_CODES = (
    "candidates-valid", "valid-invalid-total", "voters-total", "voters-list", "voters-parts", "sexes-total", "registered-limit",
    "station-range", "recap-below", "reported-expected",
)  # fmt: skip


def flag_rules(contest: Contest, *, recap: bool = False) -> tuple[FlagRule, ...]:
    """The flag rules that the contest's form can break.

    A polling station's are for a frame with its figures and `spare_percent`, `max_registered`, `number`, `last_station`. A recapitulation's (`recap`) need its
    figures alone: what adds up on every form adds up in their sum, but what limits one station says nothing of many.
    """
    fields = set(contest.fields)

    def add(*names: str) -> pl.Expr:
        """Three figures of nine digits do not fit into their own 32 bits. Null where one is absent."""
        return pl.sum_horizontal(*(pl.col(name).cast(pl.Int64) for name in names), ignore_nulls=False)

    total = pl.col("total") if "total" in fields else add("valid", "invalid")
    rules: list[FlagRule] = []

    def equal(code: str, left: pl.Expr, right: pl.Expr, *needed: str) -> None:
        if fields.issuperset(needed):
            rules.append(FlagRule(code, left, right, (left != right).fill_null(False)))

    def at_most(code: str, left: pl.Expr, right: pl.Expr, *needed: str) -> None:
        if fields.issuperset(needed):
            rules.append(FlagRule(code, left, right, (left > right).fill_null(False)))

    equal("candidates-valid", add(*contest.votes), pl.col("valid"), "valid")
    equal("valid-invalid-total", add("valid", "invalid"), pl.col("total"), "valid", "invalid", "total")
    equal(
        "voters-total", total, pl.col("voters"), "voters", *(["total"] if "total" in fields else ["valid", "invalid"])
    )
    if not recap:
        # Ballots at a station are its list and the spare ones, rounded up (2 % in Indonesia); overseas has no such limit.
        ballots = pl.col("registered") + (pl.col("registered").cast(pl.Int64) * pl.col("spare_percent") + 99) // 100
        ballots = pl.when(pl.col("registered") > 0).then(ballots)
        at_most("voters-list", pl.col("voters"), ballots, "voters", "registered")
    parts = ("voters_listed", "voters_moved", "voters_unlisted")
    equal("voters-parts", add(*parts), pl.col("voters"), *parts, "voters")
    for name in ("registered", "voters_listed", "voters_moved", "voters_unlisted", "voters"):
        sexes = (f"{name}_male", f"{name}_female")
        equal("sexes-total", add(*sexes), pl.col(name), *sexes, name)
    if not recap:
        at_most("registered-limit", pl.col("registered"), pl.col("max_registered"), "registered")
        at_most("station-range", pl.col("number"), pl.col("last_station"))
    return tuple(rules)
