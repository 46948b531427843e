"""The polling stations of a village's page: each is a line that opens to its whole form, its scans, findings and history.

A nation has 800,000 of them. So the shape of a line and of a form is rendered once for a contest, by the templates, with a
mark for each figure; a station's own is that shape with its figures put in, which are strings of our own digits.
"""

from collections import defaultdict
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from markupsafe import Markup

from builder.election import Contest
from builder.templates import Templates
from builder.tiles import colour
from builder.wording import HASH_SHOWN, Results, Wording

__all__ = ["StationRows"]

# With more candidates than this a line has the sums alone.
_IN_LINE = 4
_MARK = "%s"


class _More(NamedTuple):
    """What few stations have: scans (href, name, size, hash), findings as sentences, revisions (place in the history, title, reason)."""

    scans: list[tuple[str, str, str, str]]
    findings: list[str]
    revisions: list[tuple[int, str, str]]


class StationRows:
    """Stations of one contest in one language."""

    def __init__(self, contest: Contest, labels: Sequence[str], templates: Templates, wording: Wording) -> None:
        self._wording = wording
        figures = contest.figures
        short = [(str(one.number), f"votes_{one.number}", place) for place, one in enumerate(contest.candidates)]
        if len(short) > _IN_LINE:
            short = []
        sums = [name for name in (("invalid",) if short else ("valid", "invalid")) if name in figures]
        shown = [*(name for _, name, _ in short), *sums]
        line = templates.part(
            "station_line",
            [(number, colour(place)) for number, _, place in short],
            [wording.words[f"line_{one}"] for one in sums],
            _MARK,
        )
        self._line = str(line)
        self._form = str(templates.part("station_form", [label.replace("%", "%%") for label in labels], _MARK))
        places = [figures.index(name) for name in shown]
        self._pick = itemgetter(*places) if len(places) > 1 else lambda cells: tuple(cells[place] for place in places)

    def rows(self, results: Results, root: str) -> list[tuple[Any, ...]]:
        """(state, number, line, form, note, more) of each station; `more` is None for most."""
        figure, note, pick = self._wording.figure, self._wording.station_note, self._pick
        line, form, more = self._line, self._form, self._more(results, root)
        rows = []
        for station, revision, state, *figures, findings in results["polling_stations"]["rows"]:
            cells = tuple(map(figure, figures))
            rows.append(
                (
                    state, station, Markup(line % pick(cells)), Markup(form % cells),  # noqa: S704  # rendered with autoescape; our own digits go in
                    note(state, revision, findings), more.get(station),
                )
            )  # fmt: skip
        return rows

    def scans(self, results: Results, root: str, station: str = "") -> list[tuple[str, str, str, str]]:
        """Scans of one station's form, or of the area's own, as (href, name, size, hash)."""
        return [
            (
                f"{root}packages/{one['package']}/{one['file']}",
                one["file"],
                self._wording.size(one["length"]),
                one["sha256"][:HASH_SHOWN],
            )
            for one in results.get("scans", ())
            if one["station"] == station
        ]

    def _more(self, results: Results, root: str) -> dict[str, _More]:
        found: defaultdict[str, _More] = defaultdict(lambda: _More([], [], []))
        for station in dict.fromkeys(one["station"] for one in results.get("scans", ())):
            found[station].scans.extend(self.scans(results, root, station))
        for finding in results["findings"]:
            found[finding["station"]].findings.append(self._wording.finding(finding))
        for place, revision in enumerate(results["revisions"], 1):
            told = (place, self._wording.revision_title(revision), self._wording.reason(revision))
            found[revision["station"]].revisions.append(told)
        return found
