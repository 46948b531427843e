"""Recap packages: a folder or zip to a `Package` whose every byte is bound by the hash of its cover, and back.

Format: docs/formats.md, "Recap package".
"""

import contextlib
import hashlib
import io
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, TypeVar

import msgspec
import polars as pl

from builder import limits
from builder.election import Contest
from builder.errors import PackageError
from builder.tables import read_strict
from builder.thumbnails import is_thumbnail, thumbnail_problem
from builder.toml import convert_toml, line_of, parse_toml

__all__ = [
    "COVER",
    "ORDER_SUFFIX",
    "REASONS",
    "SIGNATURE",
    "Attestation",
    "Cover",
    "HandIn",
    "NamedFile",
    "Package",
    "RevisionReason",
    "package_files",
    "parse_cover",
    "parse_package",
    "parse_rows",
    "read_hand_in",
    "read_package",
    "row_columns",
]

COVER = "recap.toml"
SIGNATURE = "recap.toml.sig"
ORDER_SUFFIX = ".order.txt"  # in the ledger: why a scan is withheld
REASONS = frozenset(
    ["transcription", "recount", "revote", "late", "court", "supervisor", "duplicate", "withdrawal", "source"]
)
FORMAT = "terbit-recap-1"
T = TypeVar("T")

# Pages and terminals show these texts: no control character of either set, no line separator, nothing that turns the order of reading.
Line = Annotated[
    str,
    msgspec.Meta(
        max_length=limits.TEXT_CHARACTERS,
        pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*\Z",
    ),
]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
# A package is published file by file as it came: nothing in it may be a page or a script.
SCAN_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,93}\.(?i:csv|jpe?g|pdf|png|webp)"
FileName = Annotated[str, msgspec.Meta(pattern=rf"^{SCAN_NAME}\Z")]
# What the patterns of these keys ask for.
FORMS = {
    **dict.fromkeys(["by", "note", "form", "document"], "must be one line, without control characters and marks that turn the order of reading"),
    "sha256": "must be a SHA-256 of 64 digits and small letters a to f, as sha256sum writes it",
    "file": 'must be a name of letters, digits, ".", "_" and "-" that ends with .csv, .jpg, .jpeg, .pdf, .png or .webp',
}  # fmt: skip


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class NamedFile(_Part, frozen=True):
    file: FileName
    sha256: Sha256
    length: Annotated[int, msgspec.Meta(ge=0, le=limits.ROWS_FILE)]


class Attestation(_Part, frozen=True):
    """Who vouches: an official of the area `by`, who signs, or the operator, whose text `by` is."""

    kind: Literal["official", "operator"]
    by: Annotated[Line, msgspec.Meta(min_length=1)]


class RevisionReason(_Part, frozen=True):
    reason: str
    note: Line = ""


class Cover(_Part, frozen=True):
    """`recap.toml`."""

    format: Literal["terbit-recap-1"]
    election: str
    contest: str
    series: Literal["count", "recap"]
    tier: str
    area: str
    rows: NamedFile
    attestation: Attestation
    form: Line = ""
    document: Line = ""
    revision: RevisionReason | None = None
    scans: Annotated[tuple[NamedFile, ...], msgspec.Meta(max_length=limits.SCANS_COUNT)] = ()


class Package:
    """One package, read whole: `name` is the SHA-256 of the cover's bytes; `files` has every byte of it, cover and signature included."""

    def __init__(self, cover: Cover, files: Mapping[str, bytes], source: str) -> None:
        self.cover, self.files, self.source = cover, files, source
        self.name = hashlib.sha256(files[COVER]).hexdigest()

    @property
    def rows(self) -> bytes:
        return self.files[self.cover.rows.file]

    @property
    def signature(self) -> bytes | None:
        """`recap.toml.sig`, not verified."""
        return self.files.get(SIGNATURE)


class HandIn(NamedTuple):
    """What can be told of something handed in, a package or not: `name` is the SHA-256 of its cover; of a zip without one that can be read, the zip's."""

    name: str
    cover: bytes | None
    signature: bytes | None


def row_columns(contest: Contest) -> tuple[str, ...]:
    """Header of `rows.csv` for a contest."""
    return ("area", "station", "revision", "state", *contest.figures)


def read_package(path: Path, withheld: Collection[str] | None = None) -> Package:
    """Read and check a package from a folder or `.zip`.

    `withheld`: it is one of the ledger's, where scans with these hashes may be missing, and orders lie beside it.

    Raises:
        PackageError: unreadable, wrong names, hashes or lengths; nothing of it was trusted.
    """
    try:
        return _read(path, parse_package if withheld is None else partial(_parse_kept, withheld=withheld))
    except OSError as error:
        raise PackageError(f"cannot be read: {error.strerror or error}", file=path, rule="readable") from error


def read_hand_in(path: Path) -> HandIn | None:
    """Cover and signature of what lies at `path`, though it be no package; None for a folder without a cover that can be read, or a huge zip."""
    found: dict[str, bytes] = {}

    def keep(names: set[str], read: Callable[[str, int], bytes], _: str) -> None:
        for name, cap in ((COVER, limits.COVER_FILE), (SIGNATURE, limits.SIGNATURE_FILE)):
            if name in names:
                found[name] = read(name, cap)

    # Whatever a stranger's bytes make a library raise: what could be read before that is kept.
    with contextlib.suppress(Exception):
        _read(path, keep)
    with contextlib.suppress(OSError):
        if COVER in found:
            return HandIn(hashlib.sha256(found[COVER]).hexdigest(), found[COVER], found.get(SIGNATURE))
        if stat.S_ISREG(path.lstat().st_mode) and path.stat().st_size <= limits.PACKAGE_FILES:
            with open(path, "rb", opener=_open_plain) as packed:
                return HandIn(hashlib.file_digest(packed, "sha256").hexdigest(), None, None)
    return None


def parse_package(
    names: set[str], read: Callable[[str, int], bytes], source: str, withheld: Collection[str] = ()
) -> Package:
    """Check a package given its members' names and a function that reads one of them up to a cap.

    Scans with a hash in `withheld` may be missing.
    """
    if COVER not in names:
        raise PackageError("there is no recap.toml in it", file=source, rule="cover")
    data = read(COVER, limits.COVER_FILE)
    cover = parse_cover(data, f"{source}/{COVER}")
    files = {COVER: data}
    if SIGNATURE in names:
        files[SIGNATURE] = read(SIGNATURE, limits.SIGNATURE_FILE)
    listed = [(cover.rows, limits.ROWS_FILE), *((scan, limits.SCAN_FILE) for scan in cover.scans)]
    wanted = [COVER, *(entry.file for entry, _ in listed)]
    if len(set(wanted)) != len(wanted):
        raise PackageError("two entries of the cover name one file", file=source, rule="files")
    if extra := sorted(names - {*wanted, SIGNATURE}):
        raise PackageError(
            f"{extra[0]!r} is not named in recap.toml; take it out or name it with its sha256",
            file=source,
            rule="files",
        )
    if (total := sum(entry.length for entry, _ in listed)) > limits.PACKAGE_FILES:
        raise PackageError(
            f"its files have {total} bytes; at most {limits.PACKAGE_FILES} are allowed: hand in scans that are smaller",
            file=source,
            rule="size",
        )
    for entry, cap in listed:
        if entry.file not in names:
            if entry is not cover.rows and entry.sha256 in withheld:
                continue
            raise PackageError(f"{entry.file!r} is named in recap.toml but missing", file=source, rule="files")
        files[entry.file] = _checked(read(entry.file, min(cap, entry.length)), entry, source)
        if is_thumbnail(entry.file) and (problem := thumbnail_problem(files[entry.file])):
            raise PackageError(problem, file=f"{source}/{entry.file}", rule="thumbnail")
    return Package(cover, files, source)


def _parse_kept(names: set[str], read: Callable[[str, int], bytes], source: str, withheld: Collection[str]) -> Package:
    return parse_package({name for name in names if not name.endswith(ORDER_SUFFIX)}, read, source, withheld)


def package_files(cover: Cover, rows: bytes, scans: Mapping[str, bytes] | None = None) -> dict[str, bytes]:
    """All files of a package made from its cover and contents, byte for byte the same every time."""
    lines = [f"{key} = {_quoted(value)}" for key, value in msgspec.to_builtins(cover).items() if isinstance(value, str)]
    for key in ("rows", "attestation", "revision"):
        part = getattr(cover, key)
        if part is not None:
            lines += [f"[{key}]", *(f"{name} = {_quoted(value)}" for name, value in msgspec.to_builtins(part).items())]
    for scan in cover.scans:
        lines += ["[[scans]]", *(f"{name} = {_quoted(value)}" for name, value in msgspec.to_builtins(scan).items())]
    return {COVER: ("\n".join(lines) + "\n").encode(), cover.rows.file: rows, **(scans or {})}


def parse_rows(package: Package, contest: Contest) -> pl.DataFrame:
    """`rows.csv` as text columns, structure checked, meaning not yet."""
    return read_strict(
        package.rows, row_columns(contest), file=f"{package.source}/{package.cover.rows.file}", error=PackageError
    )


def parse_cover(data: bytes, file: str) -> Cover:
    """`recap.toml`'s bytes to a checked cover."""
    tree = parse_toml(data, file=file, error=PackageError)
    cover = convert_toml(tree, Cover, data, file=file, error=PackageError, rule="cover", forms=FORMS)
    if cover.revision is not None and cover.revision.reason not in REASONS:
        raise PackageError(
            f"unknown reason {cover.revision.reason!r}; known: {', '.join(sorted(REASONS))}",
            file=file,
            line=line_of(data, "reason"),
            field="revision.reason",
            rule="reason",
        )
    return cover


def _checked(data: bytes, entry: NamedFile, source: str) -> bytes:
    if len(data) != entry.length or hashlib.sha256(data).hexdigest() != entry.sha256:
        raise PackageError(
            f"is not the file that recap.toml names: {len(data)} bytes where {entry.length} are named, or another sha256",
            file=f"{source}/{entry.file}", rule="hash",
        )  # fmt: skip
    return data


# What is made of a package's members: by their names, a function that reads one up to a cap, and the place to name in messages.
_Parse = Callable[[set[str], Callable[[str, int], bytes], str], T]


def _read(path: Path, parse: _Parse[T]) -> T:
    # A link could name any folder of this machine, and a named pipe would be waited for.
    if not (stat.S_ISDIR(mode := path.lstat().st_mode) or stat.S_ISREG(mode)):
        raise PackageError("is a link, pipe or device; hand in the folder or zip itself", file=path, rule="files")
    if stat.S_ISREG(mode) and path.suffix != ".zip":
        raise PackageError(
            "is no package: a .zip, or a folder with recap.toml, as terbit import csv makes of a CSV",
            file=path,
            rule="files",
        )
    return _read_zip(path, parse) if path.suffix == ".zip" else _read_folder(path, parse)


def _read_folder(path: Path, parse: _Parse[T]) -> T:
    def read(name: str, cap: int) -> bytes:
        member = path / name
        # A link or device in a hand-in could make us publish a file of this machine, or wait for ever.
        if not stat.S_ISREG(member.lstat().st_mode):
            raise PackageError(f"{name!r} is not a plain file", file=path, rule="files")
        with open(member, "rb", opener=_open_plain) as file:
            return _capped(file.read(cap + 1), cap, f"{path}/{name}")

    names = {member.name for member, _ in zip(path.iterdir(), range(limits.ARCHIVE_MEMBERS_COUNT + 1), strict=False)}
    if len(names) > limits.ARCHIVE_MEMBERS_COUNT:
        raise PackageError(f"more than {limits.ARCHIVE_MEMBERS_COUNT} files", file=path, rule="files")
    return parse(names, read, str(path))


def _read_zip(path: Path, parse: _Parse[T]) -> T:
    try:
        with _Packed(io.FileIO(path, opener=_open_plain)) as packed, zipfile.ZipFile(packed) as archive:
            packed.is_list = False
            members = [info for info in archive.infolist() if not info.is_dir()]
            folder = _common_folder([info.filename for info in members])
            by_name = {info.filename.removeprefix(folder): info for info in members}
            if len(by_name) != len(members) or len(members) > limits.ARCHIVE_MEMBERS_COUNT:
                raise PackageError("a name stands twice in it, or it has too many files", file=path, rule="files")

            def read(name: str, cap: int) -> bytes:
                # Only these two methods unpack piece by piece; bzip2 and LZMA give all that a few bytes hold at once.
                if by_name[name].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise PackageError(f"{name!r} is packed in an unusual way; use deflate", file=path, rule="zip")
                # The stated size may lie (zip bomb): read no more than the cap whatever it says.
                with archive.open(by_name[name]) as file:
                    return _capped(file.read(cap + 1), cap, f"{path}/{name}")

            return parse(set(by_name), read, str(path))
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise PackageError(f"not a zip that can be read: {error}", file=path, rule="zip") from error


class _Packed(io.BufferedReader):
    """A zip's bytes. Its list of members is read first, and whole, however long it is."""

    is_list = True

    def read(self, size: int | None = -1, /) -> bytes:
        if self.is_list and size is not None and size > limits.ARCHIVE_LIST:
            raise zipfile.BadZipFile("its list of members is longer than that of any package")
        return super().read(size)


def _open_plain(path: str, flags: int) -> int:
    """Between the look at a file and its opening another account may put a link or pipe in its place."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _common_folder(names: list[str]) -> str:
    """`folder/` when the zip holds one folder with everything, as file managers make them."""
    found = {name.split("/", 1)[0] for name in names if "/" in name}
    alone = len(found) == 1 and all("/" in name for name in names)
    return f"{found.pop()}/" if alone else ""


def _capped(data: bytes, cap: int, file: str) -> bytes:
    if len(data) > cap:
        raise PackageError(f"longer than the {cap} bytes that are named or allowed", file=file, rule="size")
    return data


def _quoted(value: str | int) -> str:
    if isinstance(value, int):
        return str(value)
    escaped = re.sub(r'[\\"]', lambda match: "\\" + match.group(), value)
    return f'"{escaped}"'
