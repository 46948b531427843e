"""POSIX ustar archives with all metadata zeroed: the same files give the same bytes, and every `tar` reads them.

Format: IEEE Std 1003.1-2017, pax, "ustar Interchange Format"; what is narrower here: docs/formats.md, "Archives".
"""

import re
from collections.abc import Callable, Iterable, Iterator

from verifier import limits
from verifier.errors import FormatError
from verifier.fetcher import check_path

__all__ = ["BLOCK", "END", "Read", "encode", "entries", "fits", "header", "padding", "size_of"]

BLOCK = 512
END = bytes(2 * BLOCK)
NAME, PREFIX, SIZE = 100, 155, 8**11 - 1
_CHECKSUM = slice(148, 156)
_BEFORE = b"0000644\0" + b"0000000\0" * 2
_AFTER = b"0".ljust(101, b"\0") + b"ustar\x0000" + bytes(80)
_OCTAL = re.compile(rb"[0-7]{11}\0")

Read = Callable[[int, int], bytes]  # (offset, length) → the archive's bytes there, fewer at its end


def header(path: str, length: int) -> bytes:
    """The block before a file; FormatError for a path or length that the format cannot hold."""
    name = path.encode()
    prefix = b""
    if len(name) > NAME:
        # The shortest prefix that leaves few enough bytes, as Python's tarfile has it.
        cut = name.find(b"/", len(name) - NAME - 1)
        prefix, name = (name[:cut], name[cut + 1 :]) if cut > 0 else (name, b"")
    if not name or len(prefix) > PREFIX or not 0 <= length <= SIZE:
        raise FormatError(f"an archive cannot hold {path} with {length} bytes")
    block = b"".join((
        name.ljust(NAME, b"\0"), _BEFORE, b"%011o\0" % length, b"%011o\0" % 0, b" " * 8, _AFTER, prefix.ljust(PREFIX, b"\0"), bytes(12),
    ))  # fmt: skip
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def fits(path: str) -> bool:
    """True if an archive can hold a file of this name."""
    try:
        header(path, 0)
    except FormatError:
        return False
    return True


def padding(length: int) -> bytes:
    """What follows a file of `length` bytes up to the next block."""
    return bytes(-length % BLOCK)


def size_of(length: int) -> int:
    """How many bytes a file of `length` bytes takes in an archive."""
    return BLOCK + length + -length % BLOCK


def encode(files: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    """The parts of an archive of `files`, whose paths come in ascending order of their UTF-8 bytes."""
    for path, data in files:
        yield header(path, len(data))
        yield data
        yield padding(len(data))
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
        path, length = _parse(block, offset)
        offset += BLOCK
        end = offset + length
        if read(end, -length % BLOCK) != padding(length) or end + -length % BLOCK > size - len(END):
            raise FormatError(f"the archive ends within {path}, or has something else than zeros after it")
        name = path.encode()
        count += 1
        if name <= last:
            raise FormatError(f"the archive has {path} twice, or not in its order")
        if count > limits.ARCHIVE_FILES_COUNT:
            raise FormatError(f"the archive has more than {limits.ARCHIVE_FILES_COUNT} files")
        yield path, offset, length
        last, offset = name, end + -length % BLOCK
    if size != offset + len(END) or read(offset, len(END)) != END:
        raise FormatError("the archive does not end with two blocks of zeros, or goes on after them")


def _parse(block: bytes, offset: int) -> tuple[str, int]:
    """Path and length in a header that is byte for byte what we would write: no links, folders, devices, other fields."""
    told = block[124:136]
    if len(block) == BLOCK and _OCTAL.fullmatch(told):
        name, prefix = block[:NAME].rstrip(b"\0"), block[345:500].rstrip(b"\0")
        length = int(told[:11], 8)
        try:
            path = check_path((prefix + b"/" + name if prefix else name).decode())
        except UnicodeDecodeError:
            path = ""
        if path and header(path, length) == block:
            return path, length
    raise FormatError(f"the archive has at byte {offset} something else than the header of a plain file")
