"""Atom feeds (RFC 4287) of the releases and of the corrections, from the ledger's cuts and the rows of revision 2 and later.

docs/formats.md, "Feeds". An entry never changes: each is of one cut, and has its time.
"""

import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET  # written, never read

import polars as pl

from builder import limits
from builder.election import Contest, Definition
from builder.languages import language_suffix
from builder.ledger import Cut, PackageRecord
from builder.recap import Cover
from builder.station_pages import page_number, page_path
from builder.tally import Tally
from builder.wording import Wording

__all__ = ["CORRECTIONS_SHOWN", "RELEASES_SHOWN", "Feeds"]

RELEASES_SHOWN = 50
CORRECTIONS_SHOWN = 100
_ATOM = "http://www.w3.org/2005/Atom"
# XML 1.0 has no way to write these; a note of a package may hold them.
_NO_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Entry(NamedTuple):
    key: str
    title: str
    time: str
    link: str
    text: str


@dataclass(frozen=True)
class Feeds:
    """The feeds at the last of `cuts`, in one language. `covers` gives a package by its number, `releases` has the release of each."""

    definition: Definition
    cuts: Sequence[Cut]
    tallies: Mapping[str, Tally]
    covers: Callable[[int], tuple[PackageRecord, Cover]]
    releases: Sequence[int]
    wording: Wording
    language: str

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Path and bytes of each feed."""
        suffix = f"{language_suffix(self.language)}.atom"
        for name, entries in (("releases", self._releases()), ("corrections", self._corrections())):
            yield f"feeds/{name}{suffix}", self._feed(f"feeds/{name}{suffix}", self._words[name], list(entries))

    @property
    def _words(self) -> Mapping[str, str]:
        words: Mapping[str, str] = self.wording.texts["feeds"]
        return words

    @cached_property
    def _replaced(self) -> dict[str, pl.DataFrame]:
        """Each contest's corrections."""
        return {name: _corrections(tally) for name, tally in self.tallies.items()}

    def _releases(self) -> Iterator[_Entry]:
        before = [0, *(cut.through for cut in self.cuts)]
        replaced = Counter(
            self.releases[package] for history in self._replaced.values() for package in history["package"]
        )
        for cut in self.cuts[: -RELEASES_SHOWN - 1 : -1]:
            title = self._words["release"].format(release=cut.release)
            text = self._words["packages"].format(count=cut.through - before[cut.release - 1])
            if count := replaced[cut.release]:
                text = f"{text} {self._words['replaced'].format(count=count)}"
            yield _Entry(f"release:{cut.release}", title, cut.time, "index.html", text)

    def _corrections(self) -> Iterator[_Entry]:
        """The newest revisions of all contests; those of one package in the order of areas and stations."""
        found = [
            (contest, row)
            for contest, history in self._replaced.items()
            for row in _newest(history).iter_rows(named=True)
        ]  # fmt: skip
        found.sort(key=lambda one: (-one[1]["package"], one[0]))
        for contest, row in found[:CORRECTIONS_SHOWN]:
            yield self._correction(self.tallies[contest].contest, row)

    def _correction(self, contest: Contest, row: Mapping[str, Any]) -> _Entry:
        wording, areas, area = self.wording, self.definition.areas, row["area"]
        record, cover = self.covers(row["package"])
        told = {
            "series": "recap" if row["recap"] else "count", "station": row["station"], "revision": row["revision"],
            "state": "withdrawn" if row["withdrawn"] else "",
            "reason": cover.revision.reason if cover.revision else "late", "note": cover.revision.note if cover.revision else "",
        }  # fmt: skip
        place = ", ".join(areas.names[up] for up in (area, *areas.ancestors(area)[:0:-1]))
        figure, words = wording.figure, self._words
        changes = [
            f"{label}: {figure(row[f'old_{name}'])} → {figure(row[name])}"
            for name, label in self._labels(contest).items()
            if row[name] != row[f"old_{name}"]
        ]
        lines = [
            *changes,
            f"{words['reason']}: {wording.reason(told)}",
            f"{words['document']}: {wording.given(cover.document)}",
            f"{words['by']}: {self._authority(cover)}",
            f"{words['package']}: {record.package}",
        ]
        return _Entry(
            f"revision:{contest.id}:{areas.codes[area]}:{told['series']}:{row['station']}:{row['revision']}",
            f"{place}: {wording.revision_title(told)} ({wording.title(contest.title)})",
            self.cuts[self.releases[row["package"]] - 1].time,
            f"{page_path(areas.path(contest.id, area), self._page(contest, row))}.html",
            "\n".join(lines),
        )

    def _page(self, contest: Contest, row: Mapping[str, Any]) -> int:
        """Number of the page on which the row's station stands; the area's own recapitulation is on the first."""
        area, tally = row["area"], self.tallies[contest.id]
        if row["recap"] or tally.areas["listed"][area] <= limits.STATIONS_ON_PAGE:
            return 1
        stations = tally.of_areas("stations", area, area + 1)["station"]
        return page_number(stations.index_of(row["station"]) or 0)

    def _authority(self, cover: Cover) -> str:
        """Who vouches for a package: an official is told by the name of his area."""
        areas, by = self.definition.areas, cover.attestation.by
        is_official = cover.attestation.kind == "official" and by in areas.index
        return f"{areas.names[areas.index[by]]} ({by})" if is_official else by

    def _labels(self, contest: Contest) -> dict[str, str]:
        candidate = self.wording.words["candidate"]
        names = {
            f"votes_{one.number}": candidate.format(number=one.number, name=one.name) for one in contest.candidates
        }
        return names | {name: self.wording.field(name) for name in contest.fields}

    def _feed(self, path: str, title: str, entries: Sequence[_Entry]) -> bytes:
        election = self.definition.election
        base = election.address or "../"
        feed = ET.Element("feed", {"xmlns": _ATOM, "xml:lang": self.language})
        _add(feed, "id", self._urn(path))
        _add(feed, "title", f"{self.wording.title(election.title)}: {title}")
        _add(feed, "updated", entries[0].time if entries else self.cuts[0].time)
        _add(ET.SubElement(feed, "author"), "name", self.wording.title(election.title))
        ET.SubElement(feed, "link", {"rel": "self", "type": "application/atom+xml", "href": f"{base}{path}"})
        ET.SubElement(feed, "link", {"rel": "alternate", "type": "text/html", "href": f"{base}index.html"})
        for one in entries:
            entry = ET.SubElement(feed, "entry")
            _add(entry, "id", self._urn(one.key))
            _add(entry, "title", one.title)
            _add(entry, "updated", one.time)
            ET.SubElement(entry, "link", {"rel": "alternate", "type": "text/html", "href": f"{base}{one.link}"})
            _add(entry, "content", one.text, type="text")
        ET.indent(feed, "")
        text: str = ET.tostring(feed, encoding="unicode")
        return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'.encode()

    def _urn(self, key: str) -> str:
        """The same for one thing for ever, and another for every election."""
        return uuid.uuid5(uuid.NAMESPACE_URL, f"terbit:{self.definition.election.id}:{self.language}:{key}").urn


def _newest(history: pl.DataFrame) -> pl.DataFrame:
    """The last corrections by package, in the tally's order within one: whatever else the ledger holds, the same rows."""
    ordered = history.with_row_index("place").sort("package", "place", descending=[True, False])
    return ordered.head(CORRECTIONS_SHOWN)


def _corrections(tally: Tally) -> pl.DataFrame:
    """Later revisions, but for stations in which only empty fields were filled in: on a busy night they would bury what was replaced."""
    figures = [(pl.col(name), pl.col(f"old_{name}")) for name in tally.contest.figures]
    is_changed = pl.any_horizontal(new.ne_missing(old) for new, old in figures)
    is_replaced = pl.any_horizontal(new.ne_missing(old) & old.is_not_null() for new, old in figures)
    return tally.history.filter(pl.col("recap") | ~is_changed | is_replaced)


def _add(parent: ET.Element, name: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, name, attributes).text = _NO_XML.sub("\ufffd", text)
