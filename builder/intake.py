"""Intake: recap packages judged by the rules, accepted whole into the ledger or refused whole with a report."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import polars as pl

from builder import limits
from builder.election import Contest, Definition
from builder.errors import PackageError
from builder.recap import Package, parse_rows
from builder.rows import KEY, Rows, package_text, typed_rows, votes_given
from builder.rules import INTEGER, NOT_AN_INTEGER, REFUSE_RULES

__all__ = ["Broken", "Verdict", "check_cover", "judge"]


@dataclass(frozen=True)
class Broken:
    """A rule that refuses: the first line that breaks it, and how many do. `file` is one of the package's."""

    rule: str
    field: str | None
    line: int | None
    value: str | None
    problem: str
    lines: int = 1
    file: str | None = None

    @classmethod
    def of(cls, error: PackageError, package: str) -> Self:
        """What is wrong with a package, found at `package`, that could not be read; wherever it lies later."""
        file = str(error.file or package).removeprefix(package).lstrip("/") or "package"
        return cls(error.rule or "package", error.field, error.line, None, error.problem, file=file)

    def __str__(self) -> str:
        place = self.file or ("rows.csv" if self.line else "recap.toml")
        place += (f", line {self.line}" if self.line else "") + (f", field {self.field}" if self.field else "")
        more = f" (and {self.lines - 1} more lines)" if self.lines > 1 else ""
        return f"{place}: {'' if self.value is None else repr(self.value) + ' '}{self.problem} [{self.rule}]{more}"


@dataclass(frozen=True)
class Verdict:
    """What became of one package: `broken` is empty when it is accepted."""

    package: Package
    rows: int
    broken: tuple[Broken, ...]


def check_cover(package: Package, definition: Definition) -> tuple[Broken, ...]:
    """Rules on the cover alone."""
    cover, election = package.cover, definition.election
    if cover.election != election.id:
        return (Broken("election", "election", None, cover.election, f"is not this election, {election.id!r}"),)
    if election.contest(cover.contest) is None:
        return (Broken("unknown-contest", "contest", None, cover.contest, "is not a contest of election.toml"),)
    row = definition.areas.index.get(cover.area)
    if row is None:
        return (Broken("unknown-area", "area", None, cover.area, "is not in areas.csv"),)
    level = election.levels[definition.areas.levels[row]].id
    if cover.tier != level:
        return (Broken("tier", "tier", None, cover.tier, f"is not the level of area {cover.area!r}, {level!r}"),)
    return ()


# Two spellings of one station, 7 and 007, or KSK-1 and ksk-001, are two rows; but its votes count once.
_NUMBER = (
    pl.col("station").fill_null("").str.to_lowercase().str.replace_all("(^|[^0-9])0+([0-9])", "$1$2").alias("number")
)


def judge(packages: Sequence[Package], rows: dict[str, Rows], definition: Definition, known: int) -> list[Verdict]:
    """Judge packages in order, folding the accepted ones into `rows`; `known` packages are in the ledger already.

    The verdicts come in the order in which the packages must be appended. Packages that speak of the same row are judged one after the
    other, all others at once.
    """
    verdicts: list[Verdict] = []
    covers = [(package, check_cover(package, definition)) for package in packages]
    for contest in definition.election.contests:
        mine = [package for package, broken in covers if not broken and package.cover.contest == contest.id]
        mine, text, refused = _parsed(mine, contest)
        verdicts += refused
        waiting = dict(enumerate(mine))
        while waiting:
            later = _later(text)
            wave = {place: package for place, package in waiting.items() if place not in later}
            now = text.filter(~pl.col("package").is_in(later)) if later else text
            verdicts += _judge_wave(
                wave, now, rows[contest.id], contest, definition, known + sum(not v.broken for v in verdicts)
            )
            waiting = {place: package for place, package in waiting.items() if place in later}
            text = text.filter(pl.col("package").is_in(later))
    return verdicts + [Verdict(package, 0, broken) for package, broken in covers if broken]


def _parsed(packages: list[Package], contest: Contest) -> tuple[list[Package], pl.DataFrame, list[Verdict]]:
    """The packages whose rows have the right structure, their rows by place in this list, and the verdicts on the others."""
    refused = []
    try:
        text = package_text(list(enumerate(packages)), contest)
    except PackageError:
        good = []
        for package in packages:
            try:
                parse_rows(package, contest)
                good.append(package)
            except PackageError as error:
                refused.append(Verdict(package, 0, (Broken.of(error, package.source),)))
        packages, text = good, package_text(list(enumerate(good)), contest)
    return packages, text, refused


def _later(text: pl.DataFrame) -> set[int]:
    """The packages that share a row with an earlier one."""
    key = ("recap", "area", "number")
    keys = text.select("recap", "area", _NUMBER, "package")
    if keys.select(pl.struct(key).n_unique()).item() == keys.height:
        return set()
    shared = keys.lazy().unique().filter(pl.struct(key).is_duplicated()).collect()
    return set(shared.filter(pl.col("package") > pl.col("package").min().over(key))["package"].to_list())


def _judge_wave(
    wave: dict[int, Package], text: pl.DataFrame, rows: Rows, contest: Contest, definition: Definition, known: int
) -> list[Verdict]:
    typed = typed_rows(text, contest, definition)
    broken = _broken_integers(text, typed, contest)
    prepared = _prepare(wave, text, typed, rows, contest, definition)
    for rule in REFUSE_RULES:
        broken.append((rule.code, rule.field, rule.problem, prepared.filter(rule.broken.fill_null(False))))
    found: dict[int, list[Broken]] = {}
    for code, field, problem, bad in broken:
        if bad.height == 0:
            continue
        firsts = bad.group_by("package", maintain_order=True).agg(
            pl.col("line").first(), pl.col(field).first().cast(pl.String), pl.len()
        )
        for place, line, value, lines in firsts.iter_rows():
            found.setdefault(place, []).append(
                Broken(code, field, line, None if value is None else value[:60], problem, lines)
            )
    heights = dict(text.group_by("package").len().iter_rows())
    verdicts = [Verdict(package, heights.get(place, 0), tuple(found.get(place, ()))) for place, package in wave.items()]
    accepted = [place for place in wave if place not in found]
    if accepted:
        numbers = {place: known + offset for offset, place in enumerate(accepted, 1)}
        kept = typed if len(accepted) == len(wave) else typed.filter(pl.col("package").is_in(accepted))
        rows.add(kept.with_columns(pl.col("package").replace_strict(numbers, return_dtype=pl.Int32)))
    return verdicts


def _broken_integers(
    text: pl.DataFrame, typed: pl.DataFrame, contest: Contest
) -> list[tuple[str, str, str, pl.DataFrame]]:
    """Cells that are not plain integers: a cell must read back as what was written, so ` 4_2 `, `-0`, `007` and 2^63 all fall out."""
    broken = []
    for name in ("revision", *contest.figures):
        plain = (
            typed[name].cast(pl.String).eq_missing(text[name])
            & (typed[name].fill_null(0) >= 0)
            & (typed[name].fill_null(0) <= limits.FIGURE)
        )
        if name == "revision":
            plain &= typed[name].is_not_null() & (typed[name] <= limits.REVISION)
        if not plain.all():
            bad = text.filter(~plain).filter(
                ~pl.col(name).str.contains(INTEGER).fill_null(False) | pl.lit(name == "revision")
            )
            broken.append(
                (
                    "not-an-integer",
                    name,
                    NOT_AN_INTEGER if name != "revision" else "is not an integer from 1 to 9999, written plainly",
                    bad,
                )
            )
    return broken


def _prepare(
    wave: dict[int, Package],
    text: pl.DataFrame,
    typed: pl.DataFrame,
    rows: Rows,
    contest: Contest,
    definition: Definition,
) -> pl.DataFrame:
    """The columns that the refuse rules are written over (see `rules.REFUSE_RULES`)."""
    areas, covers = definition.areas, [package.cover for package in wave.values()]
    scopes = pl.DataFrame(
        {
            "package": pl.Series(list(wave), dtype=pl.Int32),
            "first": pl.Series([areas.index[cover.area] for cover in covers], dtype=pl.Int32),
            "end": pl.Series([areas.ends[areas.index[cover.area]] for cover in covers], dtype=pl.Int32),
            "has_reason": [cover.revision is not None for cover in covers],
        }
    )
    top = areas.index[contest.area] if contest.area else 0
    last_level = len(definition.election.levels) - 1
    is_last = pl.Series([level == last_level for level in areas.levels])
    row = typed["area"]
    inside = is_last.gather(row.fill_null(0)) | row.is_null()
    frame = text.select("area", "station", "revision", "state", "package", "line", "recap").with_columns(
        pl.col("station").fill_null(""), pl.col("state").fill_null(""), typed["revision"].alias("revision"), typed["withdrawn"],
        row.alias("row"), inside.alias("last_level"),
        pl.when(pl.col("recap")).then(pl.lit("recap")).otherwise(pl.lit("count")).alias("series"),
        ((row >= top) & (row < areas.ends[top])).fill_null(True).alias("in_contest"),
        typed.select(pl.sum_horizontal(pl.col(name).is_not_null().cast(pl.Int32) for name in contest.figures)).to_series().alias("figures_given"),
    )  # fmt: skip
    frame = (
        frame.join(scopes, on="package", how="left", maintain_order="left")
        .with_columns(
            ((pl.col("row") >= pl.col("first")) & (pl.col("row") < pl.col("end"))).fill_null(True).alias("in_scope"),
            _NUMBER,
        )
        .with_columns((~pl.struct("package", "area", "number").is_first_distinct()).alias("repeated"))
    )
    if rows.current.height == 0:
        return frame.with_columns(
            pl.lit(0, dtype=pl.Int32).alias("known_revision"),
            pl.lit(False).alias("was_reported"),
            pl.lit(False).alias("spelt_otherwise"),
        )
    # Of what is known, that of these rows' areas alone: one station is corrected in a nation.
    here = frame.select(area="row").unique()
    current, replaced = (part.join(here, on="area", how="semi") for part in (rows.current, rows.replaced))
    # Also what was withdrawn or emptied since: else two packages would do, without a reason, what one may not.
    reported = votes_given(contest)
    once = replaced.filter(reported).select(*KEY).unique().with_columns(was_once=True).rename({"area": "row"})
    known = current.select(
        *KEY,
        pl.col("revision").alias("known_revision"),
        reported.alias("was_reported"),
        (~pl.col("withdrawn")).alias("counts"),
    ).rename({"area": "row"})
    spelt = known.filter("counts").group_by("recap", "row", _NUMBER).agg(pl.len().alias("spellings"))
    frame = frame.join(known, on=["recap", "row", "station"], how="left", maintain_order="left")
    frame = frame.join(once, on=["recap", "row", "station"], how="left", maintain_order="left")
    frame = frame.join(spelt, on=["recap", "row", "number"], how="left", maintain_order="left")
    return frame.with_columns(
        pl.col("known_revision").fill_null(0),
        pl.coalesce("was_once", "was_reported", False).alias("was_reported"),
        (pl.col("spellings").fill_null(0) > pl.col("counts").fill_null(False)).alias("spelt_otherwise"),
    )
