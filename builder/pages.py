"""HTML pages: a results file, the front page, a content page, the portal. Pure: same values, same bytes.

Templates only place ready strings. Whatever is the same on every page of a contest is worked out once, since a nation
has 90,000 pages; rows reach the templates as tuples to be unpacked: an attribute lookup costs more than its cell.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import groupby, pairwise, repeat
from operator import attrgetter
from pathlib import Path
from typing import Any

from markupsafe import Markup

from builder.content import ContentPage
from builder.election import Contest, Election
from builder.figures import Figures, bar_width, local_time, share, signed
from builder.templates import FastTemplates, Templates, Texts, read_templates, read_texts

__all__ = ["GONE_DATA", "GONE_PAGES", "Pages"]

Results = Mapping[str, Any]
Row = Sequence[Any]

_DIRECTION_MARKS = dict.fromkeys([0x200E, 0x200F, 0x061C, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
_HASH_SHOWN = 12
_GUIDE = "periksa.html"
# What stands in the place of a page that is gone, by the depth of that page; and of its data.
GONE_PAGES = ("gone.html", "gone-1.html", "gone-2.html")
GONE_DATA = "gone.json"


@dataclass(frozen=True)
class _ContestPages:
    """What all pages of one contest share. `labels` names each column of figures; `values` go to every template."""

    names: tuple[tuple[int, str, str | None], ...]
    labels: Mapping[str, str]
    fields: tuple[str, ...]
    invalid: int | None
    children_heads: Mapping[str, Markup]
    title_end: str
    values: Mapping[str, Any]


class Pages:
    """Renders the pages of one election.

    `templates` maps a template's POSIX path to its text, or is the folder that holds them. Every method returns UTF-8
    and raises `ContentError`, with the template's file and line, for a template that is broken.
    """

    def __init__(self, templates: Mapping[str, str] | Path, election: Election) -> None:
        self._election = election
        self._sources = read_templates(templates) if isinstance(templates, Path) else templates
        self._texts: Texts = read_texts(self._sources, "id")
        words = self._texts["page"] | self._constants("id")
        self._templates = Templates(self._sources, "id", words)
        self._area_templates = FastTemplates(self._sources, "id", words)
        self._words: Mapping[str, str] = self._texts["values"]
        self._figures = Figures(self._words["none"])
        self._levels = {level.id: level.title.id for level in election.levels}
        self._frame = {
            "test": election.test,
            "contact": election.contact,
        }
        self._note: Callable[[str, int | None, str], str] = lru_cache(maxsize=65_536)(self._station_note)
        self._time: Callable[[str], str] = lru_cache(maxsize=4_096)(
            partial(local_time, zone=election.time_zones[0], months=self._texts["calendar"]["months"])
        )
        self._content_templates = lru_cache(maxsize=None)(self._templates_in)
        self._contests = {contest.id: self._contest_pages(contest) for contest in election.contests}

    def area_page(self, results: Results) -> bytes:
        """The page of one results file: docs/formats.md, "Results", before encoding, its tables' rows as sequences."""
        shared = self._contests[results["contest"]]
        area, path, count, recap, below = (results[key] for key in ("area", "path", "count", "recap", "below"))
        up = "../" * path.count("/")
        file = path[path.rindex("/") + 1 :]
        figure = self._figures.__getitem__
        second = recap or below
        second_fields = map(figure, second["fields"]) if second else repeat(figure(None))
        stations = results["stations"]
        title = self._words["area_title"].format(level=self._levels[area["level"]], area=area["name"])
        heads, rows = self._votes(results)
        children = results["children"]["rows"]
        values = {
            **shared.values,
            "up": up,
            "head_title": f"{_plain(title)}{shared.title_end}",
            "file": file,
            "title": title,
            "name": area["name"],
            "parents": [(f"{up}{parent['path']}.html", parent["name"]) for parent in results["parents"]],
            "reported": figure(stations["reported"]),
            "expected": figure(stations["expected"]),
            "listed": "" if stations["listed"] == stations["expected"] else figure(stations["listed"]),
            "withdrawn": stations["withdrawn"] and figure(stations["withdrawn"]),
            "invalid": figure(None if shared.invalid is None else count["fields"][shared.invalid]),
            "release": results["release"],
            "released": results["released"],
            "released_local": self._time(results["released"]),
            "count_status": self._status(count),
            "recap_status": self._status(recap),
            "recap_note": self._recap_note(recap, below),
            "heads": heads,
            "rows": rows,
            "second_series": self._words["series_below" if below and not recap else "series_recap"],
            "figure_rows": list(zip(shared.fields, map(figure, count["fields"]), second_fields, strict=False)),
            "finding_sentences": self._finding_sentences(results["findings"]),
            "finding_counts": self._finding_counts(results["finding_counts"]) if children else (),
            "child_rows": self._children(children, up, len(shared.names)),
            "children_head": shared.children_heads[area["level"]],
            "station_rows": self._stations(results["polling_stations"]["rows"]),
            "revision_rows": [self._revision(revision, shared, up) for revision in results["revisions"]],
            "source_rows": self._sources_of(results, up),
            "check_command": self._words["check_command"].format(file=file),
        }
        return self._area_templates.render("area.html", values).encode()

    def index_page(
        self,
        release: int,
        released: str,
        contests: Iterable[tuple[Contest, Results]],
        content: Iterable[ContentPage] = (),
    ) -> bytes:
        """The front page: release and its UTC time, each contest with the results of its own area, links to content."""
        content = list(content)
        values = {
            **self._frame,
            "up": "",
            "head_title": self._election.title.id,
            "date": self._date(self._election),
            "release": release,
            "released": released,
            "released_local": self._time(released),
            "contests": [self._index_contest(contest, results) for contest, results in contests],
            "content": self._content_links(content),
            "guide": next((page.path for page in content if page.path == _GUIDE), None),
        }
        return self._templates.render("index.html", values).encode()

    def content_page(self, slug: str, language: str, html: str, title: str) -> bytes:
        """A Markdown page; `html` must come from `builder.content`, which sanitises it."""
        templates, election = self._content_templates(language)
        values = {
            **self._frame,
            "up": "" if language == "id" else "../",
            "head_title": _plain(f"{title} – {election}"),
            "title": title,
            "html": Markup(html),  # noqa: S704  # nh3 has cleaned it
        }
        return templates.render("page.html", values).encode()

    def gone_page(self, depth: int) -> bytes:
        """What stands at the path of a page that no release has any more, `depth` folders beneath the election's."""
        values = {**self._frame, "up": "../" * depth, "head_title": self._texts["page"]["gone"]}
        return self._templates.render("gone.html", values).encode()

    def portal_page(self, elections: Sequence[Election]) -> bytes:
        """The page above the elections' folders, newest first; it takes its style sheet from the first one's."""
        newest = sorted(elections, key=lambda election: (election.date, election.id), reverse=True)
        values = {
            "test": False,
            "contact": None,
            "up": f"{newest[0].id}/" if newest else "",
            "head_title": self._texts["page"]["elections"],
            "elections": [(f"{e.id}/index.html", e.title.id, self._date(e), e.test) for e in newest],
        }
        return self._templates.render("portal.html", values).encode()

    def _contest_pages(self, contest: Contest) -> _ContestPages:
        parties = {party.id: party.name for party in self._election.parties}
        names = tuple((c.number, c.name, parties[c.party] if c.party else None) for c in contest.candidates)
        candidate, recap_of = self._words["candidate"], self._words["recap_of"]
        vote_labels = [candidate.format(number=number, name=name) for number, name, _ in names]
        fields = tuple(self._field_label(field) for field in contest.fields)
        station = self._election.station_title.id
        reported = self._words["stations_reported"].format(station=station)
        recaps = [recap_of.format(number=number) for number, _, _ in names]
        child_heads = [reported, *vote_labels, *recaps, *fields, self._words["findings"]]
        levels = list(self._levels)
        children_heads = {
            level: self._templates.part("children_thead", self._levels[below], child_heads)
            for level, below in pairwise(levels)
        }
        stations_head = self._templates.part("stations_thead", [*vote_labels, *fields])
        return _ContestPages(
            names=names,
            labels=dict(zip(contest.figures, [*vote_labels, *fields], strict=True)),
            fields=fields,
            invalid=contest.fields.index("invalid") if "invalid" in contest.fields else None,
            children_heads={**children_heads, levels[-1]: Markup()},
            title_end=_plain(f" – {contest.title.id} – {self._election.title.id}"),
            values={**self._frame, "contest": contest.title.id, "stations_head": stations_head},
        )

    def _templates_in(self, language: str) -> tuple[Templates, str]:
        """Templates for content pages, whose texts need not cover the results' components, and the election's title."""
        words = read_texts(self._sources, language)["page"] | self._constants(language)
        return Templates(self._sources, language, words, components=False), words["election_title"]

    def _constants(self, language: str) -> dict[str, str]:
        """Words that the election adds to the texts: they too are put in when a template is compiled."""
        english = language == "en"
        title, station = self._election.title, self._election.station_title
        return {
            "election_title": title.en if english else title.id,
            "station": station.en if english else station.id,
            "language": language,
        }

    def _field_label(self, field: str) -> str:
        labels: Mapping[str, str] = self._texts["fields"]
        sexes: Mapping[str, str] = self._texts["sexes"]
        base, _, sex = field.rpartition("_")
        return sexes[sex].format(field=labels[base]) if sex in sexes else labels[field]

    def _status(self, series: Mapping[str, Any] | None) -> tuple[str, str]:
        """A series' status as shape and words."""
        if series is None:
            return self._texts["shapes"]["pre-election"], self._words["no_recap_short"]
        return self._texts["shapes"][series["status"]], self._texts["statuses"][series["status"]]

    def _recap_note(self, recap: Mapping[str, Any] | None, below: Mapping[str, Any] | None) -> str:
        if recap:
            return self._words["recap_withdrawn"] if recap["withdrawn"] else ""
        if below:
            handed_in, expected = below["handed_in"], below["expected"]
            note = self._words["no_recap_below"].format(
                handed_in=self._figures[handed_in], expected=self._figures[expected]
            )
            return note if handed_in == expected else f"{note} {self._words['difference_waits']}"
        return self._words["no_recap"]

    def _votes(self, results: Results) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Heads and rows of the table of candidates: count, recap, the sum of the recaps below, difference."""
        words, figure = self._words, self._figures.__getitem__
        count, recap, below, difference = (results[key] for key in ("count", "recap", "below", "difference"))
        heads, series = [words["series_count"]], [count["votes"]]
        if recap or not below:
            heads.append(words["series_recap"])
            series.append(recap["votes"] if recap else None)
        if below:
            part, whole = figure(below["handed_in"]), figure(below["expected"])
            heads.append(words["series_below_of"].format(handed_in=part, expected=whole))
            series.append(below["votes"])
        heads.append(words["difference"])
        totals = [sum(vote or 0 for vote in votes) if votes else 0 for votes in series]
        rows = []
        for place, (number, name, party) in enumerate(self._contests[results["contest"]].names):
            votes = [one[place] if one else None for one in series]
            cells = [
                (figure(vote), share(vote, total) if vote is not None else "")
                for vote, total in zip(votes, totals, strict=True)
            ]
            step = difference[place] if difference else None
            cells.append((figure(None) if step is None else signed(step), ""))
            rows.append((number, name, party, bar_width(votes[0] or 0, totals[0]), cells))
        return heads, rows

    def _children(self, rows: Sequence[Row], up: str, votes: int) -> list[tuple[str, str, list[str]]]:
        figure, part_of = self._figures.__getitem__, self._words["part_of"]
        shown = []
        for row in rows:
            _, name, path, expected, reported, *figures, findings = row
            split = len(figures) - votes
            cells = [part_of.format(part=figure(reported), whole=figure(expected))]
            cells += map(figure, (*figures[:votes], *figures[split:], *figures[votes:split], findings))
            shown.append((f"{up}{path}.html", name, cells))
        return shown

    def _stations(self, rows: Sequence[Row]) -> list[tuple[str, str, list[str], str]]:
        figure, note = self._figures.__getitem__, self._note
        return [
            (state, station, [*map(figure, figures)], note(state, revision, findings))
            for station, revision, state, *figures, findings in rows
        ]

    def _station_note(self, state: str, revision: int | None, findings: str) -> str:
        """What stands beside a station: its state in words, its revision if it has been changed, its findings."""
        rules = self._texts["rules"]
        parts = [self._words[state]] if state else []
        if revision is not None and revision > 1:
            parts.append(self._words["revised"].format(revision=revision))
        parts += [rules[code]["label"] if code in rules else code for code in findings.split()]
        return "; ".join(parts)

    def _finding_sentences(self, findings: Sequence[Mapping[str, Any]]) -> list[str]:
        words, rules, figure = self._words, self._texts["rules"], self._figures.__getitem__
        sentences = []
        for finding in findings:
            code, left, right = finding["rule"], figure(finding["left"]), figure(finding["right"])
            sentence = rules[code]["sentence"] if code in rules else words["unknown_rule"]
            text = sentence.format(rule=code, left=left, right=right)
            series, station = words[finding["series"]], finding["station"]
            if station:
                title = self._election.station_title.id
                named = {"station": title, "number": station, "series": series, "sentence": text}
                sentences.append(words["station_finding"].format_map(named))
            else:
                sentences.append(words["area_finding"].format(series=series.capitalize(), sentence=text))
        return sentences

    def _finding_counts(self, counts: Mapping[str, int]) -> list[tuple[str, str]]:
        rules = self._texts["rules"]
        ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return [(rules[code]["label"] if code in rules else code, self._figures[times]) for code, times in ordered]

    def _revision(self, revision: Mapping[str, Any], shared: _ContestPages, up: str) -> tuple[Any, ...]:
        words, figure, reasons = self._words, self._figures.__getitem__, self._texts["reasons"]
        series = words[revision["series"]]
        if revision["station"]:
            title = words["station_revision"].format(
                station=self._election.station_title.id,
                number=revision["station"],
                series=series,
                revision=revision["revision"],
            )
        else:
            title = words["area_revision"].format(series=series.capitalize(), revision=revision["revision"])
        if revision["state"]:
            title = f"{title}, {words[revision['state']]}"
        changes = [(shared.labels.get(name, name), figure(old), figure(new)) for name, old, new in revision["changes"]]
        reason = reasons.get(revision["reason"], revision["reason"])
        if revision["note"]:
            reason = words["reason_note"].format(reason=reason, note=revision["note"])
        package = revision["package"]
        return (
            title, changes, reason, self._authority(revision), revision["document"] or words["none_given"],
            package[:_HASH_SHOWN], f"{up}packages/{package}/recap.toml", revision["release"],
        )  # fmt: skip

    def _sources_of(self, results: Results, up: str) -> list[tuple[str, ...]]:
        """The packages with rows of this area: each covers the area itself or one of its parents."""
        if not results["sources"]:
            return []
        names = {area["code"]: area["name"] for area in (*results["parents"], results["area"])}
        return [self._source(source, names, up) for source in results["sources"]]

    def _source(self, source: Mapping[str, Any], names: Mapping[str, str], up: str) -> tuple[str, ...]:
        words, package, area = self._words, source["package"], source["area"]
        return (
            words[source["series"]].capitalize(), self._levels.get(source["tier"], source["tier"]), names.get(area, area),
            source["form"] or words["none_given"], source["document"] or words["none_given"], self._authority(source),
            package[:_HASH_SHOWN], f"{up}packages/{package}/recap.toml",
        )  # fmt: skip

    def _authority(self, signed_by: Mapping[str, Any]) -> str:
        attestation = self._texts["attestations"].get(signed_by["attestation"], signed_by["attestation"])
        return self._words["authority"].format(by=signed_by["by"], attestation=attestation)

    def _index_contest(self, contest: Contest, results: Results) -> tuple[Any, ...]:
        heads, rows = self._votes(results)
        stations, figure = results["stations"], self._figures.__getitem__
        return (
            f"{results['path'].removesuffix('.json')}.html",
            contest.title.id,
            results["area"]["name"],
            *self._status(results["count"]),
            figure(stations["reported"]),
            figure(stations["expected"]),
            heads,
            rows,
        )

    def _content_links(self, content: Iterable[ContentPage]) -> list[tuple[str, str, list[tuple[str, str]]]]:
        """Links to content pages, language by language as they come, each under the language's own name."""
        return [
            (language, self._texts["languages"][language], [(page.path, page.title) for page in pages])
            for language, pages in groupby(content, key=attrgetter("language"))
        ]

    def _date(self, election: Election) -> str:
        return f"{election.date.day} {self._texts['calendar']['months'][election.date.month - 1]} {election.date.year}"


def _plain(text: str) -> str:
    """Text for a `<title>`, which has no `<bdi>` to isolate a name in: without marks that turn the text's direction."""
    return text if text.isascii() else text.translate(_DIRECTION_MARKS)
