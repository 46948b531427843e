"""Strict CSV: bytes to text columns, or an error that names file and line."""

import csv
import io
import itertools
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from builder.errors import BuilderError

__all__ = ["OLD_MAC", "read_strict", "separated_otherwise"]

OLD_MAC = "CR stands within the first line, as where lines end as on old Macs; save the file with Unix line ends (LF)"
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def read_strict(
    data: bytes, columns: Sequence[str], *, file: str | Path, error: type[BuilderError], quoted: bool = False
) -> pl.DataFrame:
    """Parse CSV whose header is exactly `columns`; every column is text, an empty cell is null.

    NUL, BOM, CR, text that is not UTF-8, ragged lines and (unless `quoted`) any quote are refused: two programs must never read the same
    bytes as different figures. Where quotes are allowed no quoted cell holds a line feed, so a row's line is always its number plus 2.
    """
    header = ",".join(columns).encode() + b"\n"
    if data.startswith(b"\xef\xbb\xbf"):
        raise error(
            "begins with a byte-order mark; save it as UTF-8 without BOM, as dos2unix does",
            file=file,
            line=1,
            rule="encoding",
        )
    if not data.startswith(header):
        raise error(_wrong_header(data, header[:-1]), file=file, line=1, rule="header")
    for byte, name in (
        (b"\0", "NUL"),
        (b"\r", "CR (lines end with LF alone; save the file with Unix line ends)"),
        *([] if quoted else [(b'"', "a quote")]),
    ):
        if (at := data.find(byte)) >= 0:
            raise error(f"{name} is not allowed", file=file, line=data.count(b"\n", 0, at) + 1, rule="character")
    if not data.endswith(b"\n"):
        raise error(
            "the last line has no LF; the file may be cut off", file=file, line=data.count(b"\n") + 1, rule="truncated"
        )
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise error(
            "not UTF-8; save the file as UTF-8",
            file=file,
            line=data.count(b"\n", 0, problem.start) + 1,
            rule="encoding",
        ) from problem
    try:
        table = pl.read_csv(data, infer_schema=False, quote_char='"' if quoted else None, raise_if_empty=True)
    except pl.exceptions.PolarsError as problem:
        raise _ragged(data, len(columns), file, error, str(problem)) from problem
    if (
        table.height != data.count(b"\n") - 1
        or table.width != len(columns)
        or _separators(table, b'"' in data) != data.count(b",", len(header))
    ):
        raise _ragged(data, len(columns), file, error, "lines and rows do not agree")
    return table


def _wrong_header(data: bytes, header: bytes) -> str:
    """What is wrong with a file that does not begin with this line, and how to mend it."""
    first, wanted = data[:400].split(b"\n", 1)[0], header.decode()
    if not data:
        return f"the file is empty; its first line must be {wanted!r}"
    if first == header + b"\r":
        return "the lines end with CR LF; save the file with Unix line ends (LF), as dos2unix does"
    if first.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "not UTF-8 but UTF-16; save the file as CSV UTF-8"
    if b"\0" in first:
        return f"this is no text; a CSV file is wanted, whose first line is {wanted!r}"
    said = first.decode("utf-8", "replace")
    other = OLD_MAC if b"\r" in first[:-1] else f"the header is {said!r}; it must be {wanted!r}, ended by LF"
    return separated_otherwise(said) or other


def separated_otherwise(header: str) -> str | None:
    """What is wrong, and how to mend it, where a header has something else in place of commas."""
    other = next((name for mark, name in _SEPARATORS.items() if mark in header), None)
    return f"the columns are separated by {other}; save it with commas" if other and "," not in header else None


def _separators(table: pl.DataFrame, quotes: bool) -> int:
    """Commas that the rows need, those inside quoted cells included: the fast parser fills up a line that is too short."""
    inside = (
        table.select(pl.sum_horizontal(pl.all().str.count_matches(",", literal=True).sum())).item()
        if quotes and table.height
        else 0
    )
    return (table.width - 1) * table.height + int(inside)


def _ragged(data: bytes, width: int, file: str | Path, error: type[BuilderError], problem: str) -> BuilderError:
    """Find the line that the fast parser stumbled over, slowly and only now."""
    lines = itertools.count(1)
    for line, text in zip(lines, io.StringIO(data.decode("utf-8"), newline="\n"), strict=False):
        try:
            cells = next(csv.reader([text.removesuffix("\n")]), [])
        except csv.Error as refused:  # a cell of more characters than that reader takes, for one
            return error(f"not CSV: {refused}", file=file, line=line, rule="ragged")
        if len(cells) != width:
            return error(f"{len(cells)} cells; the header has {width}", file=file, line=line, rule="ragged")
    return error(f"not CSV: {problem}", file=file, rule="ragged")
