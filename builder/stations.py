"""The polling stations of a village's page: each is a line that opens to its whole form, its scans, findings and history.

A nation has 800,000 of them. So a station of which there is nothing more to say is rendered once for a contest, by the templates, with a
mark for each figure; others of its kind are that with their own figures put in, which are strings of our own digits.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from markupsafe import Markup, escape

from builder.election import Contest
from builder.recap import ORDER_SUFFIX
from builder.templates import Templates
from builder.thumbnails import SUFFIX
from builder.tiles import colour
from builder.wording import HASH_SHOWN, Results, Wording

__all__ = ["StationRows", "Withheld"]

# With more candidates than this a line has the sums alone.
_IN_LINE = 4
_MARK = "%s"
# Package and hash of a scan: the order that withholds it, and the first release that tells so.
Withheld = Mapping[tuple[str, str], tuple[str, int]]
# A scan as (href, name, size, hash, False, href of its thumbnail or ""); of one that is withheld, the href is its order's, the flag is True, and there is no thumbnail.
Scan = tuple[str, str, str, str, bool, str]


class _More(NamedTuple):
    """What few stations have: scans, findings as sentences, revisions (place in the history, title, reason)."""

    scans: list[Scan]
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
        self._plain = str(templates.part("station", "", _MARK, Markup(self._line), Markup(self._form), "", None))  # noqa: S704  # rendered with autoescape
        # Places in a station's number and cells: of what its line shows, and of all that the whole of it shows.
        places = [1 + figures.index(name) for name in shown]
        self._of_line = (
            itemgetter(*places) if len(places) > 1 else lambda cells: tuple(cells[place] for place in places)
        )
        self._of_whole = itemgetter(0, *places, *range(len(figures) + 1))

    def rows(self, results: Results, root: str, withheld: Withheld) -> list[tuple[Markup, tuple[Any, ...] | None]]:
        """Plain stations ready to show, and the one after them of which there is more to say: (state, number, line, form, note, more or None)."""
        figure, note, of_whole, plain = self._wording.figure, self._wording.station_note, self._of_whole, self._plain
        more = self._more(results, root, withheld)
        rows: list[tuple[Markup, tuple[Any, ...] | None]] = []
        ready: list[str] = []
        for station, revision, state, *figures, findings in results["polling_stations"]["rows"]:
            cells = (station if station.isalnum() else escape(station), *map(figure, figures))
            told = note(state, revision, findings)
            if not (state or told or station in more or station[0].isalpha()):
                ready.append(plain % of_whole(cells))
                continue
            line, form = Markup(self._line % self._of_line(cells)), Markup(self._form % cells[1:])  # noqa: S704  # rendered with autoescape; our own digits go in
            rows.append((Markup("".join(ready)), (state, station, line, form, told, more.get(station))))  # noqa: S704
            ready = []
        return [*rows, (Markup("".join(ready)), None)] if ready else rows  # noqa: S704

    def scans(self, results: Results, root: str, withheld: Withheld, station: str = "") -> list[Scan]:
        """Scans of one station's form, or of the area's own."""
        found = []
        for one in results.get("scans", ()):
            if one["station"] != station:
                continue
            package, file, thumbnail = one["package"], one["file"], one.get("thumbnail")
            order, _ = withheld.get((package, one["sha256"]), ("", 0))
            folder = f"{root}packages/{package}/"
            hidden = order or not thumbnail or (package, thumbnail) in withheld
            # The page is checked, and what is shown within it has to be: by this hash, wherever a checker stands before the page.
            small = "" if hidden else f"{folder}{file}{SUFFIX}?sha256={thumbnail}"
            size, sha256 = self._wording.size(one["length"]), one["sha256"][:HASH_SHOWN]
            found.append(
                (
                    f"{folder}{order}{ORDER_SUFFIX}" if order else f"{folder}{file}",
                    file,
                    size,
                    sha256,
                    bool(order),
                    small,
                )
            )
        return found

    def _more(self, results: Results, root: str, withheld: Withheld) -> dict[str, _More]:
        found: defaultdict[str, _More] = defaultdict(lambda: _More([], [], []))
        for station in dict.fromkeys(one["station"] for one in results.get("scans", ())):
            found[station].scans.extend(self.scans(results, root, withheld, station))
        for finding in results["findings"]:
            found[finding["station"]].findings.append(self._wording.finding(finding))
        titles = self._wording.revision_titles(results["revisions"])
        for place, (revision, title) in enumerate(zip(results["revisions"], titles, strict=True), 1):
            told = (place, title, self._wording.reason(revision))
            found[revision["station"]].revisions.append(told)
        return found
