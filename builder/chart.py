"""The chart of a count's progress: candidates' votes as lines over time, and beneath them how many stations had reported.

A line is told three times, as tiles are: by the number at its end, by its dashes, by its colour. The same points stand beside the chart as a table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from builder.election import Contest
from builder.progress import thinned
from builder.tiles import COLOURS, colour
from builder.wording import Results, Wording

__all__ = ["Chart", "apart", "progress_chart"]

# What a page's budget bears; the results file has all candidates, and more points.
POINTS_SHOWN = 32
LINES_SHOWN = COLOURS
# The width is stretched to the page's; heights are CSS pixels.
WIDTH, HEIGHT, STRIP = 1000, 150, 30
LABEL = 15
_DASHES = ("none", "8 3", "2 3", "9 3 2 3")


class Line(NamedTuple):
    """A candidate's number, colour, dashes, points; how far down the line ends, and how far down its number stands."""

    number: int
    colour: int
    dashes: str
    points: str
    end: int
    label: int


@dataclass(frozen=True)
class Chart:
    """All of it in words, its period in words, votes at the upper edge, lines, the strip's points and words; releases at both ends; the table's heads and rows."""

    summary: str
    period: str
    most: str
    lines: list[Line]
    strip: str
    stations: str
    first: int
    last: int
    heads: list[str]
    rows: list[tuple[int, list[str]]]


def progress_chart(results: Results, contest: Contest, wording: Wording) -> Chart | None:
    """The chart for the page of an area; None where its results have no `progress`."""
    if "progress" not in results:
        return None
    words, figure = wording.words, wording.figure
    points = thinned(results["progress"]["rows"], POINTS_SHOWN)
    codes = [*(parent["code"] for parent in results["parents"]), results["area"]["code"]]
    times = [wording.time(point[1], codes) for point in points]
    places = _leading(points[-1][3:])
    reported = [point[2] for point in points]
    votes = [[point[3 + place] for point in points] for place in places]
    heads = [words["candidate_head"].format(number=contest.candidates[place].number) for place in places]
    labels = [words["stations_reported"].format(station=wording.station), *heads]
    steps = [
        words["progress_step"].format(what=label, before=figure(column[0]), after=figure(column[-1]))
        for label, column in zip(labels, [reported, *votes], strict=True)
    ]
    period = words["progress_period"].format(first=times[0], last=times[-1])
    leading = words["progress_leading"].format(count=len(places)) if len(places) < len(contest.candidates) else ""
    expected, across = results["stations"]["expected"], _across([point[1] for point in points])
    most = max(vote or 0 for column in votes for vote in column)
    return Chart(
        summary=f"{period} {words['comma'].join(steps)}.",
        period=f"{period} {leading}".strip(),
        most=figure(most),
        lines=_lines(contest, places, votes, across, most),
        strip=f"0,{STRIP} {_points(across, reported, max(expected, *reported), STRIP)} {WIDTH},{STRIP}",
        stations=words["part_of"].format(part=figure(reported[-1]), whole=figure(expected)),
        first=points[0][0],
        last=points[-1][0],
        heads=heads,
        rows=[
            (point[0], [*map(figure, column), time])
            for point, time, column in zip(points, times, zip(reported, *votes, strict=True), strict=True)
        ],
    )


def _leading(votes: Sequence[int | None]) -> list[int]:
    """Places of those with most votes, in the order of the ballot."""
    order = sorted(range(len(votes)), key=lambda place: (-(votes[place] or 0), place))
    return sorted(order[:LINES_SHOWN])


def _lines(
    contest: Contest, places: Sequence[int], votes: Sequence[Sequence[int | None]], across: Sequence[int], most: int
) -> list[Line]:
    ends = [_down(column[-1], most, HEIGHT) for column in votes]
    return [
        Line(
            contest.candidates[place].number,
            colour(place),
            _DASHES[place % len(_DASHES)],
            _points(across, column, most, HEIGHT),
            end,
            label,
        )
        for place, column, end, label in zip(places, votes, ends, apart(ends), strict=True)
    ]


def _across(times: Sequence[str]) -> list[int]:
    """Where UTC times stand between the first and the last of them."""
    seconds = [int(datetime.fromisoformat(time).timestamp()) for time in times]
    span = max(seconds[-1] - seconds[0], 1)
    return [(one - seconds[0]) * WIDTH // span for one in seconds]


def _down(figure: int | None, most: int, height: int) -> int:
    return height - (figure or 0) * height // max(most, 1)


def _points(across: Sequence[int], figures: Sequence[int | None], most: int, height: int) -> str:
    return " ".join(f"{x},{_down(figure, most, height)}" for x, figure in zip(across, figures, strict=True))


def apart(ends: Sequence[int]) -> list[int]:
    """Where numbers beside lines' ends stand, so that none covers another, and none leaves the chart."""
    order = sorted(range(len(ends)), key=lambda place: (ends[place], place))
    found, edge = list(ends), HEIGHT
    for place in reversed(order):
        found[place] = min(found[place], edge)
        edge = found[place] - LABEL
    edge = 0
    for place in order:
        found[place] = max(found[place], edge)
        edge = found[place] + LABEL
    return found
