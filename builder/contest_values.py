"""What the pages of one contest show of results, in one language, as ready strings and rows.

Whatever is the same on every page of the contest is worked out once, since a nation has 90,000 pages.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise, repeat
from typing import Any

from builder.election import Contest, Election
from builder.figures import bar_width, signed
from builder.station_pages import further_hrefs
from builder.stations import StationRows
from builder.templates import Templates, as_ascii
from builder.tiles import colour
from builder.wording import Results, Wording

__all__ = ["ContestValues", "leading"]

Row = Sequence[Any]


def leading(votes: Sequence[int | None], most: int) -> list[int]:
    """Places of all candidates in their order; of the leading ones, these first, where there are more than `most`."""
    places = sorted(range(len(votes)), key=lambda place: (-(votes[place] or 0), place))
    return places[:most] if len(votes) > most else sorted(places)


class ContestValues:
    """One contest's words and figures. `labels` names each column of figures; `stations` are a village's rows."""

    def __init__(self, contest: Contest, election: Election, wording: Wording, templates: Templates) -> None:
        self.contest, self._wording, words = contest, wording, wording.words
        parties = {party.id: party.name for party in election.parties}
        names = tuple(
            (
                c.number,
                c.name,
                parties[c.party] if c.party else None,
                colour(place),
                words["candidate_head"].format(number=c.number),
            )
            for place, c in enumerate(contest.candidates)
        )
        vote_labels = [as_ascii(words["candidate"].format(number=number, name=name)) for number, name, *_ in names]
        fields = tuple(wording.field(field) for field in contest.fields)
        labels = dict(zip(contest.figures, [*vote_labels, *fields], strict=True))
        votes, count = len(names), len(contest.figures)
        sums = [place for place, name in enumerate(contest.figures) if name == "invalid"]
        recaps = tuple(range(count, count + votes))
        places = {True: (*range(votes), *recaps, *sums), False: (*range(votes), *sums)}
        heads = [head for *_, head in names]
        every = [*heads, *fields, *(words["recap_of"].format(number=number) for number, *_ in names)]
        reported = words["stations_reported"].format(station=wording.station)
        children_heads = {
            (level, kind, has_recaps): templates.part(
                "children_thead",
                wording.level(below, kind) or wording.texts["data"]["area"],
                [*(every[place] for place in shown), reported, words["findings"]],
            )
            for level, below in pairwise(wording.levels)
            for kind in election.kinds
            for has_recaps, shown in places.items()
        }
        self.labels = labels
        self.stations = StationRows(contest, [*vote_labels, *fields], templates, wording)
        self._shown = [(number, as_ascii(name), party and as_ascii(party)) for number, name, party, *_ in names]
        self._names, self._fields, self._child_places, self._children_heads = names, fields, places, children_heads

    def first_screen(self, results: Results) -> dict[str, Any]:
        """What a reader came for: status, votes in both series, stations in, turnout, invalid votes."""
        wording, figure, stations = self._wording, self._wording.figure, results["stations"]
        count, recap, below = results["count"], results["recap"], results["below"]
        bars, main, heads, rows = self.votes(results)
        invalid, registered, voters = (self._field(main, name) for name in ("invalid", "registered", "voters"))
        valid = sum(vote or 0 for vote in main["votes"])
        second, nothing = recap or below, wording.words["no_figure"]
        second_fields = map(figure, second["fields"]) if second else repeat(figure(None))
        return {
            "count_status": wording.status(count),
            "recap_status": wording.status(recap),
            "recap_note": wording.recap_note(recap, below),
            "comparison": wording.comparison(results, self.contest),
            "bars": bars,
            "heads": heads,
            "rows": [(*shown, *row[3:]) for shown, row in zip(self._shown, rows, strict=True)],
            "reported": figure(stations["reported"]),
            "expected": figure(stations["expected"]),
            "reported_share": wording.share(stations["reported"], stations["expected"]),
            "listed": "" if stations["listed"] == stations["expected"] else figure(stations["listed"]),
            "withdrawn": stations["withdrawn"] and figure(stations["withdrawn"]),
            "invalid": figure(invalid),
            "invalid_share": wording.share(invalid, valid + (invalid or 0))
            if valid
            else nothing
            if invalid is None
            else "",
            "turnout": wording.share(voters, registered) or wording.words["none"],
            "voters": nothing
            if voters is None or registered is None
            else wording.words["part_of"].format(part=figure(voters), whole=figure(registered)),
            "second_series": wording.words["series_below" if below and not recap else "series_recap"],
            "figure_rows": list(zip(self._fields, map(figure, count["fields"]), second_fields, strict=False)),
        }

    def votes(self, results: Results) -> tuple[str, Mapping[str, Any], list[str], list[tuple[Any, ...]]]:
        """The series that the bars show, by name and as such; heads (none while there is no recap to hold against the count) and rows of the table: count, recap, the recaps below, difference."""
        words, figure, share = self._wording.words, self._wording.figure, self._wording.share
        count, recap, below, difference = (results[key] for key in ("count", "recap", "below", "difference"))
        shown = [(words["series_count"], count)]
        if recap or not below:
            shown.append((words["series_recap"], recap))
        if below:
            part, whole = figure(below["handed_in"]), figure(below["expected"])
            shown.append((words["series_below_of"].format(handed_in=part, expected=whole), below))
        columns = [series["votes"] if series else [None] * len(count["votes"]) for _, series in shown]
        totals = [sum(vote or 0 for vote in column) for column in columns]
        first = next((place for place, total in enumerate(totals) if total), 0)
        steps = difference or [None] * len(count["votes"])
        rows = []
        for name, votes, step in zip(self._names, zip(*columns, strict=True), steps, strict=True):
            cells = [(figure(vote), share(vote, total)) for vote, total in zip(votes, totals, strict=True)]
            cells.append((figure(None) if step is None else signed(step, self._wording.figures), ""))
            main, total = votes[first], totals[first]
            told = words["no_votes"] if main is None else words["votes"].format(votes=figure(main))
            rows.append((*name, told, bar_width(main, total), cells[first][1], cells))
        heads = [*(head for head, _ in shown), words["difference"]] if recap or below else []
        return shown[first][0], shown[first][1] or count, heads, rows

    def findings(self, results: Results) -> dict[str, Any]:
        """The area's own findings as sentences, its stations' by rule, and how many there are beneath by rule."""
        wording, counts, by_rule = self._wording, results["finding_counts"], dict[str, list[str]]()
        for finding in results["findings"]:
            if finding["station"]:
                by_rule.setdefault(finding["rule"], []).append(finding["station"])
        further = further_hrefs(results) if by_rule else {}
        return {
            "findings_total": counts and wording.figure(sum(counts.values())),
            "finding_sentences": [wording.finding(one) for one in results["findings"] if not one["station"]],
            "station_findings": [
                (wording.rule(rule), [(further.get(one, ""), one) for one in dict.fromkeys(some)])
                for rule, some in by_rule.items()
            ],
            "finding_counts": wording.finding_counts(counts) if results["children"]["rows"] else (),
        }

    def children(self, rows: Sequence[Row], up: str, area: Mapping[str, str]) -> dict[str, Any]:
        """The table of the areas below `area`, and its head."""
        if not rows:
            return {"child_rows": (), "children_head": ""}
        figure, part_of = self._wording.figure, self._wording.words["part_of"]
        has_recaps = any(row[-2] is not None for row in rows)
        places = self._child_places[has_recaps]
        shown = []
        for row in rows:
            _, name, path, expected, reported, *figures, findings = row
            cells = [figure(figures[place]) for place in places]
            cells += [part_of.format(part=figure(reported), whole=figure(expected)), figure(findings)]
            shown.append((f"{up}{path}.html", name, cells))
        return {"child_rows": shown, "children_head": self._children_heads[area["level"], area["kind"], has_recaps]}

    def parents(self, results: Results) -> list[Mapping[str, Any]]:
        """The areas above that the contest covers: only these have a page in it."""
        parents: list[Mapping[str, Any]] = results["parents"]
        codes = [parent["code"] for parent in parents]
        if self.contest.area is None:
            return parents
        return parents[codes.index(area) :] if (area := self.contest.area) in codes else []

    def _field(self, series: Mapping[str, Any], name: str) -> int | None:
        """One ballot count of a series; None where the form has none of that name."""
        fields = self.contest.fields
        figure: int | None = series["fields"][fields.index(name)] if name in fields else None
        return figure
