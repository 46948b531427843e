"""HTML pages in one language: a results file, the front page, a content page, the portal. Pure: same values, same bytes.

Templates only place ready strings. Whatever is the same on every page of a contest is worked out once, since a nation
has 90,000 pages; rows reach the templates as tuples to be unpacked: an attribute lookup costs more than its cell.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any

from markupsafe import Markup, escape

from builder.cards import TEMPLATE, card_values, sharing
from builder.chart import progress_chart
from builder.codes import qr_code
from builder.content import ContentPage
from builder.contest_values import ContestValues
from builder.election import Contest, Election
from builder.figures import station_name
from builder.languages import LANGUAGES, language_folder, language_suffix
from builder.navigation import NOWHERE, Link, Surroundings
from builder.origins import filled_rows, revision_rows, source_rows
from builder.station_pages import StationPage, on_page, revised_pages, station_pages
from builder.stations import Withheld
from builder.templates import FastTemplates, Templates, as_ascii, read_templates, read_texts
from builder.tiles import shape_map, tile_map
from builder.topojson import Topology
from builder.wording import Results, Wording

__all__ = ["GONE_DATA", "GONE_PAGES", "Pages"]

_DIRECTION_MARKS = dict.fromkeys([0x200E, 0x200F, 0x061C, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
_GUIDE = "periksa"
# What stands in the place of a page that is gone, by the depth of that page; and of its data.
GONE_PAGES = ("gone.html", "gone-1.html", "gone-2.html", "gone-3.html")
GONE_DATA = "gone.json"


class Pages:
    """Renders the pages of one election in one language.

    `templates` maps a template's POSIX path to its text, or is the folder that holds them. Every method returns UTF-8
    and raises `ContentError`, with the template's file and line, for a template that is broken.
    """

    def __init__(
        self,
        templates: Mapping[str, str] | Path,
        election: Election,
        language: str = LANGUAGES[0],
        topology: Topology | None = None,
    ) -> None:
        sources = read_templates(templates) if isinstance(templates, Path) else templates
        texts = read_texts(sources, language)
        self._election, self.language, self._folder = election, language, language_folder(language)
        self.wording = wording = Wording(texts, election, language)
        page_words = texts["page"] | {
            "election_title": wording.title(election.title),
            "station": wording.station,
            "stations_in": wording.words["stations_reported"].format(station=wording.station),
            "language": language,
        }
        self._templates = Templates(sources, language, page_words)
        self._area_templates = FastTemplates(sources, language, page_words)
        self._topology = topology
        self._frame = {"test": election.test, "contact": election.contact}
        self._coded_levels = [level.id for level in election.levels][: election.level_number(election.shard_level) + 1]
        self._contests = {one.id: ContestValues(one, election, wording, self._templates) for one in election.contests}
        self._title_ends = {
            one.id: as_ascii(_plain(f" – {wording.title(one.title)} – {wording.title(election.title)}"))
            for one in election.contests
        }

    def area_page(
        self, results: Results, around: Surroundings = NOWHERE, withheld: Withheld = MappingProxyType({})
    ) -> bytes:
        """The page of one results file: docs/formats.md, "Results", before encoding, its tables' rows as sequences.

        `withheld`: scans, by package and hash, that are shown as withheld, each with its order and the release since which.
        """
        shown, wording = self._contests[results["contest"]], self.wording
        path, children = results["path"].removesuffix(".json"), results["children"]["rows"]
        frame = self._area_frame(results, path, results["release"], results["released"], around)
        up, root = frame["up"], frame["root"]
        pages = station_pages(results)
        first = on_page(results, 1) if pages else results
        return self._area_templates.render(
            "area.html",
            {
                **frame,
                **shown.first_screen(results),
                "head_title": escape(_plain(frame["title"])) + self._title_ends[shown.contest.id],
                "card": self._sharing(results),
                "previous": around.previous and _href(up, around.previous),
                "next": around.next and _href(up, around.next),
                "shapes": (shapes := shape_map(results, self._topology, shown.contest, wording, up)),
                "map": None if shapes else tile_map(results, self._election, shown.contest, wording, up),
                "progress": progress_chart(results, shown.contest, wording),
                **shown.findings(results),
                **shown.children(children, up, results["area"]),
                "station_pages": _page_links(pages, 1),
                "station_rows": shown.stations.rows(first, root, withheld),
                "revision_rows": revision_rows(first, shown.labels, wording, root),
                "filled_rows": filled_rows(first, wording, root),
                "revised_pages": revised_pages(results) if pages else (),
                "source_rows": source_rows(results, wording, root),
                "scan_rows": shown.stations.scans(results, root, withheld),
                "code": self._code(results, path, results["release"]),
            },
        ).encode()

    def station_page(
        self,
        results: Results,
        page: StationPage,
        release: int,
        released: str,
        around: Surroundings = NOWHERE,
        withheld: Withheld = MappingProxyType({}),
    ) -> bytes:
        """A further page of an area's polling stations, with the release that changed it last and that one's time. It has none of the area's own figures."""
        shown, wording = self._contests[results["contest"]], self.wording
        frame = self._area_frame(results, page.path, release, released, around)
        root, pages, own = frame["root"], station_pages(results), on_page(results, page.number)
        stations = station_name(wording.station, page.stations)
        return self._area_templates.render(
            "stations.html",
            {
                **frame,
                "head_title": escape(_plain(f"{frame['title']}, {stations}")) + self._title_ends[shown.contest.id],
                "area_href": pages[0].href,
                "parents": [*frame["parents"], (pages[0].href, frame["name"])],
                "name": stations,
                "station_pages": _page_links(pages, page.number),
                "station_rows": shown.stations.rows(own, root, withheld),
                "revision_rows": revision_rows(own, shown.labels, wording, root),
                "filled_rows": filled_rows(own, wording, root),
                "code": self._code(results, page.path, release),
            },
        ).encode()

    def _area_frame(self, results: Results, path: str, release: int, released: str, around: Surroundings) -> dict[str, Any]:  # fmt: skip
        """What stands around each page of an area; this one is at `path`, without extension, and was changed last in `release`."""
        shown, area = self._contests[results["contest"]], results["area"]
        up, file = "../" * path.count("/"), results["path"]
        root = f"{up}../" if self._folder else up
        name = file.rpartition("/")[2]
        codes = [*[parent["code"] for parent in results["parents"]], area["code"]]
        title = self.wording.title
        return {
            **self._frame,
            **self._places(f"{path}.html", up, root, self._election.languages),
            "release": release,
            "released": released,
            "released_local": self.wording.time(released, codes),
            "zone": self.wording.zone(codes),
            "contest": title(shown.contest.title),
            "contests": [(f"{up}{to}.html", title(one.title), one is shown.contest) for to, one in around.contests],
            "title": self.wording.area(area),
            "name": area["name"],
            "parents": [(f"{up}{parent['path']}.html", parent["name"]) for parent in shown.parents(results)],
            "file": name,
            "data": f"{root}{file}" if self._folder else name,
            "check_command": self.wording.words["check_command"].format(file=name),
        }

    def card(self, results: Results) -> bytes:
        """The picture of one results file for those who share its page, as SVG."""
        values = card_values(results, self._contests[results["contest"]], self._election, self.wording)
        return self._templates.render(TEMPLATE, values).encode()

    def index_page(
        self,
        release: int,
        released: str,
        contests: Iterable[tuple[Contest, Results]],
        content: Iterable[ContentPage] = (),
    ) -> bytes:
        """The front page: release and its UTC time, each contest with the results of its own area, links to content."""
        contests, content, wording = list(contests), list(content), self.wording
        content = (
            [page for page in content if page.language == self.language]
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
            "card": self._sharing(contests[0][1]) if contests else None,
            "content": self._content_links(content),
            "guide": next((self._content_href(page) for page in content if page.slug == _GUIDE), None),
            **self._beside(contests),
        }
        return self._templates.render("index.html", values).encode()

    def _beside(self, contests: Sequence[tuple[Contest, Results]]) -> dict[str, Any]:
        """What leads from the front page to search, lists, feeds and data (builder/extras.py)."""
        title, texts = self.wording.title, self.wording.texts
        suffix = language_suffix(self.language)
        paths = [results["path"].removesuffix(".json") for _, results in contests]
        names, kinds = ("releases", "corrections"), self.wording.kinds
        return {
            "search": texts["search"] | {"levels": "\n".join(self.wording.levels.values()), "title": self.wording.words["area_title"], "kinds": json.dumps(kinds) if kinds else ""},
            "letters": f"{paths[0].rpartition('/')[0]}/a-z.html" if paths else None,
            "feeds": [(f"feeds/{name}{suffix}.atom", f"{title(self._election.title)}: {texts['feeds'][name]}") for name in names],
            "data": [(f"data/{path}{suffix}.html", title(contest.title)) for path, (contest, _) in zip(paths, contests, strict=True)],
            "data_title": texts["data"]["title"],
        }  # fmt: skip

    def content_page(self, page: ContentPage, languages: Sequence[str] = ()) -> bytes:
        """A Markdown page; `page.html` must come from `builder.content`, which sanitises it. `languages` have a page of this name."""
        values = {
            **self._frame,
            **self._places(f"{page.slug}.html", "", "../" if self._folder else "", languages),
            "head_title": _plain(f"{page.title} – {self.wording.title(self._election.title)}"),
            "title": page.title,
            "html": Markup(page.html),  # noqa: S704  # nh3 has cleaned it
        }
        return self._templates.render("page.html", values).encode()

    def gone_page(self, depth: int) -> bytes:
        """What stands at the path of a page that no release has any more, `depth` folders beneath the election's."""
        title, up = self.wording.texts["page"]["gone"], "../" * depth
        english = f"{up}{language_folder('en') if 'en' in self._election.languages else ''}index.html"
        values = {**self._frame, **self._places("", up, up, ()), "head_title": title, "english_home": english}
        return self._templates.render("gone.html", values).encode()

    def portal_page(self, elections: Sequence[Election]) -> bytes:
        """The page above the elections' folders, newest first."""
        newest = sorted(elections, key=lambda election: (election.date, election.id), reverse=True)
        wording = self.wording
        values = {
            **self._places("", "", f"{self._election.id}/", ()),
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
        names, address = self.wording.texts["languages"], self._election.address
        return {
            "zone": self.wording.zone(),
            "up": up,
            "root": root,
            "home": f"{up if self.language in self._election.languages else root}index.html",
            "languages": [
                (one, names[one], f"{root}{language_folder(one)}{path}", one == self.language) for one in languages
            ]
            if len(languages) > 1
            else (),
            # Search engines take full addresses only.
            "alternates": [(one, f"{address}{language_folder(one)}{path}") for one in languages]
            if address and len(languages) > 1
            else (),
        }

    def _sharing(self, results: Results) -> tuple[str, str] | None:
        return sharing(results, self._contests[results["contest"]], self._election, self.wording, self.language)

    def _code(self, results: Results, path: str, release: int) -> Markup | str:
        """The QR code of the address and release of an area's page at `path`; of those that are printed most."""
        if self._election.address is None or results["area"]["level"] not in self._coded_levels:
            return ""
        return qr_code(f"{self._election.address}{self._folder}{path}.html#r{release}")

    def _index_contest(self, contest: Contest, results: Results) -> tuple[Any, ...]:
        bars, _, heads, rows = self._contests[contest.id].votes(results)
        stations, figure = results["stations"], self.wording.figure
        return (
            f"{results['path'].removesuffix('.json')}.html",
            self.wording.title(contest.title),
            results["area"]["name"],
            *self.wording.status(results["count"]),
            figure(stations["reported"]),
            figure(stations["expected"]),
            bars,
            heads,
            rows,
            self.wording.recap_note(results["recap"], results["below"]) if heads else "",
        )

    def _content_links(self, content: Iterable[ContentPage]) -> list[tuple[str, str, list[tuple[str, str]]]]:
        """Links to content pages, language by language as they come, each under the language's own name."""
        names = self.wording.texts["languages"]
        return [
            (language, names[language], [(self._content_href(page), page.title) for page in pages])
            for language, pages in groupby(content, key=attrgetter("language"))
        ]

    def _content_href(self, page: ContentPage) -> str:
        """From the front page of this language."""
        return f"{page.slug}.html" if self._folder else page.path


def _href(up: str, link: Link) -> tuple[str, str]:
    return f"{up}{link.path}.html", link.name


def _page_links(pages: Sequence[StationPage], here: int) -> tuple[Any, ...]:
    """The pages of an area's stations (href, stations, is it the one with the number `here`), the one before that and the one after; nothing where there is one page."""
    links = [(page.href, page.stations, page.number == here) for page in pages]
    return (links, links[here - 2] if here > 1 else None, links[here] if here < len(links) else None) if links else ()


def _plain(text: str) -> str:
    """Text for a `<title>`, which has no `<bdi>` to isolate a name in: without marks that turn the text's direction."""
    return text if text.isascii() else text.translate(_DIRECTION_MARKS)
