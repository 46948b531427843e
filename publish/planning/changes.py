"""What a release would change in votes: the figures that the public sees beside those at the ledger's end. Pure, by columns.

Only the rows of packages that the public has not seen are looked at, with the rows that they replace: a correction costs its own rows, not the nation's.
A figure counts here as it does in the sums: that of a station not reported yet, or withdrawn, is absent.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import msgspec
import polars as pl

from builder.areas import Areas
from builder.election import Contest, Definition
from builder.ledger import PackageRecord
from builder.recap import Cover
from builder.rows import KEY, Rows
from builder.tally import Tally, area_findings, judged_recaps, judged_stations

__all__ = ["TIE", "Changes", "ContestChanges", "Votes", "compare", "questions"]

LISTED = 1_000  # leaders and falls named one by one; the others are only counted
AREA_RULES = ("recap-below", "reported-expected")
TIE = 0


class Votes(NamedTuple):
    """Votes of a candidate before and after; None where nothing had come in."""

    number: int
    old: int | None
    new: int | None


class Leader(NamedTuple):
    """Who leads in an area: a candidate's number, 0 for a tie, None for nobody."""

    area: str
    name: str
    level: str
    series: str
    old: int | None
    new: int | None


class Fall(NamedTuple):
    """A published figure that is lower now, or gone (None); `station` is empty for a recap."""

    area: str
    name: str
    series: str
    station: str
    figure: str
    old: int
    new: int | None


class Level(NamedTuple):
    """One level: areas with new results, those of them where figures change that were shown before, of how many areas; leaders changed; recaps handed in
    and their votes, None where there are none."""

    level: str
    touched: int
    changed: int
    areas: int
    leaders: int
    handed_in: tuple[int, int] | None
    recap: tuple[Votes, ...]


class Findings(NamedTuple):
    rule: str
    added: int
    cleared: int


class ContestChanges(msgspec.Struct, frozen=True):
    """Changes of one contest. `votes` are the count's, of the area that the contest covers; `stations` those reported there, old and new."""

    contest: str
    title: str
    candidates: dict[int, str]
    votes: tuple[Votes, ...]
    stations: tuple[int, int]
    levels: tuple[Level, ...]
    leaders: tuple[Leader, ...]
    leaders_count: int
    falls: tuple[Fall, ...]
    falls_count: int
    findings: tuple[Findings, ...]


class Changes(msgspec.Struct, frozen=True):
    """From release `since` (0: nothing public that we know of) to the last cut. `first`: there was no release to compare with.

    `reasons` counts revised rows by their packages' reason. `areas` are those where figures change that were shown before, in any contest, of how many: each
    counts once, in however many contests it votes; an area's first figures are no change, there or in the sums above.
    """

    since: int
    first: bool
    packages: int
    rows: int
    contests: tuple[ContestChanges, ...]
    reasons: dict[str, int]
    areas: tuple[int, int]

    @property
    def areas_percent(self) -> float:
        changed, every = self.areas
        return 100 * changed / every


def questions(changes: Changes, areas_percent: float) -> list[str]:
    """Why a person should look before this is published; nothing for an election's first release."""
    if changes.first:
        return []
    falls = sum(contest.falls_count for contest in changes.contests)
    leaders = sum(contest.leaders_count for contest in changes.contests)
    found = [f"figures fall: {falls}"] if falls else []
    found += [f"areas where the leader changes: {leaders}"] if leaders else []
    if changes.areas_percent > areas_percent:
        found.append(
            f"{changes.areas_percent:.1f} % of all areas change figures that were shown, more than areas_percent = {areas_percent:g} in terbit.toml"
        )
    return found


def compare(
    rows: dict[str, Rows],
    tallies: dict[str, Tally],
    definition: Definition,
    covers: Callable[[int], tuple[PackageRecord, Cover]],
    *,
    since: int,
    packages: int,
    through: int,
    first: bool,
) -> Changes:
    """Changes since release `since`, which had the first `packages` packages, up to package `through`; `tallies` are those of now."""
    comparisons = [_Comparison(rows[name], tally, definition, since, packages) for name, tally in tallies.items()]
    contests = tuple(comparison.run() for comparison in comparisons)
    changed = pl.concat(one.changed["area"] for one in comparisons).n_unique()
    covered = {(one.top, one.end) for one in comparisons}
    every = len({area for first_area, end in covered for area in range(first_area, end)})
    revised = pl.concat(
        [tally.history.filter(pl.col("package") > packages).select("package") for tally in tallies.values()]
    )
    reasons: dict[str, int] = {}
    for number, count in revised.group_by("package").len().sort("package").iter_rows():
        revision = covers(number)[1].revision
        reason = revision.reason if revision else "late"
        reasons[reason] = reasons.get(reason, 0) + count
    new_rows = sum(
        int(frame.select((pl.col("package") > packages).sum()).item())
        for one in rows.values()
        for frame in (one.current, one.replaced)
    )
    return Changes(since, first, through - packages, new_rows, contests, reasons, (changed, every))


class _Comparison:
    """One contest: rows of new packages (sign 1) and the public ones that they replace (sign -1), and what follows from their difference."""

    def __init__(self, rows: Rows, tally: Tally, definition: Definition, since: int, packages: int) -> None:
        self.contest, self.tally, self.definition, self.areas = rows.contest, tally, definition, definition.areas
        self.since, self.packages, self.current = since, packages, rows.current
        top = self.areas.index[self.contest.area] if self.contest.area else 0
        self.top, self.end = top, self.areas.ends[top]
        new = rows.current.filter(pl.col("package") > packages)
        # The newest row that the public has of each key; a key may have been revised more than once since.
        before = rows.replaced.filter(pl.col("package") <= packages).join(new.select(KEY), on=KEY, how="semi")
        old = before.sort("revision").unique(KEY, keep="last") if before.height else before
        both = pl.concat(
            [frame.with_columns(pl.lit(sign, dtype=pl.Int32).alias("sign")) for frame, sign in ((new, 1), (old, -1))]
        )
        self.stations = judged_stations(both.filter(~pl.col("recap")), self.contest, definition)
        self.recaps = judged_recaps(both.filter("recap"), self.contest)

    def run(self) -> ContestChanges:
        names = ("reported", *self.contest.votes)
        steps = _carried_up(_sums(self.stations, names), self.areas)
        leaders, falls = self._leaders(steps), self._falls()
        at_top = steps.filter(pl.col("area") == self.top)
        step = at_top.row(0, named=True) if at_top.height else dict.fromkeys(names, 0)
        now = self.tally.areas.row(self.top, named=True)
        stations = (now["reported"] - step["reported"], now["reported"])
        return ContestChanges(
            self.contest.id,
            self.contest.title.en,
            {one.number: one.name for one in self.contest.candidates},
            self._votes(now, step, stations),
            stations,
            self._levels(leaders),
            tuple(self._named_leaders(leaders.head(LISTED))),
            leaders.height,
            tuple(self._named_falls(falls.head(LISTED))),
            falls.height,
            self._findings(steps),
        )

    def _votes(
        self, now: Mapping[str, int | None], step: Mapping[str, int], reported: tuple[int, int]
    ) -> tuple[Votes, ...]:
        return tuple(
            Votes(
                one.number,
                (now[name] or 0) - step[name] if reported[0] else None,
                (now[name] or 0) if reported[1] else None,
            )
            for one, name in zip(self.contest.candidates, self.contest.votes, strict=True)
        )

    def _leaders(self, steps: pl.DataFrame) -> pl.DataFrame:
        """Areas where another one leads than before, of the count and of the recaps, in the order of areas."""
        votes = self.contest.votes
        inside = steps.filter(pl.col("area").is_between(self.top, self.end - 1))
        now = self.tally.areas[inside["area"]].select(pl.col(name).fill_null(0) for name in votes)
        before = now.select(now[name] - inside[name] for name in votes)
        every = [_changed_leaders(inside["area"], before, now, self.contest).with_columns(pl.lit(False).alias("recap"))]
        old, new = (self.recaps.filter((pl.col("sign") == sign) & pl.col("reported")) for sign in (-1, 1))
        if old.height:
            after = old.select("area").join(new, on="area", how="left", maintain_order="left")
            changed = _changed_leaders(old["area"], old.select(votes), after.select(votes), self.contest)
            every.append(changed.with_columns(pl.lit(True).alias("recap")))
        return pl.concat(every).sort("area", "recap")

    def _falls(self) -> pl.DataFrame:
        """Figures of rows that were in the sums and are lower now, or no longer in them."""
        names = self.contest.figures
        every = pl.concat(
            frame.filter("reported").select(*KEY, "sign", *names) for frame in (self.stations, self.recaps)
        )
        old, new = (every.filter(pl.col("sign") == sign).drop("sign") for sign in (-1, 1))
        pairs = old.join(new, on=KEY, how="left", suffix="_new")
        falls = [
            pairs.filter(
                pl.col(name).is_not_null() & (pl.col(f"{name}_new").is_null() | (pl.col(f"{name}_new") < pl.col(name)))
            ).select(*KEY, pl.lit(name).alias("figure"), pl.col(name).alias("old"), pl.col(f"{name}_new").alias("new"))
            for name in names
        ]
        return pl.concat(falls).sort("area", "recap", "station", "figure")

    def _levels(self, leaders: pl.DataFrame) -> tuple[Level, ...]:
        columns = [
            "area",
            "level",
            "release",
            "recap_revision",
            "recap_withdrawn",
            *(f"recap_{name}" for name in self.contest.votes),
        ]
        inside = self.tally.areas.select(columns)[self.top : self.end]
        counts = inside.group_by("level").agg(pl.len(), (pl.col("release") > self.since).sum().alias("touched"))
        changed = _at_levels(leaders.select("area"), self.areas).group_by("level").len()
        leaders_at: dict[int, int] = dict(changed.iter_rows())
        shown_at: dict[int, int] = dict(_at_levels(self.changed, self.areas).group_by("level").len().iter_rows())
        recaps = self._recap_levels(inside)
        titles = [level.id for level in self.definition.election.levels]
        return tuple(
            Level(
                titles[level],
                touched,
                shown_at.get(level, 0),
                areas,
                leaders_at.get(level, 0),
                *recaps.get(level, (None, ())),
            )
            for level, areas, touched in counts.sort("level").iter_rows()
        )

    @cached_property
    def changed(self) -> pl.DataFrame:
        """Areas with figures that the public has and that rows in the sums now change, and all above them. A row that is again what the public has changes nothing."""
        same = pl.struct(*KEY, *self.contest.figures).is_duplicated()
        stations, recaps = (frame.filter("reported").filter(~same) for frame in (self.stations, self.recaps))
        steps = _sums(stations, ("reported",))
        had = self.tally.areas["reported"].gather(steps["area"]) > steps["reported"]
        recaps = recaps.filter(pl.col("sign") < 0)
        own = pl.concat([steps.filter(had).select("area"), recaps.select("area")]).with_columns(
            pl.lit(1).alias("changed")
        )
        return _carried_up(own, self.areas).filter(pl.col("area").is_between(self.top, self.end - 1))

    def _recap_levels(self, inside: pl.DataFrame) -> dict[int, tuple[tuple[int, int], tuple[Votes, ...]]]:
        """Number and votes of the recaps in force, old and new, at each level that has any."""
        names = ("reported", *self.contest.votes)
        now = inside.filter(pl.col("recap_revision").is_not_null() & ~pl.col("recap_withdrawn")).select(
            "level", pl.lit(1).alias("reported"), *(pl.col(f"recap_{name}").alias(name) for name in self.contest.votes)
        )
        steps = _at_levels(_sums(self.recaps, names), self.areas)
        new, step = (
            {row["level"]: row for row in frame.group_by("level").agg(pl.col(names).sum()).iter_rows(named=True)}
            for frame in (now, steps)
        )
        none = dict.fromkeys(names, 0)
        found = {}
        for level in new.keys() | step.keys():
            after, by = new.get(level, none), step.get(level, none)
            counts = (after["reported"] - by["reported"], after["reported"])
            found[level] = (counts, self._votes(after, by, counts))
        return found

    def _findings(self, steps: pl.DataFrame) -> tuple[Findings, ...]:
        """Findings that are new and those that are gone, by rule."""
        rules = [name for name in self.stations.columns if name.startswith("rule_")]
        every = pl.concat([self.stations, self.recaps], how="diagonal")
        by_row = every.group_by(KEY).agg((pl.col(name).cast(pl.Int32) * pl.col("sign")).sum() for name in rules)
        found = {
            name.removeprefix("rule_"): (int((by_row[name] > 0).sum()), int((by_row[name] < 0).sum())) for name in rules
        }
        if self.recaps.height or (steps["reported"] != 0).any():
            new = self.tally.findings.filter(pl.col("rule").is_in(AREA_RULES)).select("area", "rule")
            old = self._old_area_findings(steps).select("area", "rule")
            for rule in AREA_RULES:
                before, after = ({*frame.filter(pl.col("rule") == rule)["area"]} for frame in (old, new))
                found[rule] = (len(after - before), len(before - after))
        return tuple(Findings(rule, *counts) for rule, counts in sorted(found.items()) if any(counts))

    def _old_area_findings(self, steps: pl.DataFrame) -> pl.DataFrame:
        """Findings on areas themselves as the public has them."""
        known = self.current.filter(pl.col("recap") & (pl.col("package") <= self.packages))
        replaced = self.recaps.filter(pl.col("sign") < 0).select(known.columns)
        table = self.tally.areas.select("area", "reported").join(
            steps.select("area", pl.col("reported").alias("step")), on="area", how="left", maintain_order="left"
        )
        table = table.select("area", pl.col("reported") - pl.col("step").fill_null(0))
        return area_findings(table, pl.concat([known, replaced]), self.contest, self.areas)[1]

    def _named_leaders(self, leaders: pl.DataFrame) -> Iterator[Leader]:
        for area, old, new, is_recap in leaders.iter_rows():
            yield Leader(*self._place(area), "recap" if is_recap else "count", old, new)

    def _named_falls(self, falls: pl.DataFrame) -> Iterator[Fall]:
        for is_recap, area, station, figure, old, new in falls.iter_rows():
            code, name, _ = self._place(area)
            yield Fall(code, name, "recap" if is_recap else "count", station, figure, old, new)

    def _place(self, area: int) -> tuple[str, str, str]:
        areas = self.areas
        return areas.codes[area], areas.names[area], self.definition.election.levels[areas.levels[area]].id


def _sums(rows: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """New minus old by area of what rows that are in the sums add to them."""
    in_sums = pl.col("reported").cast(pl.Int64) * pl.col("sign")
    return rows.group_by("area").agg((pl.col(name).cast(pl.Int64).fill_null(0) * in_sums).sum() for name in names)


def _carried_up(steps: pl.DataFrame, areas: Areas) -> pl.DataFrame:
    """Differences by area, each with those of what lies beneath, a level at a time."""
    own = _at_levels(steps, areas)
    below, done = steps.clear(), []
    for level in range(max(areas.levels), -1, -1):
        up = below.with_columns(areas.table["parent"].gather(below["area"]).alias("area"))
        here = pl.concat([own.filter(pl.col("level") == level).drop("level"), up])
        below = here.group_by("area").agg(pl.all().sum())
        done.append(below)
    return pl.concat(done).sort("area")


def _at_levels(frame: pl.DataFrame, areas: Areas) -> pl.DataFrame:
    return frame.with_columns(areas.table["level"].gather(frame["area"]).alias("level"))


def _changed_leaders(area: pl.Series, before: pl.DataFrame, after: pl.DataFrame, contest: Contest) -> pl.DataFrame:
    """`area, old, new` where somebody led before and another one does, or nobody, after."""
    pairs = pl.DataFrame(
        [area, before.select(_leader(contest).alias("old"))["old"], after.select(_leader(contest).alias("new"))["new"]]
    )
    return pairs.filter(pl.col("old").is_not_null() & pl.col("old").ne_missing(pl.col("new")))


def _leader(contest: Contest) -> pl.Expr:
    """The candidate's number with the most votes, TIE for several, null where nobody has any."""
    most = pl.max_horizontal(contest.votes)
    leading = [pl.col(name) == most for name in contest.votes]
    number = pl.coalesce(
        pl.when(leads).then(pl.lit(one.number, dtype=pl.Int32))
        for leads, one in zip(leading, contest.candidates, strict=True)
    )
    several = pl.sum_horizontal(leads.cast(pl.Int32) for leads in leading) > 1
    return pl.when(most > 0).then(pl.when(several).then(pl.lit(TIE, dtype=pl.Int32)).otherwise(number))
