"""Results: the tally's columns to one plain view for each area, and the view to bytes.

The view's shape is docs/formats.md, "Results". A view depends on its own subtree's rows and on static names, so that an unchanged area stays byte-identical.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, lru_cache
from typing import Any

import msgspec

from builder import limits
from builder.areas import path_name
from builder.election import Contest, Definition
from builder.ledger import PackageRecord
from builder.officials import fingerprint
from builder.progress import thinned
from builder.recap import Cover
from builder.tally import Tally
from builder.thumbnails import SUFFIX, is_thumbnail

__all__ = ["RESULTS_FORMAT", "View", "Views", "encode_view"]

RESULTS_FORMAT = 1

View = dict[str, Any]
Figures = Sequence[int | None]
_encode = msgspec.json.Encoder(order="sorted").encode


def encode_view(view: View) -> bytes:
    """A view as the bytes of its results file."""
    return _encode(view) + b"\n"


def scan_subject(file: str) -> tuple[str, str]:
    """The area, as in paths, and the station (empty: the area itself) that a scan is named after: `<area>[_<station>[_…]].<suffix>`; a thumbnail's is its scan's."""
    area, station, *_ = [*file.removesuffix(SUFFIX).rpartition(".")[0].split("_"), ""]
    return area, station


class Views:
    """Views of one contest's areas at one cut.

    `covers` gives the record and cover of a package by its number in the ledger, `times` the time of each release.
    """

    def __init__(
        self,
        definition: Definition,
        tally: Tally,
        covers: Callable[[int], tuple[PackageRecord, Cover]],
        releases: Sequence[int],
        times: Callable[[int], str],
    ) -> None:
        self.definition, self.contest, self.tally = definition, tally.contest, tally
        self.covers, self.releases, self.times = covers, releases, times
        self._levels = [level.id for level in definition.election.levels]
        self._columns = {name: place for place, name in enumerate(tally.areas.columns)}
        self._votes = self._places(self.contest.votes)
        self._fields = self._places(self.contest.fields)
        self._recap_votes = self._places(f"recap_{name}" for name in self.contest.votes)
        self._recap_fields = self._places(f"recap_{name}" for name in self.contest.fields)
        self._below_votes = self._places(f"below_{name}" for name in self.contest.votes)
        self._below_fields = self._places(f"below_{name}" for name in self.contest.fields)
        self._rules = [
            (name.removeprefix("rule_"), place) for name, place in self._columns.items() if name.startswith("rule_")
        ]
        self._scans_of = lru_cache(maxsize=1024)(self._scans_by_area)
        self._static = _static_part(definition, self.contest)

    def _places(self, names: Iterable[str]) -> list[int]:
        return [self._columns[name] for name in names]

    def views(self, rows: Sequence[int]) -> Iterable[View]:
        """Views of the areas in `rows` (in any order; a whole shard at a time is fastest)."""
        children = {row: self._children(row) for row in rows}
        wanted = sorted({*rows, *(child for below in children.values() for child in below)})
        figures = dict(zip(wanted, self.tally.areas[wanted].iter_rows(), strict=True))
        for row in rows:
            yield self._view(row, figures, children[row])

    def _children(self, row: int) -> list[int]:
        ends = self.definition.areas.ends
        found, child = [], row + 1
        while child < ends[row]:
            found.append(child)
            child = ends[child]
        return found

    def _view(self, row: int, figures: dict[int, tuple[Any, ...]], children: list[int]) -> View:
        areas, own, column, of_area = self.definition.areas, figures[row], self._columns, self.tally.of_area
        release, reported, expected = own[column["release"]], own[column["reported"]], own[column["expected"]]
        votes = [own[place] for place in self._votes]
        recap, below = self._recap(own), self._below(own)
        official = _official(recap, below)
        return {
            **self._static,
            "path": f"{areas.path(self.contest.id, row)}.json",
            "release": release,
            "released": self.times(release),
            "area": {"code": areas.codes[row], "name": areas.names[row], "level": self._levels[areas.levels[row]], "kind": areas.kinds[row]},
            "parents": [
                {"code": areas.codes[up], "name": areas.names[up], "level": self._levels[areas.levels[up]], "path": areas.path(self.contest.id, up)}
                for up in areas.ancestors(row)
            ],
            "stations": {"expected": expected, "listed": own[column["listed"]], "reported": reported, "withdrawn": own[column["withdrawn"]]},
            "count": {"status": _status(reported, expected), "votes": votes, "fields": [own[place] for place in self._fields]},
            "recap": recap,
            "below": below,
            "difference": _difference(official, votes),
            "children": {"columns": self._child_columns, "rows": [self._child(child, figures[child]) for child in children]},
            "polling_stations": {"columns": self._station_columns, "rows": [station[1:] for station in of_area("stations", row)]},
            "findings": [
                {"station": station, "series": "recap" if is_recap else "count", "rule": rule, "left": left, "right": right}
                for _, station, is_recap, rule, left, right in of_area("findings", row)
            ],
            "finding_counts": {rule: own[place] for rule, place in self._rules if own[place]},
            "revisions": [self._revision(entry) for entry in of_area("history", row)],
            "sources": [self._source(number) for number in own[column["sources"]] or ()],
            **self._scans(path_name(areas.codes[row]), own[column["sources"]] or ()),
            **self._progress(of_area("progress", row)),
        }  # fmt: skip

    @cached_property
    def _station_columns(self) -> tuple[str, ...]:
        return ("station", "revision", "state", *self.contest.figures, "findings")

    @cached_property
    def _child_columns(self) -> tuple[str, ...]:
        recaps = (name.replace("votes_", "recap_") for name in self.contest.votes)
        return ("code", "name", "path", "expected", "reported", *self.contest.figures, *recaps, "findings")

    def _child(self, row: int, own: tuple[Any, ...]) -> tuple[Any, ...]:
        areas, column = self.definition.areas, self._columns
        recap = [None if own[column["recap_withdrawn"]] else own[place] for place in self._recap_votes]
        return (
            areas.codes[row], areas.names[row], areas.path(self.contest.id, row), own[column["expected"]], own[column["reported"]],
            *(own[place] for place in self._votes), *(own[place] for place in self._fields), *recap,
            sum(own[place] for _, place in self._rules),
        )  # fmt: skip

    def _recap(self, own: tuple[Any, ...]) -> View | None:
        column = self._columns
        revision = own[column["recap_revision"]]
        if revision is None:
            return None
        reason = self.covers(own[column["recap_package"]])[1].revision
        status = "certified" if revision == 1 else "recount" if reason and reason.reason == "recount" else "correction"
        return {
            "status": status, "revision": revision, "withdrawn": own[column["recap_withdrawn"]],
            "votes": [own[place] for place in self._recap_votes], "fields": [own[place] for place in self._recap_fields],
        }  # fmt: skip

    def _below(self, own: tuple[Any, ...]) -> View | None:
        handed_in, children = own[self._columns["handed_in"]], own[self._columns["children"]]
        if not handed_in:
            return None
        return {
            "status": _status(handed_in, children), "handed_in": handed_in, "expected": children,
            "votes": [own[place] for place in self._below_votes], "fields": [own[place] for place in self._below_fields],
        }  # fmt: skip

    def _revision(self, entry: tuple[Any, ...]) -> View:
        names = self.contest.figures
        _, station, is_recap, revision, withdrawn, number = entry[:6]
        new, old = entry[6 : 6 + len(names)], entry[6 + len(names) :]
        record, cover = self.covers(number)
        reason = cover.revision
        return {
            "station": station, "series": "recap" if is_recap else "count", "revision": revision, "state": "withdrawn" if withdrawn else "",
            "reason": reason.reason if reason else "late", "note": reason.note if reason else "",
            "changes": [(figure, before, after) for figure, before, after in zip(names, old, new, strict=True) if before != after],
            "package": record.package, "release": self.releases[number], "document": cover.document, **_vouched(record, cover),
        }  # fmt: skip

    def _scans(self, area: str, sources: Iterable[int]) -> View:
        """The scans that name this area; no key at all where there are none, as for most areas."""
        found = [scan for number in sources for scan in self._scans_of(number).get(area, ())]
        return {"scans": found} if found else {}

    def _scans_by_area(self, number: int) -> dict[str, list[View]]:
        """A package's scans by the area that their names begin with: `<area>[_<station>[_…]].<suffix>`."""
        record, cover = self.covers(number)
        by_area: dict[str, list[View]] = {}
        thumbnails = {scan.file: scan.sha256 for scan in cover.scans if is_thumbnail(scan.file)}
        for scan in cover.scans:
            if scan.file in thumbnails:
                continue
            area, station = scan_subject(scan.file)
            thumbnail = thumbnails.get(f"{scan.file}{SUFFIX}")
            by_area.setdefault(area, []).append(
                {
                    "station": station,
                    "file": scan.file,
                    "length": scan.length,
                    "sha256": scan.sha256,
                    "package": record.package,
                    **({"thumbnail": thumbnail} if thumbnail else {}),
                }
            )
        return by_area

    def _progress(self, points: Sequence[tuple[Any, ...]]) -> View:
        """How the count came in; no key at all where there are not two points, as below the shard level."""
        if len(points) < 2:
            return {}
        shown = thinned(points, limits.PROGRESS_POINTS)
        columns = ("release", "released", "reported", *self.contest.votes)
        rows = [(release, self.times(release), *figures) for _, release, *figures in shown]
        return {"progress": {"columns": columns, "rows": rows}}

    def _source(self, number: int) -> View:
        record, cover = self.covers(number)
        return {
            "package": record.package, "series": cover.series, "tier": cover.tier, "area": cover.area, "form": cover.form, "document": cover.document,
            **_vouched(record, cover),
        }  # fmt: skip


def _vouched(record: PackageRecord, cover: Cover) -> View:
    """Who vouches for a package: the operator in his words, or an official by area, key and signature."""
    by = cover.attestation.by
    if record.signer is None:
        return {"attestation": "operator", "by": by}
    return {"attestation": "official", "by": f"{by} {fingerprint(record.signer)}", "signature": record.signature}


def _static_part(definition: Definition, contest: Contest) -> View:
    return {
        "format": f"terbit-results-{RESULTS_FORMAT}",
        "election": definition.election.id,
        "contest": contest.id,
        "candidates": [{"number": one.number, "name": one.name, "party": one.party} for one in contest.candidates],
        "fields": contest.fields,
    }


def _status(reported: int, expected: int) -> str:
    if reported == 0:
        return "pre-election"
    return "unofficial-partial" if reported < expected else "unofficial-complete"


def _official(recap: View | None, below: View | None) -> Figures | None:
    """The votes to hold against the count: the recap's, or those below it once all of them are in. A part would look like missing votes."""
    own: Figures | None = recap["votes"] if recap and not recap["withdrawn"] else None
    whole: Figures | None = below["votes"] if below and below["handed_in"] == below["expected"] else None
    return whole if own is None else own


def _difference(official: Figures | None, votes: Figures) -> list[int | None] | None:
    if official is None or all(vote is None for vote in votes):
        return None
    return [
        None if left is None or right is None else left - right for left, right in zip(official, votes, strict=True)
    ]
