"""The site: which files there are, which role signs each, and their bytes. Pure, given the inputs that are read here once.

The site is a function of the ledger through one cut, the definition, the content, the templates and this program: no clock, no randomness.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path

from builder.content import LANGUAGES, read_pages
from builder.election import Contest, Definition, load_definition
from builder.errors import ContentError
from builder.hashing import input_hash
from builder.inputs import archive_names, kept_archive
from builder.ledger import Cut, Ledger, PackageRecord
from builder.mirrors import MIRRORS_FILE, mirrors_list
from builder.navigation import Navigation
from builder.pack import Entry
from builder.pages import GONE_DATA, GONE_PAGES, Pages, language_folder
from builder.recap import Cover
from builder.results import View, Views, encode_view
from builder.rows import Rows
from builder.scripts import join_modules, standalone_checker
from builder.tally import Tally, definition_cut, package_releases, tally

__all__ = ["Inputs", "Part", "Site", "entry_of", "make_tallies", "packaged_templates", "parts", "read_tree"]

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


@dataclass(frozen=True)
class Part:
    """What one signing role covers of one contest: rows of areas."""

    role: str
    contest: str
    rows: tuple[int, ...]


def parts(definition: Definition) -> list[Part]:
    """All parts, in the order of contests and areas: the areas above the shard level, then each shard."""
    found = []
    areas = definition.areas
    for contest in definition.election.contests:
        top = areas.index[contest.area] if contest.area else 0
        by_shard: dict[str, list[int]] = {}
        for row in range(top, areas.ends[top]):
            by_shard.setdefault(areas.shards[row], []).append(row)
        for shard, rows in by_shard.items():
            found.append(Part(f"{contest.group}-{shard}" if shard else contest.group, contest.id, tuple(rows)))
    return found


class Site:
    """The site at the last of `cuts`. `tallies` hold each contest's figures at that cut."""

    def __init__(self, inputs: Inputs, ledger: Ledger, tallies: dict[str, Tally]) -> None:
        self.inputs, self.ledger, self.tallies = inputs, ledger, tallies
        self.definition, self.cuts = inputs.definition, ledger.cuts
        self.releases = package_releases(self.cuts)
        self._pages = lru_cache(maxsize=None)(partial(Pages, inputs.templates, self.definition.election))
        self._navigation = Navigation(self.definition)
        self.covers = lru_cache(maxsize=4096)(self._cover)
        self._rows_by_path = lru_cache(maxsize=None)(self._row_paths)

    @cached_property
    def pages_release(self) -> int:
        """The latest cut at which every page was made anew: templates, program or definition changed."""
        changed = [
            cut.release
            for before, cut in zip(self.cuts, self.cuts[1:], strict=False)
            if (before.templates, before.builder) != (cut.templates, cut.builder)
        ]
        return max([definition_cut(self.cuts), *changed])

    def part_release(self, part: Part) -> int:
        """The latest cut at which a file of this part changed."""
        latest = self.tallies[part.contest].areas["release"].gather(list(part.rows)).max()
        return max(int(latest), self.pages_release)  # type: ignore[arg-type]

    def area_files(self, part: Part, since: int) -> Iterator[tuple[Entry, bytes]]:
        """JSON and page of every area of a part that changed after release `since`."""
        releases = self.tallies[part.contest].areas["release"].gather(list(part.rows)).to_list()
        all_pages = self.pages_release > since
        rows = [row for row, release in zip(part.rows, releases, strict=True) if all_pages or release > since]
        for row, view in zip(rows, self.views(part.contest, rows), strict=True):
            if view["release"] > since:
                yield entry_of(view["path"], encode_view(view))
            for language in self.definition.election.languages:
                yield entry_of(*self._area_page(row, view, language))

    def _area_page(self, row: int, view: View, language: str) -> tuple[str, bytes]:
        """An area's page in one language, with its path."""
        around = self._navigation.around(self.tallies[view["contest"]].contest, row)
        path = f"{language_folder(language)}{view['path'].removesuffix('json')}html"
        return path, self._pages(language).area_page(view, around)

    def views(self, contest: str, rows: Sequence[int]) -> Iterable[View]:
        def time_of(release: int) -> str:
            return self.cuts[release - 1].time

        return Views(self.definition, self.tallies[contest], self.covers, self.releases, time_of).views(rows)

    def input_files(self, since: int) -> Iterator[tuple[Entry, bytes]]:
        """Content and templates of each cut after release `since`, and not of one before: also files of role `site`."""
        for name, release in archive_names(self.cuts).items():
            if release > since:
                yield entry_of(f"inputs/{name}", kept_archive(self.ledger.directory, name))

    def site_files(self) -> Iterator[tuple[Entry, bytes]]:
        """Front page, content pages, assets, schema: files of role `site`."""
        cut = self.cuts[-1]
        nations = [(contest, self._top_view(contest)) for contest in self.definition.election.contests]
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
        yield entry_of("sw.js", join_modules(templates, "sw"))
        yield entry_of("assets/periksa.html", standalone_checker(templates))
        yield entry_of("mirrors.json", mirrors_list(self.inputs.content_files.get(MIRRORS_FILE)))
        for name, data in sorted(templates.items()):
            if name.startswith("assets/"):
                if name.count("/") != 1:
                    raise ContentError(
                        "assets lie directly in assets/, without folders",
                        file=self.inputs.templates / name,
                        rule="assets",
                    )
                yield entry_of(name, data)

    def render(self, path: str) -> bytes | None:
        """One file by its path, for previews; None if the site has none of that name."""
        languages = self.definition.election.languages
        language = next((one for one in languages[1:] if path.startswith(language_folder(one))), languages[0])
        name, _, kind = path.removeprefix(language_folder(language)).rpartition(".")
        contest = name.partition("/")[0]
        if contest in self.tallies:
            row = self._rows_by_path(contest).get(name)
            if row is None or kind not in {"json", "html"} or (kind == "json" and language != languages[0]):
                return None
            view = next(iter(self.views(contest, [row])))
            return encode_view(view) if kind == "json" else self._area_page(row, view, language)[1]
        files = self.input_files(0) if path.startswith("inputs/") else self.site_files()
        return next((data for entry, data in files if entry.path == path), None)

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


def packaged_templates() -> Path:
    """The templates that come with the program, installed or in its source tree."""
    from importlib.util import find_spec

    spec = find_spec("site_templates")
    if spec is None or not spec.submodule_search_locations:
        raise ContentError(
            "site_templates did not come with this installation; install terbit again", rule="installation"
        )
    return Path(next(iter(spec.submodule_search_locations)))
