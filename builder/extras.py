"""What stands beside results and pages: data files, pages for frames, lists from A to Z, the search index, feeds, files for a domain's visitors.

Each is a function of what the site is one of, and is made anew when what it shows has changed. Here is when; how, in the modules that are called.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.cards import card_path, draw
from builder.catalog import Listing, catalog_files, data_page
from builder.cdf import cdf_report
from builder.domain import domain_files
from builder.election import Contest, Definition
from builder.embeds import embed_page, embedded_rows, oembed
from builder.exports import portion_files, portion_paths, portions, top_row
from builder.feeds import Feeds
from builder.languages import LANGUAGES
from builder.ledger import Cut, PackageRecord
from builder.letters import letters_page
from builder.missing import missing_page
from builder.pages import Pages
from builder.parts import Part
from builder.recap import Cover
from builder.results import View
from builder.search import search_files
from builder.tally import Tally

__all__ = ["Extras"]

File = tuple[str, bytes]


@dataclass(frozen=True)
class Extras:
    """What stands beside the results of one site. `views` gives the views of rows of a contest, `pages` the pages in a language; `fonts` are those of cards."""

    definition: Definition
    cuts: Sequence[Cut]
    tallies: Mapping[str, Tally]
    covers: Callable[[int], tuple[PackageRecord, Cover]]
    releases: Sequence[int]
    views: Callable[[str, Sequence[int]], Iterable[View]]
    pages: Callable[[str], Pages]
    fonts: Sequence[Path]

    def part_files(self, part: Part, since: int, listed: Listing, *, everything: bool) -> Iterator[File]:
        """What stands beside the results of a part and changed after release `since`; `everything` if all pages did.

        `listed` is what the part's role listed at that release: what did not change need not be made to be described. Without it, it is made.
        """
        contest = self.tallies[part.contest].contest
        releases = self.tallies[part.contest].areas["release"]
        rows = embedded_rows(self.definition, contest, part.rows)
        rows = [row for row in rows if everything or releases[row] > since]
        for row, view in zip(rows, self.views(contest.id, rows), strict=True):
            for language in self.definition.election.languages:
                yield embed_page(view, self.definition, contest, row, self.pages(language))
                if everything:
                    yield from oembed(view, self.definition, contest, row, self.pages(language))
            yield from self.cards(view)
        top = top_row(self.definition, contest)
        if top in rows:
            yield from self._data_files(contest, top, since, listed, everything=everything)

    def cards(self, view: View) -> Iterator[File]:
        """The cards of an area that has some, one in each of their languages."""
        for language in self.definition.election.card_languages:
            yield card_path(view["path"], language), draw(self.pages(language).card(view), self.fonts)

    def _data_files(self, contest: Contest, top: int, since: int, listed: Listing, *, everything: bool) -> Iterator[File]:  # fmt: skip
        tally, listing = self.tallies[contest.id], dict[str, tuple[int, str]]()
        for portion in portions(self.definition, contest):
            paths = portion_paths(portion)
            changed = everything or tally.areas["release"][portion.first] > since
            if not changed and paths.keys() <= listed.keys():
                listing |= {path: listed[path] for path in paths}
                continue
            for path, data in portion_files(self.definition, tally, portion):
                listing[path] = len(data), hashlib.sha256(data).hexdigest()
                if changed:
                    yield path, data
        view = next(iter(self.views(contest.id, [top])))
        report = cdf_report(self.definition, tally, view)
        path = f"{portions(self.definition, contest)[0].path}.cdf.json"
        listing[path] = len(report), hashlib.sha256(report).hexdigest()
        yield path, report
        yield from self._descriptions(contest, view, listing)

    def descriptions(self, part: Part, listing: Listing) -> Iterator[File]:
        """What describes the data files of a part, by their `listing`."""
        contest = self.tallies[part.contest].contest
        top = top_row(self.definition, contest)
        if part.beside and top in part.rows:
            yield from self._descriptions(contest, next(iter(self.views(contest.id, [top]))), listing)

    def _descriptions(self, contest: Contest, view: View, listing: Listing) -> Iterator[File]:
        yield from catalog_files(self.definition, contest, view, listing)
        for language in self.definition.election.languages:
            yield data_page(self.definition, contest, view, listing, self.pages(language))

    def letters(self, part: Part) -> Iterator[File]:
        """The list of a part's areas from A to Z, in each language."""
        contest = self.tallies[part.contest].contest
        for language in self.definition.election.languages:
            yield letters_page(self.definition, contest, part.rows, self.pages(language))

    def site_files(self) -> Iterator[File]:
        """Feeds, and files for a domain's visitors."""
        for language in self.definition.election.languages:
            wording = self.pages(language).wording
            feeds = Feeds(self.definition, self.cuts, self.tallies, self.covers, self.releases, wording, language)
            yield from feeds.files()
        yield from domain_files(self.definition, self.cuts[-1].time)
        yield "404.html", missing_page(self.definition, {language: self.pages(language) for language in LANGUAGES})

    def lasting_files(self) -> Iterator[File]:
        """The search index."""
        return search_files(self.definition)
