"""POSIX tar archives with all metadata zeroed: the same files give the same bytes, and every `tar` reads them.

Format: IEEE Std 1003.1-2017, pax, "ustar Interchange Format", and "pax Header Block" for long names; what is narrower here: docs/formats.md, "Archives".
"""

import re
from collections.abc import Callable, Iterable, Iterator

from verifier import limits
from verifier.errors import FormatError, VerifierError
from verifier.fetcher import check_path

__all__ = ["BLOCK", "END", "Read", "encode", "entries", "header", "padding", "size_of"]

BLOCK = 512
END = bytes(2 * BLOCK)
NAME, PREFIX, SIZE = 100, 155, 8**11 - 1
_TIME = b"\0" + b"%011o\0" % 0
# What stands before the length, after the checksum, and the sum of both with the time and with spaces for the checksum: a pack has many headers.
_FIXED = {
    kind: (before, after, sum(before) + sum(_TIME) + 8 * ord(" ") + sum(after))
    for kind, before in {b"0": b"0000644\0" + b"0000000\0" * 2, b"x": b"0000000\0" * 3}.items()
    for after in [kind + bytes(100) + b"ustar\x0000" + bytes(80)]
}
PAX_NAME = b"././@PaxHeader"
_RECORD = re.compile(rb"[0-9]{1,3} path=([^\n]+)\n\0*")
_OCTAL = re.compile(rb"[0-7]{11}\0")

Read = Callable[[int, int], bytes]  # (offset, length) → the archive's bytes there, fewer at its end


def header(path: str, length: int) -> bytes:
    """The block before a file, or the three blocks where its name is long; FormatError for what the format cannot hold."""
    name = path.encode()
    if len(name) <= NAME:
        return _block(name, b"", length)
    # The shortest prefix that leaves few enough bytes, as Python's tarfile has it.
    cut = name.find(b"/", len(name) - NAME - 1)
    if 0 < cut <= PREFIX and cut + 1 < len(name):
        return _block(name[cut + 1 :], name[:cut], length)
    record = _record(name)
    extended = _block(PAX_NAME, b"", len(record), b"x") + record + padding(len(record))
    return extended + _block(path.encode("ascii", "replace")[:NAME], b"", length)


def _block(name: bytes, prefix: bytes, length: int, kind: bytes = b"0") -> bytes:
    if not name or not 0 <= length <= SIZE:
        raise FormatError(f"an archive cannot hold a file of {length} bytes")
    before, after, fixed = _FIXED[kind]
    told = b"%011o" % length
    checksum = b"%06o\0 " % (fixed + sum(name) + sum(prefix) + sum(told))
    return b"".join((name.ljust(NAME, b"\0"), before, told, _TIME, checksum, after, prefix.ljust(PREFIX + 12, b"\0")))


def _record(name: bytes) -> bytes:
    """The extended header that says the whole name; it begins with its own length in decimal."""
    rest = len(b" path=\n") + len(name)
    length = rest + len(str(rest))
    length += len(str(rest + len(str(length)))) - len(str(rest))
    record = b"%d path=%s\n" % (length, name)
    if len(record) > BLOCK:
        raise FormatError("an archive cannot hold a name as long as that")
    return record


def padding(length: int) -> bytes:
    """What follows a file of `length` bytes up to the next block."""
    return bytes(-length % BLOCK)


def size_of(path: str, length: int) -> int:
    """About how many bytes a file takes in an archive, and never too few."""
    blocks = 1 if len(path.rpartition("/")[2].encode()) <= NAME else 3
    return blocks * BLOCK + length + -length % BLOCK


def encode(files: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    """The parts of an archive of `files`, whose paths come in ascending order of their UTF-8 bytes."""
    for path, data in files:
        yield b"".join((header(path, len(data)), data, padding(len(data))))
    yield END


def entries(read: Read, size: int) -> Iterator[tuple[str, int, int]]:
    """Path, offset and length of each file in an archive of `size` bytes; FormatError for one that `encode` would write otherwise.

    Neither content nor hashes are looked at.
    """
    offset, last, count = 0, b"", 0
    while True:
        block = read(offset, BLOCK)
        if block == END[:BLOCK]:
            break
        if block[156:157] == b"x":
            block += read(offset + BLOCK, 2 * BLOCK)
        path, length = _parse(block, offset)
        offset += len(block)
        end = offset + length
        if read(end, -length % BLOCK) != padding(length) or end + -length % BLOCK > size - len(END):
            raise FormatError(
                f"the archive ends within {path}, or has something else than zeros after it; copy it again"
            )
        name = path.encode()
        count += 1
        if name <= last:
            raise FormatError(f"the archive has {path} twice, or not in its order")
        if count > limits.ARCHIVE_FILES_COUNT:
            raise FormatError(f"the archive has more than {limits.ARCHIVE_FILES_COUNT} files")
        yield path, offset, length
        last, offset = name, end + -length % BLOCK
    if size != offset + len(END) or read(offset, len(END)) != END:
        raise FormatError("the archive does not end with two blocks of zeros, or goes on after them; copy it again")


def _parse(block: bytes, offset: int) -> tuple[str, int]:
    """Path and length in a header that is byte for byte what we would write: no links, folders, devices, other fields."""
    last = block[-BLOCK:]
    name, prefix, told = last[:NAME].rstrip(b"\0"), last[345:500].rstrip(b"\0"), last[124:136]
    if len(block) > BLOCK and (record := _RECORD.fullmatch(block[BLOCK : 2 * BLOCK])):
        name, prefix = record[1], b""
    if len(last) == BLOCK and _OCTAL.fullmatch(told):
        length = int(told[:11], 8)
        try:
            path = check_path((prefix + b"/" + name if prefix else name).decode())
            if header(path, length) == block:
                return path, length
        except (UnicodeDecodeError, VerifierError):
            pass
    if not offset:
        raise FormatError(
            "this is no bundle or pack: it does not begin with the header of a plain file; if it should be one, copy it again"
        )
    raise FormatError(f"the archive has at byte {offset} something else than the header of a plain file; copy it again")
