"""Raw Sirekap JSON of polling stations, from a folder or a zip, to recap packages.

One file a station, named by its code (`3101011002013.json`: 10 digits of the village, then the station), as scrapers
keep the public `/pemilu/hhcw/<contest>/…/<code>.json`. `chart` holds votes by the commission's own candidate ids
beside a key `"null"`; it and `administrasi` are null until a form is in. `ts` has no zone and is Jakarta's (UTC+7).
"""

import datetime
import itertools
import json
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar

import msgspec
import polars as pl

from builder import limits
from builder.election import Contest
from builder.errors import ImporterError
from builder.importers.source import ResultsMap

__all__ = ["SirekapMap"]

T = TypeVar("T")

WIB = datetime.timezone(datetime.timedelta(hours=7), "WIB")
FILE_NAME = re.compile(r"[0-9]{11,20}\.json")
SEXES = {"j": "", "l": "_male", "p": "_female"}
FIELDS = {
    "suara_sah": "valid",
    "suara_tidak_sah": "invalid",
    "suara_total": "total",
    **{f"pemilih_dpt_{key}": f"registered{sex}" for key, sex in SEXES.items()},
    **{f"pengguna_dpt_{key}": f"voters_listed{sex}" for key, sex in SEXES.items()},
    **{f"pengguna_dptb_{key}": f"voters_moved{sex}" for key, sex in SEXES.items()},
    **{f"pengguna_non_dpt_{key}": f"voters_unlisted{sex}" for key, sex in SEXES.items()},
    **{f"pengguna_total_{key}": f"voters{sex}" for key, sex in SEXES.items()},
}


class SirekapMap(ResultsMap, frozen=True, kw_only=True):
    """Map of a contest's raw JSON.

    `candidates`: number on the ballot for each of the commission's ids. `area_digits`: how many digits of a file's name
    are the area's code.
    """

    candidates: dict[str, int]
    series: Literal["count"] = "count"
    area_digits: Annotated[int, msgspec.Meta(ge=1, le=19)] = 10

    def read(self, path: Path, contest: Contest) -> pl.DataFrame:
        """The stations' files of a folder or zip.

        A file that is not a station's JSON (duplicate keys, floats, wrong types) is rejected alone; a candidate id that
        the map does not know stops the import, since every file has it.
        """
        votes = [f"votes_{number}" for number in self.candidates.values()]
        if unknown := [name for name in votes if name not in contest.votes]:
            raise ImporterError(f"contest {contest.id!r} has no {unknown[0]!r}", field="candidates", rule="map")
        schema = dict.fromkeys(("source", "area", "station", "time", "reject", *contest.figures), pl.String)
        rows = [_row(name, data, self, contest) for name, data in _files(path)]
        if not rows:
            raise ImporterError("no station's JSON in it (names such as 3101011002013.json)", file=path, rule="files")
        return pl.DataFrame(rows, schema=schema, orient="row")

    def named(self, column: str) -> str:
        """The figure's key in a station's JSON."""
        keys = {f"votes_{number}": f"chart.{name}" for name, number in self.candidates.items()}
        keys |= {name: f"administrasi.{key}" for key, name in FIELDS.items()}
        return keys.get(column, "file name")


class Station(msgspec.Struct, frozen=True):
    """The parts of a station's file that are figures."""

    chart: dict[str, int | None] | None
    administrasi: dict[str, int | None] | None
    ts: str | None = None


def _row(name: str, data: bytes, map_: SirekapMap, contest: Contest) -> list[str | None]:
    code = name.removesuffix(".json")
    row: dict[str, str | None] = {"source": name, "area": code[: map_.area_digits], "station": code[map_.area_digits :]}
    try:
        station = _parse_station(data)
        row["time"] = _utc(station.ts)
    except (ValueError, OverflowError, RecursionError) as error:  # OverflowError: a time before the year 1 in UTC
        row["reject"] = str(error)[:200]
        station = Station(None, None)
    for candidate, votes in (station.chart or {}).items():
        number = map_.candidates.get(candidate)
        if number is not None:
            row[f"votes_{number}"] = _text(votes)
        elif candidate != "null" or votes is not None:
            problem = f"unknown candidate id {candidate[:40]!r}; add it to the map's [candidates]"
            raise ImporterError(problem, file=name, field=f"chart.{candidate[:40]}", rule="candidate")
    for key, value in (station.administrasi or {}).items():
        if key in FIELDS:
            row[FIELDS[key]] = _text(value)
    return [row.get(column) for column in ("source", "area", "station", "time", "reject", *contest.figures)]


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)


def _parse_station(data: bytes) -> Station:
    """Raises ValueError for what is not a station's JSON in one reading alone: duplicate keys, floats, NaN."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    tree = json.loads(text, object_pairs_hook=_object, parse_float=_not_a_figure, parse_constant=_not_a_figure)
    return msgspec.convert(tree, Station)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _not_a_figure(text: str) -> NoReturn:
    raise ValueError(f"{text[:40]} is not an integer")


def _utc(text: str | None) -> str | None:
    if text is None:
        return None
    time = datetime.datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=WIB)
    return time.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every station's file, sorted by name."""
    try:
        if path.is_file() and path.suffix != ".zip":
            raise ImporterError("is neither a folder nor a .zip", file=path, rule="files")
        yield from _zip_files(path) if path.suffix == ".zip" else _folder_files(path)
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
        raise ImporterError(problem, file=error.filename or path, rule="readable") from error
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise ImporterError(f"not a zip that can be read: {error}", file=path, rule="zip") from error


def _folder_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    found = [
        (name, Path(parent) / name)
        for parent, _, names in os.walk(folder, onerror=_raise)
        for name in names
        if FILE_NAME.fullmatch(name)
    ]
    for name, path in _each_once(found, folder):
        # A link in a folder of a stranger could make us read a file of this machine.
        if not stat.S_ISREG(path.lstat().st_mode):
            raise ImporterError("is not a plain file", file=path, rule="files")
        with path.open("rb") as file:
            yield name, _capped(file.read(limits.SIREKAP_FILE + 1), path)


def _zip_files(path: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        members = [(info.filename, info) for info in archive.infolist() if not info.is_dir()]
        if bad := [name for name, _ in members if name.startswith("/") or "\\" in name or ".." in name.split("/")]:
            raise ImporterError(f"{bad[0][:80]!r} is not a plain path inside the zip", file=path, rule="files")
        total = 0
        found = [(name.rsplit("/", 1)[-1], info) for name, info in members]
        for name, info in _each_once([(name, info) for name, info in found if FILE_NAME.fullmatch(name)], path):
            # Only these two methods unpack piece by piece; bzip2 and LZMA give all that a few bytes hold at once.
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ImporterError(f"{name!r} is packed in an unusual way; use deflate", file=path, rule="zip")
            # The stated size may lie (zip bomb): read no more than the cap whatever it says.
            with archive.open(info) as file:
                data = _capped(file.read(limits.SIREKAP_FILE + 1), path / info.filename)
            total += len(data)
            if total > limits.IMPORT_FILE:
                raise ImporterError(f"unpacks to more than {limits.IMPORT_FILE} bytes", file=path, rule="size")
            yield name, data


def _each_once(found: list[tuple[str, T]], where: Path) -> list[tuple[str, T]]:
    """Files sorted by name; a station may have one only."""
    if len(found) > limits.IMPORT_MEMBERS_COUNT:
        raise ImporterError(f"more than {limits.IMPORT_MEMBERS_COUNT} files", file=where, rule="size")
    ordered = sorted(found, key=lambda pair: pair[0])
    for (one, _), (other, _) in itertools.pairwise(ordered):
        if one == other:
            raise ImporterError(f"station file {one} stands in it twice", file=where, rule="files")
    return ordered


def _capped(data: bytes, file: Path) -> bytes:
    if len(data) > limits.SIREKAP_FILE:
        raise ImporterError(f"longer than {limits.SIREKAP_FILE} bytes", file=file, rule="size")
    return data


def _raise(error: OSError) -> NoReturn:
    raise error
