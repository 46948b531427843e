"""Archives of what a site is made from, beside the packages: content and templates, published for whoever rebuilds it.

Format: docs/formats.md, "Inputs". An archive is named by the hash that a cut records; anyone recomputes it from the files within.
"""

import io
import re
import tarfile
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from builder import durable, limits
from builder.errors import ContentError, LedgerError
from builder.hashing import input_hash
from builder.ledger import Cut

__all__ = ["KINDS", "archive_name", "archive_names", "keep_archive", "kept_archive", "read_archive", "write_archive"]

KINDS = ("content", "templates")

_SEGMENT = r"(?!\.)[^/\\\x00-\x1f\x7f]+"
_NAME = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")
_SIZE = re.compile(rb"[0-7]{11}\0")


def archive_name(kind: str, sha256: str) -> str:
    """The name of the archive whose files have the input hash `sha256`."""
    return f"{sha256}.{kind}.tar"


def archive_names(cuts: Sequence[Cut]) -> dict[str, int]:
    """The archives that some cuts name, each with the first release that does."""
    names: dict[str, int] = {}
    for cut in cuts:
        for kind in KINDS:
            names.setdefault(archive_name(kind, getattr(cut, kind)), cut.release)
    return names


def write_archive(files: Mapping[str, bytes]) -> bytes:
    """The one archive of these files, by their names.

    Raises:
        ContentError: a name does not fit into the format, or all of them together are too large.
    """
    total = sum(len(data) for data in files.values())
    if total > limits.INPUTS_ARCHIVE or len(files) > limits.INPUTS_COUNT:
        problem = f"{len(files)} files of {total} bytes; what a release is made from is published, and at most {limits.INPUTS_COUNT} of {limits.INPUTS_ARCHIVE} bytes are allowed"
        raise ContentError(problem, rule="inputs-size")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT, encoding="utf-8") as archive:
        for name, data in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o644
            try:
                _check_name(name, files)
                archive.addfile(member, io.BytesIO(data))
            except ValueError as error:
                raise ContentError(f"cannot be published under this name: {error}", file=name, rule="name") from None
    return buffer.getvalue()


def _check_name(name: str, files: Container[str]) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError("no plain name")
    if any(str(parent) in files for parent in PurePosixPath(name).parents):
        raise ValueError("another file has the name of its folder")


def read_archive(data: bytes, sha256: str, source: str) -> dict[str, bytes]:
    """The files of an archive, if they have the input hash `sha256`; `source` is its name in messages.

    Raises:
        ContentError: they have not, or it is not the archive that `write_archive` makes of them.
    """
    try:
        files = dict(_members(data))
    except ValueError as error:
        raise ContentError(f"is not an archive of inputs: {error}", file=source, rule="archive") from None
    if input_hash(files) != sha256 or write_archive(files) != data:
        raise ContentError(f"is not the archive of the inputs {sha256}", file=source, rule="archive")
    return files


def _members(data: bytes) -> Iterator[tuple[str, bytes]]:
    """What the plain headers of an archive name. A general reader of tar would expand, and ponder, what a stranger wrote: a file of holes, a header of digits alone."""
    place = 0
    while any(header := data[place : place + tarfile.BLOCKSIZE]):
        name, prefix, size = header[:100].rstrip(b"\0"), header[345:500].rstrip(b"\0"), header[124:136]
        if header[156:157] != tarfile.REGTYPE or not _SIZE.fullmatch(size):
            raise ValueError("it has something else in it than files")
        start = place + tarfile.BLOCKSIZE
        end = start + int(size[:-1], 8)
        yield (prefix + b"/" + name if prefix else name).decode(), data[start:end]
        place = end + -end % tarfile.BLOCKSIZE


def keep_archive(ledger: Path, kind: str, files: Mapping[str, bytes]) -> None:
    """Keep an archive in `ledger/inputs/`, durably: the cut that names it follows."""
    path = ledger / "inputs" / archive_name(kind, input_hash(files))
    data = write_archive(files)
    try:
        if path.read_bytes() == data:
            return
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    durable.write_file(path, data)


def kept_archive(ledger: Path, name: str) -> bytes:
    """An archive by its name, as it was kept. LedgerError if it is gone or damaged: a release lists it."""
    path = ledger / "inputs" / name
    try:
        data = path.read_bytes()
        read_archive(data, name.partition(".")[0], str(path))
    except OSError as error:
        raise LedgerError(
            f"{error.strerror}; restore it from your backup or from the public tree's inputs/", file=path, rule="inputs"
        ) from None
    except ContentError as error:
        raise LedgerError(
            f"{error.problem}; restore it from your backup or from the public tree's inputs/", file=path, rule="inputs"
        ) from None
    return data
