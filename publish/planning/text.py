"""A plan in plain text: columns that line up, differences with their sign. What strangers wrote is printed by the caller."""

from collections.abc import Iterator, Sequence

from publish.planning.changes import TIE, Changes, ContestChanges, Leader, Votes
from publish.planning.estimate import Load
from publish.planning.plan import ReleasePlan
from verifier.printable import counted

__all__ = ["changes_lines", "plan_lines"]

LISTED = 20
NONE = "-"


def plan_lines(plan: ReleasePlan) -> Iterator[str]:
    """The whole plan, lists cut at LISTED."""
    yield from changes_lines(plan.changes, LISTED)
    yield ""
    if not plan.targets:
        yield f"Nothing would change: release {plan.basis.release} is public."
    for name, load in plan.targets.items():
        yield f"{name}: {_load_text(load)}"
    for problem in plan.unreached.values():
        yield f"not reached: {problem}"


def changes_lines(changes: Changes, listed: int) -> Iterator[str]:
    """What changes in votes; leaders and falling figures up to `listed` of them."""
    since = f"since release {changes.since}" if changes.since else "what is public is not known"
    new = (
        f"{counted(changes.packages, 'package')} with {counted(changes.rows, 'row')}"
        if changes.packages
        else "No new package"
    )
    yield f"{new}; {'nothing is public yet' if changes.first else since}"
    for contest in changes.contests:
        if any(level.touched for level in contest.levels):
            yield from _contest_lines(contest, listed)
    if changes.reasons:
        yield "rows revised: " + ", ".join(f"{reason} {count}" for reason, count in sorted(changes.reasons.items()))


def _contest_lines(contest: ContestChanges, listed: int) -> Iterator[str]:
    yield ""
    yield f"{contest.title} ({contest.contest})"
    rows = [("", "old", "new", "difference"), _row("stations reported", *contest.stations)]
    rows += _vote_rows(contest, contest.votes)
    yield from _table(rows)
    rows = [("level", "areas touched", "of", "leaders changed")]
    rows += [
        (level.level, _number(level.touched), _number(level.areas), _number(level.leaders)) for level in contest.levels
    ]
    yield from _table(rows)
    for level in contest.levels:
        if level.handed_in and any(votes.old != votes.new for votes in level.recap):
            rows = [(f"recaps of {level.level}", "old", "new", "difference"), _row("handed in", *level.handed_in)]
            yield from _table(rows + _vote_rows(contest, level.recap))
    if contest.leaders:
        yield f"  leader changes: {_number(contest.leaders_count)}"
        for leader in contest.leaders[:listed]:
            yield f"    {_leader_text(leader, contest)}"
        yield from _more(contest.leaders_count, listed)
    if contest.falls:
        figures = {f"votes_{number}": _who(number, contest) for number in contest.candidates}
        yield f"  figures that fall: {_number(contest.falls_count)}"
        for fall in contest.falls[:listed]:
            place = (
                f"{fall.area} {fall.name}, station {fall.station}"
                if fall.station
                else f"{fall.area} {fall.name}, recap"
            )
            yield f"    {place}: {figures.get(fall.figure, fall.figure)} {_number(fall.old)} -> {_number(fall.new)}"
        yield from _more(contest.falls_count, listed)
    for finding in contest.findings:
        yield f"  findings {finding.rule}: +{finding.added} -{finding.cleared}"


def _vote_rows(contest: ContestChanges, votes: Sequence[Votes]) -> list[tuple[str, ...]]:
    return [_row(f"{one.number} {contest.candidates[one.number]}", one.old, one.new) for one in votes]


def _row(label: str, old: int | None, new: int | None) -> tuple[str, ...]:
    step = (new or 0) - (old or 0)
    return label, _number(old), _number(new), f"{step:+,}" if step else "0"


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        yield f"  {first.ljust(widths[0])}  {'  '.join(cells)}"


def _leader_text(leader: Leader, contest: ContestChanges) -> str:
    series = ", recap" if leader.series == "recap" else ""
    old, new = (_who(number, contest) for number in (leader.old, leader.new))
    return f"{leader.level} {leader.area} {leader.name}{series}: {old} -> {new}"


def _who(number: int | None, contest: ContestChanges) -> str:
    if number is None:
        return NONE
    return "a tie" if number == TIE else f"{number} {contest.candidates[number]}"


def _more(count: int, listed: int) -> Iterator[str]:
    if count > listed:
        yield f"    and {_number(count - listed)} more"


def _number(value: int | None) -> str:
    return NONE if value is None else f"{value:,}"


def _load_text(load: Load) -> str:
    parts = [
        f"{_number(load.files)} files changed",
        f"about {load.bytes / 1_000_000:,.1f} MB",
        f"{_number(load.puts)} PUT, {_number(load.gets)} GET",
    ]
    if load.purges:
        parts.append(f"{_number(load.purges)} paths or requests to purge its CDN")
    if load.gone:
        parts.append(f"{_number(load.gone)} aliases of what is gone")
    if load.cost is not None and load.cost_month is not None:
        parts.append(
            f"estimated {load.currency} {load.cost:,.4f} for the requests and {load.cost_month:,.4f} a month for keeping it"
        )
    return "; ".join(parts)
