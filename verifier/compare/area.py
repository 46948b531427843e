"""One area's results file against somebody's own tallies of it: bytes and figures in, differences out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import msgspec

from verifier.compare.definition import Form
from verifier.compare.tallies import OWN_ROW, Figures
from verifier.errors import FormatError, VerificationError

__all__ = ["AreaReport", "Difference", "Figure", "Finding", "Revision", "compare_area"]

PENDING = "pending"  # listed, no votes yet
WITHDRAWN = "withdrawn"
STATIONS_ON_PAGE = 60  # docs/formats.md, "Pages of stations"


class Figure(msgspec.Struct, frozen=True):
    """One figure that is not the same; None: there is none."""

    figure: str
    yours: int | None
    published: int | None


class Finding(msgspec.Struct, frozen=True):
    """A rule of the form that the published figures do not keep: its two sides."""

    rule: str
    station: str
    series: str
    left: int | None
    right: int | None


class Revision(msgspec.Struct, frozen=True):
    """A change of a published row: who, why, and what it was (docs/formats.md, "Results")."""

    station: str
    series: str
    revision: int
    state: str
    reason: str
    note: str
    changes: tuple[tuple[str, int | None, int | None], ...]
    package: str
    release: int
    by: str
    attestation: str
    document: str


class Difference(msgspec.Struct, frozen=True):
    """A station, or with an empty `station` the area's own recapitulation, of which something is not the same.

    `differs`: both have it; `unlisted`: only the tallies; `missing`: only the site. `page`: where it is shown, relative
    to the election. `state`: "", "withdrawn" or "pending"; `revision`: 0 where nothing is published.
    """

    kind: Literal["differs", "unlisted", "missing"]
    area: str
    name: str
    station: str
    page: str
    state: str = ""
    revision: int = 0
    figures: tuple[Figure, ...] = ()
    findings: tuple[Finding, ...] = ()
    history: tuple[Revision, ...] = ()


@dataclass(frozen=True)
class AreaReport:
    """How many of the tallies' rows were compared with published ones, and what is not the same."""

    compared: int
    differences: tuple[Difference, ...]


class _Area(msgspec.Struct, frozen=True):
    code: str
    name: str


class _Table(msgspec.Struct, frozen=True):
    columns: tuple[str, ...]
    rows: tuple[tuple[str | int | None, ...], ...]


class _Recap(msgspec.Struct, frozen=True):
    votes: tuple[int | None, ...]
    fields: tuple[int | None, ...]
    revision: int
    withdrawn: bool


class _Results(Form, frozen=True):
    path: str
    area: _Area
    polling_stations: _Table
    recap: _Recap | None
    # Most areas have no difference: these are read only where there is one.
    findings: msgspec.Raw
    revisions: msgspec.Raw


_RESULTS = msgspec.json.Decoder(_Results)
_FINDINGS = msgspec.json.Decoder(tuple[Finding, ...])
_REVISIONS = msgspec.json.Decoder(tuple[Revision, ...])


def compare_area(
    data: bytes, path: str, columns: tuple[str, ...], tallies: Mapping[str, Figures], *, missing: bool
) -> AreaReport:
    """Compare `tallies` (figures of `columns`, by station number) with the verified results file `data` at `path`.

    `missing`: also tell stations that only the site has. A figure that is None in the tallies is not compared.
    FormatError or VerificationError if `data` is no results file of this path.
    """
    try:
        results = _RESULTS.decode(data)
        if results.path != path:
            raise VerificationError(f"{path} says that it is {results.path}")
        return _compare(results, columns, tallies, missing=missing)
    except (ValueError, IndexError, RecursionError) as error:
        raise FormatError(f"{path} is not a results file of this format: {error}") from None


def _compare(
    results: _Results, columns: tuple[str, ...], tallies: Mapping[str, Figures], *, missing: bool
) -> AreaReport:
    found: list[Difference] = []
    seen: set[str] = set()
    station_at, revision_at, state_at, *places = _positions(
        results.polling_stations.columns, ("station", "revision", "state", *columns)
    )
    for place, row in enumerate(results.polling_stations.rows):
        station = str(row[station_at])
        yours = tallies.get(station)
        if yours is None:
            if missing and row[state_at] != PENDING:
                found.append(_difference("missing", results, station, row[state_at], row[revision_at], place=place))
            continue
        seen.add(station)
        published = tuple([row[column] for column in places])
        if yours != published and (figures := _figures(columns, yours, published)):
            found.append(_difference("differs", results, station, row[state_at], row[revision_at], figures, place))
    if OWN_ROW in tallies and results.recap is not None:
        seen.add(OWN_ROW)
        recap = results.recap
        every = (*recap.votes, *recap.fields)
        published = tuple([every[place] for place in _positions(results.figures, columns)])
        if figures := _figures(columns, tallies[OWN_ROW], published):
            state = WITHDRAWN if recap.withdrawn else ""
            found.append(_difference("differs", results, OWN_ROW, state, recap.revision, figures))
    found += [_difference("unlisted", results, station, "", 0) for station in tallies if station not in seen]
    return AreaReport(len(seen), tuple(found))


@lru_cache(maxsize=16)
def _positions(have: tuple[str, ...], want: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(map(have.index, want))


def _figures(columns: Sequence[str], yours: Figures, published: Sequence[object]) -> tuple[Figure, ...]:
    """The figures that are not the same."""
    return tuple(
        Figure(column, mine, theirs if isinstance(theirs, int) else None)
        for column, mine, theirs in zip(columns, yours, published, strict=True)
        if mine is not None and mine != theirs
    )


def _difference(
    kind: Literal["differs", "unlisted", "missing"],
    results: _Results,
    station: str,
    state: object,
    revision: object,
    figures: tuple[Figure, ...] = (),
    place: int = 0,
) -> Difference:
    """With what the file says about this row: findings and history. `place`: the station's among the area's, from 0."""
    series = "count" if station else "recap"
    page = place // STATIONS_ON_PAGE + 1
    return Difference(
        kind=kind,
        area=results.area.code,
        name=results.area.name,
        station=station,
        page=f"{results.path.removesuffix('.json')}{f'-{page}' if page > 1 else ''}.html",
        state=str(state),
        revision=revision if isinstance(revision, int) else 0,
        figures=figures,
        findings=tuple(
            one for one in _FINDINGS.decode(results.findings) if (one.station, one.series) == (station, series)
        ),
        history=tuple(
            one for one in _REVISIONS.decode(results.revisions) if (one.station, one.series) == (station, series)
        ),
    )
