"""The site: which files there are, which role signs each, and their bytes. Pure, given the inputs that are read here once.

The site is a function of the ledger through one cut, the definition, the content, the templates and this program: no clock, no randomness.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from itertools import chain, starmap
from pathlib import Path

from builder import limits
from builder.areas import path_name
from builder.content import read_pages
from builder.drawing import check_renderer, own_fonts, packaged_font
from builder.election import Contest, Definition, load_definition
from builder.embeds import embedded_rows
from builder.errors import ContentError
from builder.extras import Extras
from builder.hashing import input_hash
from builder.inputs import archive_names, kept_archive
from builder.languages import LANGUAGES, language_folder, language_suffix
from builder.ledger import Cut, Ledger, PackageRecord
from builder.letters import LETTERS_NAME
from builder.mirrors import MIRRORS_FILE, mirrors_list
from builder.navigation import Navigation
from builder.pack import Entry
from builder.pages import GONE_DATA, GONE_PAGES, Pages
from builder.parts import Part, parts
from builder.recap import Cover
from builder.results import View, Views, encode_view, scan_subject
from builder.rows import Rows
from builder.scripts import compact_script, scripts
from builder.sirekap import nation_file, sirekap_files
from builder.station_pages import page_releases
from builder.tally import Tally, package_releases, pages_cut, tally

__all__ = [
    "Inputs",
    "Part",
    "Site",
    "entry_of",
    "is_lasting",
    "make_tallies",
    "own_templates",
    "packaged_templates",
    "parts",
    "read_tree",
]

MISSING_SHOWN = 5
_CONTENT = re.compile(rf"(?:{'|'.join(LANGUAGES)})/[^/]+\.md|{re.escape(MIRRORS_FILE)}")


@dataclass(frozen=True)
class Inputs:
    """Folders that a site is made from."""

    content: Path
    templates: Path

    @cached_property
    def definition(self) -> Definition:
        return load_definition(self.content)

    @cached_property
    def content_files(self) -> dict[str, bytes]:
        """The pages and nothing else that an editor may have left beside them: all of it is published."""
        files = read_tree(self.content / "pages")
        return {name: data for name, data in files.items() if _CONTENT.fullmatch(name)}

    @cached_property
    def template_files(self) -> dict[str, bytes]:
        return read_tree(self.templates)

    @property
    def archived(self) -> dict[str, dict[str, bytes]]:
        """The files behind a cut's `content` and `templates`: what is published beside definition and packages."""
        return {"content": self.content_files, "templates": self.template_files}

    @property
    def fonts(self) -> tuple[Path, ...]:
        """The fonts of cards: the program's, and those of the templates for what its own lack; none where there are no cards."""
        if not self.definition.election.card_languages:
            return ()
        check_renderer()
        return (packaged_font(), *own_fonts(self.templates, self.template_files))

    @cached_property
    def allowed_signers(self) -> bytes | None:
        """`allowed_signers`, not parsed; None in an election without officials. No part of the definition: it changes no figure."""
        path = self.content / "allowed_signers"
        return path.read_bytes() if path.exists() else None

    def hashes(self) -> dict[str, str]:
        """The inputs' hashes as a cut records them."""
        return {
            "definition": self.definition.sha256,
            **{kind: input_hash(files) for kind, files in self.archived.items()},
        }


class Site:
    """The site at the last of `cuts`. `tallies` hold each contest's figures at that cut."""

    def __init__(self, inputs: Inputs, ledger: Ledger, tallies: dict[str, Tally]) -> None:
        self.inputs, self.ledger, self.tallies = inputs, ledger, tallies
        self.definition, self.cuts = inputs.definition, ledger.cuts
        self.releases = package_releases(self.cuts)
        made = partial(Pages, inputs.templates, self.definition.election, topology=self.definition.topology)
        self._pages = lru_cache(maxsize=None)(made)
        self._navigation = Navigation(self.definition)
        covers = self.covers = lru_cache(maxsize=4096)(self._cover)
        self._extras = Extras(
            self.definition, self.cuts, tallies, covers, self.releases, self.views, self._pages, inputs.fonts
        )
        self._rows_by_path = lru_cache(maxsize=None)(self._row_paths)

    @cached_property
    def pages_release(self) -> int:
        """The latest cut at which every page was made anew."""
        return pages_cut(self.cuts)

    def part_release(self, part: Part) -> int:
        """The latest cut at which a file of this part changed."""
        latest = max(map(self._area_releases[part.contest].__getitem__, part.rows))
        told = [
            release for row, release in self._orders_told[part.contest].items() if part.results and row in part.rows
        ]
        return max(latest, self.pages_release, *told)

    @cached_property
    def _area_releases(self) -> dict[str, list[int]]:
        return {name: tally.areas["release"].to_list() for name, tally in self.tallies.items()}

    @cached_property
    def _withheld(self) -> dict[tuple[str, str], tuple[str, int]]:
        """The scans, by package and hash, that the cuts tell to be withheld: by which order, and since which release."""
        return {
            (package, file): (order, first)
            for package, files in self.ledger.redacted.items()
            for file, (order, first) in files.items()
            if first <= len(self.cuts)
        }

    @cached_property
    def _orders_told(self) -> dict[str, dict[int, int]]:
        """By contest, the areas whose pages show a withheld scan, with the latest release that changed them so. No results file changes."""
        told: dict[str, dict[int, int]] = {contest: {} for contest in self.tallies}
        withheld = {package for package, _ in self._withheld}
        rows = {path_name(code): row for row, code in enumerate(self.definition.areas.codes)} if withheld else {}
        for record in self.ledger.packages if withheld else ():
            for scan in self.ledger.read_cover(record).scans if record.package in withheld else ():
                _, first = self._withheld.get((record.package, scan.sha256), ("", 0))
                row = rows.get(scan_subject(scan.file)[0])
                if first and row is not None:
                    told[record.contest][row] = max(first, told[record.contest].get(row, 0))
        return told

    def area_files(
        self, part: Part, since: int, listed: Mapping[str, tuple[int, str]] | None = None
    ) -> Iterator[tuple[Entry, bytes]]:
        """Every file of a part that changed after release `since`. `listed` is what the part's role listed then: a help, see `Extras`."""
        all_pages = self.pages_release > since
        if part.results:
            yield from self._results_files(part, since)
            if all_pages:
                yield from starmap(entry_of, self._extras.letters(part))
        if part.sirekap:
            yield from starmap(entry_of, self._sirekap_files(part, since))
        if part.beside:
            yield from starmap(entry_of, self._extras.part_files(part, since, listed or {}, everything=all_pages))

    def _results_files(self, part: Part, since: int) -> Iterator[tuple[Entry, bytes]]:
        """JSON and page of every area."""
        releases, told = self._area_releases[part.contest], self._orders_told[part.contest]
        all_pages = self.pages_release > since
        rows = [row for row in part.rows if all_pages or max(releases[row], told.get(row, 0)) > since]
        for row, view in zip(rows, self.views(part.contest, rows), strict=True):
            if view["release"] > since:
                yield entry_of(view["path"], encode_view(view))
            for language in self.definition.election.languages:
                yield entry_of(*self._area_page(row, view, language))
            everything = all_pages or told.get(row, 0) > since
            yield from starmap(entry_of, self._station_pages(row, view, 0 if everything else since))

    def _sirekap_files(self, part: Part, since: int) -> Iterator[tuple[str, bytes]]:
        releases, contest = self._area_releases[part.contest], self.tallies[part.contest].contest
        rows = [row for row in part.rows if max(releases[row], self.pages_release) > since]
        return chain.from_iterable(sirekap_files(view, contest) for view in self.views(part.contest, rows))

    def _area_page(self, row: int, view: View, language: str) -> tuple[str, bytes]:
        """An area's page in one language, with its path."""
        around = self._navigation.around(self.tallies[view["contest"]].contest, row)
        path = f"{language_folder(language)}{view['path'].removesuffix('json')}html"
        return path, self._pages(language).area_page(view, around, self._withheld)

    def _station_pages(self, row: int, view: View, since: int) -> Iterator[tuple[str, bytes]]:
        """The further pages of an area's stations that changed after release `since`, in each language, with their paths."""
        if len(view["polling_stations"]["rows"]) <= limits.STATIONS_ON_PAGE:
            return
        tally = self.tallies[view["contest"]]
        sources = zip(view["sources"], tally.areas["sources"][row], strict=True)
        releases = {source["package"]: self.releases[number] for source, number in sources}
        around = self._navigation.around(tally.contest, row)
        for page, release in page_releases(view, tally.areas["grown"][row], releases):
            for language in self.definition.election.languages if release > since else ():
                made = self._pages(language).station_page(
                    view, page, release, self.cuts[release - 1].time, around, self._withheld
                )
                yield f"{language_folder(language)}{page.path}.html", made

    def views(self, contest: str, rows: Sequence[int]) -> Iterable[View]:
        def time_of(release: int) -> str:
            return self.cuts[release - 1].time

        return Views(self.definition, self.tallies[contest], self.covers, self.releases, time_of).views(rows)

    def descriptions(self, part: Part, listing: Mapping[str, tuple[int, str]]) -> Iterator[tuple[Entry, bytes]]:
        """The files that describe a part's data files, as they would be if these were those of `listing`."""
        yield from starmap(entry_of, self._extras.descriptions(part, listing))

    def lasting_files(self, since: int) -> Iterator[tuple[Entry, bytes]]:
        """Files of role `site` that stay as they are from release to release (`is_lasting`), if they were made after release `since`: content and
        templates of each cut, and the search index of the newest one."""
        if self.pages_release > since:
            yield from starmap(entry_of, self._extras.lasting_files())
        for name, release in archive_names(self.cuts).items():
            if release > since:
                yield entry_of(f"inputs/{name}", kept_archive(self.ledger.directory, name))

    def site_files(self) -> Iterator[tuple[Entry, bytes]]:
        """Front page, content pages, assets, schema, feeds: files of role `site` that are made for each release."""
        yield from starmap(entry_of, self._extras.site_files())
        cut = self.cuts[-1]
        nations = [(contest, self._top_view(contest)) for contest in self.definition.election.contests]
        for contest, view in nations:
            yield from starmap(entry_of, nation_file(view, contest))
        content = read_pages(self.inputs.content / "pages")
        for language in self.definition.election.languages:
            front = self._pages(language).index_page(cut.release, cut.time, nations, content)
            yield entry_of(f"{language_folder(language)}index.html", front)
        pages = self._pages(LANGUAGES[0])
        yield entry_of("portal.html", pages.portal_page([self.definition.election]))
        for depth, name in enumerate(GONE_PAGES):
            yield entry_of(name, pages.gone_page(depth))
        yield entry_of(GONE_DATA, encode_view({"format": "terbit-gone-1", "election": self.definition.election.id}))
        yield entry_of("schema/results.json", (Path(__file__).parent / "results.schema.json").read_bytes())
        slugs = {(page.slug, page.language) for page in content}
        for page in content:
            languages = [one for one in LANGUAGES if (page.slug, one) in slugs]
            yield entry_of(page.path, self._pages(page.language).content_page(page, languages))
        templates = self.inputs.template_files
        yield from starmap(entry_of, scripts(templates))
        yield entry_of("mirrors.json", mirrors_list(self.inputs.content_files.get(MIRRORS_FILE)))
        for name, data in sorted(templates.items()):
            if name.startswith("assets/"):
                if name.count("/") != 1:
                    raise ContentError(
                        "assets lie directly in assets/, without folders",
                        file=self.inputs.templates / name,
                        rule="assets",
                    )
                yield entry_of(name, compact_script(data, name) if name.endswith(".js") else data)

    def render(self, path: str) -> bytes | None:
        """One file by its path, for previews; None if the site has none of that name."""
        if (beside := self._beside(path)) is not None:
            return next((data for name, data in beside if name == path), None)
        languages = self.definition.election.languages
        language = next((one for one in languages[1:] if path.startswith(language_folder(one))), languages[0])
        name, _, kind = path.removeprefix(language_folder(language)).rpartition(".")
        contest = name.partition("/")[0]
        if contest in self.tallies:
            rows = self._rows_by_path(contest)
            if kind == "html" and name not in rows and (row := rows.get(name.rpartition("-")[0])) is not None:
                further = self._station_pages(row, next(iter(self.views(contest, [row]))), 0)
                return next((data for page, data in further if page == path), None)
            row = rows.get(name)
            if row is None or kind not in {"json", "html"} or (kind == "json" and language != languages[0]):
                return None
            view = next(iter(self.views(contest, [row])))
            return encode_view(view) if kind == "json" else self._area_page(row, view, language)[1]
        files = self.lasting_files(0) if is_lasting(path) else self.site_files()
        return next((data for entry, data in files if entry.path == path), None)

    def _beside(self, path: str) -> Iterator[tuple[str, bytes]] | None:
        """The files among which one that stands beside results would be, by its path; None for any other path."""
        some = [part for part in parts(self.definition) if f"{part.contest}/" in path]
        if path.endswith(f"/{LETTERS_NAME}"):
            return chain.from_iterable(self._extras.letters(part) for part in some if part.results)
        if path.startswith("embed/") and path.endswith(".png"):
            name = path.removeprefix("embed/").removesuffix(".png").removesuffix(language_suffix(LANGUAGES[-1]))
            contest = name.partition("/")[0]
            row = self._rows_by_path(contest).get(name) if contest in self.tallies else None
            rows = [] if row is None else embedded_rows(self.definition, self.tallies[contest].contest, [row])
            return chain.from_iterable(map(self._extras.cards, self.views(contest, rows))) if rows else None
        if path.startswith("sirekap/") and path.count("/") > 3:
            return chain.from_iterable(self._sirekap_files(part, 0) for part in some if part.sirekap)
        if path.startswith(("data/", "embed/")):
            make = partial(self._extras.part_files, since=0, listed={}, everything=True)
            return chain.from_iterable(make(part) for part in some if part.beside)
        return None

    def _row_paths(self, contest: str) -> dict[str, int]:
        return {self.definition.areas.path(contest, row): row for row in range(len(self.definition.areas))}

    def _top_view(self, contest: Contest) -> View:
        top = self.definition.areas.index[contest.area] if contest.area else 0
        return next(iter(self.views(contest.id, [top])))

    def _cover(self, number: int) -> tuple[PackageRecord, Cover]:
        record = self.ledger.packages[number - 1]
        return record, self.ledger.read_cover(record)


def make_tallies(rows: dict[str, Rows], definition: Definition, cuts: Sequence[Cut]) -> dict[str, Tally]:
    """Figures of every contest at the last of `cuts`."""
    return {name: tally(one, definition, cuts) for name, one in rows.items()}


def is_lasting(path: str) -> bool:
    """True for a file of role `site` that a release goes on listing as it was (`Site.lasting_files`)."""
    return path.startswith(("inputs/", "search/"))


def entry_of(path: str, data: bytes) -> tuple[Entry, bytes]:
    return Entry(path, len(data), hashlib.sha256(data).hexdigest()), data


def read_tree(directory: Path) -> dict[str, bytes]:
    """Every file beneath a folder by its path in it, hidden ones left out.

    Raises:
        ContentError: one is a link: what it leads to would be published.
    """
    found = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if any(part.startswith((".", "__")) for part in name.split("/")):
            continue
        if path.is_symlink():
            raise ContentError(
                "is a link, and what lies here is published; put the file itself here", file=path, rule="link"
            )
        if path.is_file():
            found[name] = path.read_bytes()
    return found


def own_templates(directory: Path) -> Path:
    """A folder of somebody's own templates.

    Raises:
        ContentError: it lacks a file that the program's own have: pages are made of all of them.
    """
    missing = [name for name in read_tree(packaged_templates()) if not (directory / name).is_file()]
    if missing:
        raise ContentError(
            f"a folder of templates must be complete, and has no {', '.join(missing[:MISSING_SHOWN])}"
            f"{', …' if missing[MISSING_SHOWN:] else ''} ({len(missing)} missing); "
            "copy what it lacks from a fresh set, which this makes: terbit templates NEW",
            file=directory,
            rule="templates",
        )
    return directory


def packaged_templates() -> Path:
    """The templates that come with the program, installed or in its source tree."""
    from importlib.util import find_spec

    spec = find_spec("site_templates")
    if spec is None or not spec.submodule_search_locations:
        raise ContentError(
            "site_templates did not come with this installation; install terbit again", rule="installation"
        )
    return Path(next(iter(spec.submodule_search_locations)))
