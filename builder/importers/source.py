"""What every importer reads: a map file, and a stranger's CSV as columns of text."""

import csv
import zlib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import polars as pl

from builder import limits
from builder.election import Contest
from builder.errors import ImporterError
from builder.tables import OLD_MAC, read_strict, separated_otherwise
from builder.toml import convert_toml, parse_toml

__all__ = ["Map", "ResultsMap", "Slice", "Source", "load_map", "read_source"]

BOM = b"\xef\xbb\xbf"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class Map(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of the map files and of their parts."""


class ResultsMap(Map, frozen=True, kw_only=True):
    """Base of the maps of results.

    `by` vouches for the rows; `tier`: level of the areas that the packages cover, default the shard level.
    """

    contest: str
    series: Literal["count", "recap"]
    by: Annotated[str, msgspec.Meta(min_length=1)]
    form: str = ""
    tier: str | None = None

    def read(self, path: Path, contest: Contest) -> pl.DataFrame:
        """The rows of the source at `path`.

        `source` (line or file that a row stands in, for the rejects) and, as text, `area`, `station`, the contest's
        figures; optional are `time` (UTC, as in formats.md; the latest one names the package's document) and `reject`
        (why the row cannot be taken).

        Raises:
            ImporterError: with file, line or key, and rule.
        """
        raise NotImplementedError

    def named(self, column: str) -> str:
        """What the source calls a column of `read`, for whoever has to mend it there."""
        return column


class Slice(Map, frozen=True):
    """A part of a column's text: `length` characters (default: all) from `first` (0 is the first one) on."""

    column: str
    first: Annotated[int, msgspec.Meta(ge=0)]
    length: Annotated[int, msgspec.Meta(ge=1)] | None = None


Source = str | tuple[str, ...] | Slice
"""Where a value comes from: a column, several columns to be added, or a part of a column's text."""

M = TypeVar("M", bound=Map)


def load_map(name: str, kind: type[M]) -> M:
    """Read a map by its path, or by its bare name from those that come with Terbit.

    Raises:
        ImporterError: no such map, or one with an unknown key; with file, key and rule.
    """
    path = Path(name)
    folder = resources.files("builder.importers") / "maps"
    shipped = folder / f"{name}.toml"
    try:
        if path.suffix == ".toml":
            data = path.read_bytes()
        elif path.name == name and shipped.is_file():
            data = shipped.read_bytes()
        elif path.suffix in (".csv", ".gz", ".zip"):
            problem = "this is no map, which ends with .toml; the data come first, the map behind --map"
            raise ImporterError(problem, file=name, rule="map")
        else:
            maps = ", ".join(sorted(file.name.removesuffix(".toml") for file in folder.iterdir()))
            problem = f"no such map: give a path that ends with .toml, or one of {maps}"
            raise ImporterError(problem, file=name, rule="map")
    except OSError as error:
        raise ImporterError(f"cannot be read: {error.strerror}", file=path, rule="readable") from error
    tree = parse_toml(data, file=name, error=ImporterError)
    return convert_toml(tree, kind, data, file=name, error=ImporterError)


def read_source(path: Path, columns: set[str]) -> pl.DataFrame:
    """The named columns of a `.csv` or `.csv.gz` as text; an empty cell is null, row N stands on line N + 2.

    CRLF, a byte-order mark and quotes are taken, since spreadsheets write them and they have one meaning; text that is
    not UTF-8, NUL, ragged lines, a cell over several lines, a last line without LF and a header alone are not.

    Raises:
        ImporterError: unreadable, or not such a CSV; with file, line and rule.
    """
    data = _read(path).removeprefix(BOM)
    if not data:
        raise ImporterError("the file is empty", file=path, rule="header")
    if data.startswith(UTF_16):
        raise ImporterError("not UTF-8 but UTF-16; save it as CSV UTF-8", file=path, line=1, rule="encoding")
    if b"\0" in data[:400].partition(b"\n")[0]:
        raise ImporterError("this is no text; a CSV file is wanted", file=path, line=1, rule="header")
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    first = data.partition(b"\n")[0]
    header = _header(first, path)
    if missing := sorted(columns - set(header)):
        problem = f"no column {missing[0]!r}; the file has {', '.join(header)[:300]!r}"
        problem = separated_otherwise(header[0]) or problem if len(header) == 1 else problem
        raise ImporterError(problem, file=path, line=1, rule="header")
    if b'"' in first:
        data = ",".join(header).encode() + data[len(first) :]
    table = read_strict(data, header, file=path, error=ImporterError, quoted=True)
    if not table.height:
        raise ImporterError("there is no row below the header", file=path, rule="empty")
    return table.select(sorted(columns))


def _header(line: bytes, path: Path) -> list[str]:
    """The columns' names."""
    if b"\r" in line:
        raise ImporterError(OLD_MAC, file=path, line=1, rule="header")
    try:
        header = next(csv.reader([line.decode("utf-8", "replace")]), [])
    except csv.Error as error:  # a name of more characters than that reader takes
        raise ImporterError("a column's name is too long", file=path, line=1, rule="header") from error
    if len(set(header)) != len(header) or any("," in name or '"' in name for name in header):
        problem = "a column's name stands twice or holds a comma or quote"
        raise ImporterError(problem, file=path, line=1, rule="header")
    return header


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limits.IMPORT_FILE + 1)
    except OSError as error:
        raise ImporterError(f"cannot be read: {error.strerror}", file=path, rule="readable") from error
    if path.suffix == ".gz":
        data = _unpack(data, path)
    if len(data) > limits.IMPORT_FILE:
        raise ImporterError(f"longer than {limits.IMPORT_FILE} bytes", file=path, rule="size")
    return data


def _unpack(packed: bytes, path: Path) -> bytes:
    stream: Any = zlib.decompressobj(wbits=31)
    try:
        data: bytes = stream.decompress(packed, limits.IMPORT_FILE + 1)
    except zlib.error as error:
        raise ImporterError(
            f"not gzip ({error}); a file that is not packed must not end with .gz", file=path, rule="gzip"
        ) from error
    if not stream.eof and len(data) <= limits.IMPORT_FILE:
        raise ImporterError("the gzip file is cut off", file=path, rule="gzip")
    if stream.unused_data:
        raise ImporterError("something follows the gzip member; pack the file again", file=path, rule="gzip")
    return data
