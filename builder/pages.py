"""HTML pages in one language: a results file, the front page, a content page, the portal. Pure: same values, same bytes.

Templates only place ready strings. Whatever is the same on every page of a contest is worked out once, since a nation
has 90,000 pages; rows reach the templates as tuples to be unpacked: an attribute lookup costs more than its cell.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise, repeat
from operator import attrgetter
from pathlib import Path
from typing import Any

from markupsafe import Markup

from builder.codes import qr_code
from builder.content import LANGUAGES, ContentPage
from builder.election import Contest, Election
from builder.figures import bar_width, signed
from builder.navigation import NOWHERE, Link, Surroundings
from builder.origins import revision_rows, source_rows
from builder.stations import StationRows
from builder.templates import FastTemplates, Templates, read_templates, read_texts
from builder.tiles import colour, tile_map
from builder.wording import Results, Wording

__all__ = ["GONE_DATA", "GONE_PAGES", "Pages", "language_folder"]

Row = Sequence[Any]

_DIRECTION_MARKS = dict.fromkeys([0x200E, 0x200F, 0x061C, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
_GUIDE = "periksa"
# What stands in the place of a page that is gone, by the depth of that page; and of its data.
GONE_PAGES = ("gone.html", "gone-1.html", "gone-2.html", "gone-3.html")
GONE_DATA = "gone.json"


def language_folder(language: str) -> str:
    """Folder of a language's pages, relative to the election: none for the first one's."""
    return "" if language == LANGUAGES[0] else f"{language}/"


@dataclass(frozen=True)
class _ContestPages:
    """What all pages of one contest share. `labels` names each column of figures; `values` go to every template.

    `child_places` are the figures that a row of the areas below shows, by whether any of them has a recap; `children_heads` likewise.
    """

    contest: Contest
    names: tuple[tuple[int, str, str | None, int, str], ...]
    labels: Mapping[str, str]
    fields: tuple[str, ...]
    stations: StationRows
    child_places: Mapping[bool, tuple[int, ...]]
    children_heads: Mapping[tuple[str, bool], Markup]
    title_end: str
    values: Mapping[str, Any]

    def field(self, series: Mapping[str, Any], name: str) -> int | None:
        """One ballot count of a series; None where the form has none of that name."""
        fields = self.contest.fields
        figure: int | None = series["fields"][fields.index(name)] if name in fields else None
        return figure


class Pages:
    """Renders the pages of one election in one language.

    `templates` maps a template's POSIX path to its text, or is the folder that holds them. Every method returns UTF-8
    and raises `ContentError`, with the template's file and line, for a template that is broken.
    """

    def __init__(self, templates: Mapping[str, str] | Path, election: Election, language: str = LANGUAGES[0]) -> None:
        sources = read_templates(templates) if isinstance(templates, Path) else templates
        texts = read_texts(sources, language)
        self._election, self._language, self._folder = election, language, language_folder(language)
        self.language = language
        self._wording = self.wording = wording = Wording(texts, election, language)
        page_words = texts["page"] | {
            "election_title": wording.title(election.title),
            "station": wording.station,
            "stations_in": wording.words["stations_reported"].format(station=wording.station),
            "language": language,
        }
        self._templates = Templates(sources, language, page_words)
        self._area_templates = FastTemplates(sources, language, page_words)
        self._frame = {"test": election.test, "contact": election.contact}
        self._coded_levels = [level.id for level in election.levels][: election.level_number(election.shard_level) + 1]
        self._contests = {contest.id: self._contest_pages(contest) for contest in election.contests}

    def area_page(self, results: Results, around: Surroundings = NOWHERE) -> bytes:
        """The page of one results file: docs/formats.md, "Results", before encoding, its tables' rows as sequences."""
        shared, wording = self._contests[results["contest"]], self._wording
        area, path, children = results["area"], results["path"].removesuffix(".json"), results["children"]["rows"]
        up = "../" * path.count("/")
        root = f"{up}../" if self._folder else up
        title = wording.words["area_title"].format(level=wording.levels[area["level"]], area=area["name"])
        parents = self._parents(results, shared.contest)
        codes = [parent["code"] for parent in results["parents"]]
        name = path.rpartition("/")[2]
        return self._area_templates.render(
            "area.html",
            {
                **shared.values,
                **self._places(f"{path}.html", up, root, self._election.languages),
                **self._first_screen(results, shared),
                "head_title": f"{_plain(title)}{shared.title_end}",
                "file": f"{name}.json",
                "data": f"{root}{path}.json" if self._folder else f"{name}.json",
                "title": title,
                "name": area["name"],
                "parents": [(f"{up}{parent['path']}.html", parent["name"]) for parent in parents],
                "previous": around.previous and _href(up, around.previous),
                "next": around.next and _href(up, around.next),
                "contests": [
                    (f"{up}{to}.html", wording.title(one.title), one is shared.contest) for to, one in around.contests
                ],
                "release": results["release"],
                "released": results["released"],
                "released_local": wording.time(results["released"], [*codes, area["code"]]),
                "map": tile_map(results, self._election, shared.contest, wording, up),
                **self._findings(results),
                **self._children(children, up, shared, area["level"]),
                "station_rows": shared.stations.rows(results, root),
                "revision_rows": revision_rows(results, shared.labels, wording, root),
                "source_rows": source_rows(results, wording, root),
                "scan_rows": shared.stations.scans(results, root),
                "check_command": wording.words["check_command"].format(file=f"{name}.json"),
                "code": self._code(results, area["level"]),
            },
        ).encode()

    def index_page(
        self,
        release: int,
        released: str,
        contests: Iterable[tuple[Contest, Results]],
        content: Iterable[ContentPage] = (),
    ) -> bytes:
        """The front page: release and its UTC time, each contest with the results of its own area, links to content."""
        contests, content, wording = list(contests), list(content), self._wording
        content = (
            [page for page in content if page.language == self._language]
            if len(self._election.languages) > 1
            else content
        )
        values = {
            **self._frame,
            **self._places("index.html", "", "../" if self._folder else "", self._election.languages),
            "head_title": wording.title(self._election.title),
            "date": wording.date(self._election),
            "release": release,
            "released": released,
            "released_local": wording.time(released),
            "contests": [self._index_contest(contest, results) for contest, results in contests],
            "content": self._content_links(content),
            "guide": next((self._content_href(page) for page in content if page.slug == _GUIDE), None),
            **self._beside(contests),
        }
        return self._templates.render("index.html", values).encode()

    def _beside(self, contests: Sequence[tuple[Contest, Results]]) -> dict[str, Any]:
        """What leads from the front page to search, lists, feeds and data (builder/extras.py)."""
        title, texts = self._wording.title, self._wording.texts
        suffix = "" if self._language == LANGUAGES[0] else f"{self._language}."
        paths = [results["path"].removesuffix("json") for _, results in contests]
        names = ("releases", "corrections")
        return {
            "search": texts["search"],
            "letters": f"{paths[0].rpartition('/')[0]}/a-z.html" if paths else None,
            "feeds": [(f"feeds/{name}.{suffix}atom", f"{title(self._election.title)}: {texts['feeds'][name]}") for name in names],
            "data": [(f"data/{path}{suffix}html", title(contest.title)) for path, (contest, _) in zip(paths, contests, strict=True)],
            "data_title": texts["data"]["title"],
        }  # fmt: skip

    def content_page(self, page: ContentPage, languages: Sequence[str] = ()) -> bytes:
        """A Markdown page; `page.html` must come from `builder.content`, which sanitises it. `languages` have a page of this name."""
        values = {
            **self._frame,
            **self._places(f"{page.slug}.html", "", "../" if self._folder else "", languages),
            "head_title": _plain(f"{page.title} – {self._wording.title(self._election.title)}"),
            "title": page.title,
            "html": Markup(page.html),  # noqa: S704  # nh3 has cleaned it
        }
        return self._templates.render("page.html", values).encode()

    def gone_page(self, depth: int) -> bytes:
        """What stands at the path of a page that no release has any more, `depth` folders beneath the election's."""
        title, up = self._wording.texts["page"]["gone"], "../" * depth
        values = {**self._frame, **self._places("", up, up, ()), "head_title": title}
        return self._templates.render("gone.html", values).encode()

    def portal_page(self, elections: Sequence[Election]) -> bytes:
        """The page above the elections' folders, newest first."""
        newest = sorted(elections, key=lambda election: (election.date, election.id), reverse=True)
        wording = self._wording
        values = {
            **self._places("", "", "", ()),
            "test": False,
            "contact": None,
            "head_title": wording.texts["page"]["elections"],
            "elections": [(f"{e.id}/index.html", wording.title(e.title), wording.date(e), e.test) for e in newest],
        }
        return self._templates.render("portal.html", values).encode()

    def other_page(
        self, template: str, path: str, title: str, values: Mapping[str, Any], languages: Sequence[str] = ()
    ) -> bytes:
        """A page of another module's making, at `path`; its values come last. `languages`: those in which it is there, each in its folder."""
        root = "../" * path.count("/")
        places = self._places(path.removeprefix(self._folder), f"{root}{self._folder}", root, languages)
        frame = {**self._frame, **places, "head_title": _plain(title)}
        return self._templates.render(template, {**frame, **values}).encode()

    def _places(self, path: str, up: str, root: str, languages: Sequence[str]) -> dict[str, Any]:
        """The page's way to its language's folder, to the election's, to the front page, and to itself in the other languages."""
        names = self._wording.texts["languages"]
        return {
            "up": up,
            "root": root,
            "home": f"{up if self._language in self._election.languages else root}index.html",
            "languages": [
                (one, names[one], f"{root}{language_folder(one)}{path}", one == self._language) for one in languages
            ]
            if len(languages) > 1
            else (),
        }

    def _contest_pages(self, contest: Contest) -> _ContestPages:
        wording, words = self._wording, self._wording.words
        parties = {party.id: party.name for party in self._election.parties}
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
        vote_labels = [words["candidate"].format(number=number, name=name) for number, name, *_ in names]
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
            (level, has_recaps): self._templates.part(
                "children_thead",
                wording.levels[below],
                [*(every[place] for place in shown), reported, words["findings"]],
            )
            for level, below in pairwise(wording.levels)
            for has_recaps, shown in places.items()
        }
        title = wording.title(contest.title)
        return _ContestPages(
            contest=contest,
            names=names,
            labels=labels,
            fields=fields,
            stations=StationRows(contest, [*vote_labels, *fields], self._templates, wording),
            child_places=places,
            children_heads=children_heads,
            title_end=_plain(f" – {title} – {wording.title(self._election.title)}"),
            values={**self._frame, "contest": title},
        )

    def _first_screen(self, results: Results, shared: _ContestPages) -> dict[str, Any]:
        """What a reader came for: status, votes in both series, stations in, turnout, invalid votes."""
        wording, figure, stations = self._wording, self._wording.figure, results["stations"]
        count, recap, below = results["count"], results["recap"], results["below"]
        bars, main, heads, rows = self._votes(results)
        invalid, registered, voters = (shared.field(main, name) for name in ("invalid", "registered", "voters"))
        valid = sum(vote or 0 for vote in main["votes"])
        second = recap or below
        second_fields = map(figure, second["fields"]) if second else repeat(figure(None))
        return {
            "count_status": wording.status(count),
            "recap_status": wording.status(recap),
            "recap_note": wording.recap_note(recap, below),
            "comparison": wording.comparison(results, shared.contest),
            "bars": bars,
            "heads": heads,
            "rows": rows,
            "reported": figure(stations["reported"]),
            "expected": figure(stations["expected"]),
            "reported_share": wording.share(stations["reported"], stations["expected"]),
            "listed": "" if stations["listed"] == stations["expected"] else figure(stations["listed"]),
            "withdrawn": stations["withdrawn"] and figure(stations["withdrawn"]),
            "invalid": figure(invalid),
            "invalid_share": wording.share(invalid, valid + (invalid or 0)) if valid else "",
            "turnout": wording.share(voters, registered) or wording.words["none"],
            "voters": figure(voters),
            "registered": figure(registered),
            "second_series": wording.words["series_below" if below and not recap else "series_recap"],
            "figure_rows": list(zip(shared.fields, map(figure, count["fields"]), second_fields, strict=False)),
        }

    def _votes(self, results: Results) -> tuple[str, Mapping[str, Any], list[str], list[tuple[Any, ...]]]:
        """The series that the bars show, by name and as such; heads and rows of the table: count, recap, the recaps below, difference."""
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
        for name, votes, step in zip(
            self._contests[results["contest"]].names, zip(*columns, strict=True), steps, strict=True
        ):
            cells = [(figure(vote), share(vote, total)) for vote, total in zip(votes, totals, strict=True)]
            cells.append((figure(None) if step is None else signed(step, self._wording.figures), ""))
            main, total = votes[first], totals[first]
            rows.append((*name, figure(main), bar_width(main, total), cells[first][1], cells))
        return shown[first][0], shown[first][1] or count, [*(head for head, _ in shown), words["difference"]], rows

    def _findings(self, results: Results) -> dict[str, Any]:
        """The area's own findings as sentences, its stations' by rule, and how many there are beneath by rule."""
        wording, counts, by_rule = self._wording, results["finding_counts"], dict[str, list[str]]()
        for finding in results["findings"]:
            if finding["station"]:
                by_rule.setdefault(finding["rule"], []).append(finding["station"])
        return {
            "findings_total": counts and wording.figure(sum(counts.values())),
            "finding_sentences": [wording.finding(one) for one in results["findings"] if not one["station"]],
            "station_findings": [(wording.rule(rule), list(dict.fromkeys(some))) for rule, some in by_rule.items()],
            "finding_counts": wording.finding_counts(counts) if results["children"]["rows"] else (),
        }

    def _children(self, rows: Sequence[Row], up: str, shared: _ContestPages, level: str) -> dict[str, Any]:
        if not rows:
            return {"child_rows": (), "children_head": ""}
        figure, part_of = self._wording.figure, self._wording.words["part_of"]
        has_recaps = any(row[-2] is not None for row in rows)
        places = shared.child_places[has_recaps]
        shown = []
        for row in rows:
            _, name, path, expected, reported, *figures, findings = row
            cells = [figure(figures[place]) for place in places]
            cells += [part_of.format(part=figure(reported), whole=figure(expected)), figure(findings)]
            shown.append((f"{up}{path}.html", name, cells))
        return {"child_rows": shown, "children_head": shared.children_heads[level, has_recaps]}

    def _parents(self, results: Results, contest: Contest) -> list[Mapping[str, Any]]:
        """The areas above that the contest covers: only these have a page in it."""
        parents: list[Mapping[str, Any]] = results["parents"]
        codes = [parent["code"] for parent in parents]
        if contest.area is None:
            return parents
        return parents[codes.index(contest.area) :] if contest.area in codes else []

    def _code(self, results: Results, level: str) -> Markup | str:
        """The QR code of a page's address and release; of those that are printed most."""
        if self._election.address is None or level not in self._coded_levels:
            return ""
        page = f"{self._folder}{results['path'].removesuffix('.json')}.html"
        return qr_code(f"{self._election.address}{page}#r{results['release']}")

    def _index_contest(self, contest: Contest, results: Results) -> tuple[Any, ...]:
        bars, _, heads, rows = self._votes(results)
        stations, figure = results["stations"], self._wording.figure
        return (
            f"{results['path'].removesuffix('.json')}.html",
            self._wording.title(contest.title),
            results["area"]["name"],
            *self._wording.status(results["count"]),
            figure(stations["reported"]),
            figure(stations["expected"]),
            bars,
            heads,
            rows,
        )

    def _content_links(self, content: Iterable[ContentPage]) -> list[tuple[str, str, list[tuple[str, str]]]]:
        """Links to content pages, language by language as they come, each under the language's own name."""
        names = self._wording.texts["languages"]
        return [
            (language, names[language], [(self._content_href(page), page.title) for page in pages])
            for language, pages in groupby(content, key=attrgetter("language"))
        ]

    def _content_href(self, page: ContentPage) -> str:
        """From the front page of this language."""
        return f"{page.slug}.html" if self._folder else page.path


def _href(up: str, link: Link) -> tuple[str, str]:
    return f"{up}{link.path}.html", link.name


def _plain(text: str) -> str:
    """Text for a `<title>`, which has no `<bdi>` to isolate a name in: without marks that turn the text's direction."""
    return text if text.isascii() else text.translate(_DIRECTION_MARKS)
