"""Somebody's own tallies, from a CSV file as spreadsheets write it (docs/compare.md)."""

import csv
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import TextIO

from verifier.errors import VerifierError

__all__ = ["OWN_ROW", "Figures", "InputError", "Tallies", "read_tallies"]

# In place of a station's number: the area's own row, its recapitulation.
OWN_ROW = ""
DELIMITERS = ",;\t"
_AREA = re.compile(r"-?[0-9a-z]{1,20}")
_STATION = re.compile(r"[0-9A-Za-z._-]{1,16}")
_FIGURE = re.compile(r"0|[1-9][0-9]{0,8}")

Figures = tuple[int | None, ...]


class InputError(VerifierError):
    """The file of tallies is not what it should be; nothing was compared."""

    exit_code = 2


@dataclass(frozen=True)
class Tallies:
    """`areas`: by area code and station number, the figures of `columns`; None where the cell is empty.
    `ignored`: the file's other columns."""

    columns: tuple[str, ...]
    areas: Mapping[str, Mapping[str, Figures]]
    ignored: tuple[str, ...]

    @property
    def rows(self) -> int:
        return sum(map(len, self.areas.values()))


class _Cells(dict[str, int | None]):
    """Cells' texts to figures. A nation has millions of cells and some thousands of texts: each is judged once."""

    def __missing__(self, text: str) -> int | None:
        if text and not _FIGURE.fullmatch(text):
            raise ValueError(text)
        return self.setdefault(text, int(text) if text else None)


def read_tallies(file: Path, figures: Collection[str], names: Mapping[str, str]) -> Tallies:
    """Read `file`. `figures`: the columns that the contest has; `names`: how a column of ours is called in the file,
    where it is not called as ours.

    InputError with file, line, field and rule for anything else than one row for each station or area.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            header = stream.readline()
            delimiter = max(DELIMITERS, key=header.count)
            stream.seek(0)
            return _Reader(file, stream, delimiter).read(figures, names)
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{file} is not UTF-8 text: save it as “CSV UTF-8”") from None


class _Reader:
    """One file, row by row."""

    def __init__(self, file: Path, stream: TextIO, delimiter: str) -> None:
        self._file = file
        self._rows = csv.reader(stream, delimiter=delimiter, strict=True)
        self._areas: dict[str, dict[str, Figures]] = {}
        self._known_stations = {OWN_ROW}

    def _fail(self, field: str, rule: str) -> InputError:
        return InputError(f"{self._file}, line {self._rows.line_num}, {field}: {rule}")

    def read(self, figures: Collection[str], names: Mapping[str, str]) -> Tallies:
        try:
            header: list[str] = next(self._rows, [])
            columns = self._columns(header, figures, names)
            theirs = [names.get(name, name) for name in columns]
            area_at, station_at = (header.index(names.get(name, name)) for name in ("area", "station"))
            pick = _picker([header.index(name) for name in theirs])
            cells = _Cells()
            for row in self._rows:
                if len(row) == len(header):
                    stations, station = self._place(row[area_at], row[station_at])
                    try:
                        stations[station] = tuple(map(cells.__getitem__, pick(row)))
                    except ValueError as error:
                        rule = f"{str(error)!r} is no whole number of up to 9 digits, without spaces, signs or leading zeros"
                        raise self._fail(theirs[pick(row).index(str(error))], rule) from None
                elif row:
                    raise self._fail("row", f"has {len(row)} cells, the header {len(header)}")
        except csv.Error as error:
            raise self._fail("row", f"is no CSV: {error}") from None
        used = {*theirs, header[area_at], header[station_at]}
        return Tallies(columns, self._areas, tuple(name for name in header if name not in used))

    def _columns(self, header: Sequence[str], figures: Collection[str], names: Mapping[str, str]) -> tuple[str, ...]:
        """The contest's figures that the file has, in the contest's order."""
        for name in names:
            if name not in {"area", "station", *figures}:
                raise self._fail("--columns", f"{name} is none of area, station, {', '.join(figures)}")
        columns = tuple(name for name in figures if name in names or name in header)
        for name in ("area", "station", *columns):
            if (count := header.count(names.get(name, name))) != 1:
                raise self._fail(names.get(name, name), f"the header has this column {count} times; {name} needs one")
        if not columns:
            raise self._fail("header", f"has none of {', '.join(figures)}; if they have other names, see --columns")
        return columns

    def _place(self, area: str, station: str) -> tuple[dict[str, Figures], str]:
        """Where the row of this station belongs."""
        stations = self._areas.get(area)
        if stations is None:
            if not _AREA.fullmatch(area):
                raise self._fail("area", f"{area!r} is no area's code: digits and small letters, up to 20")
            stations = self._areas[area] = {}
        if station not in self._known_stations:
            if not _STATION.fullmatch(station):
                raise self._fail("station", f"{station!r} is no station's number: up to 16 letters, digits and . _ -")
            self._known_stations.add(station)
        if station in stations:
            raise self._fail("station", f"area {area} has a row for “{station}” above; one row each")
        return stations, station


def _picker(positions: Sequence[int]) -> Callable[[list[str]], tuple[str, ...]]:
    if len(positions) == 1:  # itemgetter of one gives the item, not a tuple
        return lambda row: (row[positions[0]],)
    return itemgetter(*positions)
