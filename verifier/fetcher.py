"""Where a site's bytes come from. Nothing a fetcher returns is trusted: whoever asked for it checks it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from verifier.errors import FetchError, VerificationError

if TYPE_CHECKING:
    from verifier.receiver import Receiver

__all__ = ["DirectoryFetcher", "Fetcher", "GaveUpError", "MissingError", "OverlayFetcher", "StalledError", "check_path"]

PART = 1 << 20  # bytes of a file on its way that are held
# No empty, `.` or `..` segment, no backslash (a separator elsewhere), no control character, no URL query or fragment, nothing that is no text.
_SEGMENT = r"(?!\.{1,2}(?:/|\Z))[^/\\?#\x00-\x1f\x7f\ud800-\udfff]+"
_PATH = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")


class MissingError(FetchError):
    """The source answered, and it does not have this file."""


class StalledError(FetchError):
    """The source let the time limit pass."""


class GaveUpError(FetchError):
    """The source let it pass so often that it is asked for nothing more."""


class Fetcher(Protocol):
    """A source of files, named by paths relative to the election's folder, with `/` between segments."""

    def fetch(self, path: str, max_length: int) -> bytes:
        """Return the file's bytes. MissingError if the source has none, FetchError if it could not be had,
        VerificationError if it is longer than `max_length` (at most one byte beyond it is held)."""

    def fetch_linked(self, path: str, other: str, max_length: int) -> tuple[bytes, bool]:
        """Like `fetch`; and True if `other` is known to be the same file (a hard link): one check covers both."""


def check_path(path: str) -> str:
    """Return `path`; VerificationError if it could mean another file than the one it names."""
    if not _PATH.fullmatch(path):
        raise VerificationError(f"{path!r} is not a plain path inside the election's folder")
    return path


def too_long(path: str, max_length: int) -> VerificationError:
    """A file that goes on beyond its signed length or its cap: endless data."""
    return VerificationError(f"{path} is longer than the {max_length} bytes that it may have")


@dataclass(frozen=True)
class DirectoryFetcher:
    """A site on disk. Symbolic links as files, and folders whose links lead out of `root`, are refused."""

    root: Path
    _folders: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    def fetch(self, path: str, max_length: int) -> bytes:
        """See Fetcher."""
        return self._read(path, max_length)[0]

    def fetch_linked(self, path: str, other: str, max_length: int) -> tuple[bytes, bool]:
        """See Fetcher: the same inode of the same device."""
        data, status = self._read(path, max_length)
        try:
            other_status = os.lstat(self._locate(other))
        except OSError:
            return data, False
        return data, status.st_ino == other_status.st_ino and status.st_dev == other_status.st_dev

    def receive(self, path: str, length: int, receiver: Receiver) -> None:
        """See verifier.receiver.Streaming."""
        descriptor, _ = self._open(path, length)
        try:
            # A file that grows meanwhile is read one byte too far.
            while part := os.read(descriptor, min(PART, length + 1 - receiver.length)):
                if receiver.length + len(part) > length:
                    raise too_long(path, length)
                receiver.take(part)
        except OSError as error:
            raise FetchError(f"{path} could not be copied: {error.strerror}") from None
        finally:
            os.close(descriptor)

    def _read(self, path: str, max_length: int) -> tuple[bytes, os.stat_result]:
        descriptor, status = self._open(path, max_length)
        try:
            data = os.read(descriptor, status.st_size)
            while len(data) < status.st_size and (more := os.read(descriptor, status.st_size - len(data))):
                data += more  # one read gives at most 2 GiB
        except OSError as error:
            raise FetchError(f"{path} cannot be read: {error.strerror}") from None
        finally:
            os.close(descriptor)
        return data, status

    def _open(self, path: str, max_length: int) -> tuple[int, os.stat_result]:
        """Only regular files are read: a pipe or device could block or never end."""
        name = self._locate(path)
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            raise MissingError(f"{path} is not in {self.root}") from None
        except OSError as error:
            raise FetchError(f"{path} cannot be read: {error.strerror}") from None
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_size <= max_length:
            return descriptor, status
        os.close(descriptor)
        if stat.S_ISREG(status.st_mode):
            raise too_long(path, max_length)
        raise FetchError(f"{path} is not a regular file")

    def _locate(self, path: str) -> str:
        """The file's name on disk. A folder's links are resolved once: a site has far fewer folders than files."""
        directory, _, name = check_path(path).rpartition("/")
        folder = self._folders.get(directory)
        if folder is None:
            root, folder = os.path.realpath(self.root), os.path.realpath(self.root / directory)
            if os.path.commonpath([root, folder]) != root:
                raise VerificationError(f"{directory} is a link that leads out of {self.root}")
            self._folders[directory] = folder
        return f"{folder}/{name}"


@dataclass(frozen=True)
class OverlayFetcher:
    """`first`'s files before those of `then`: a release is checked while its timestamp is not yet public."""

    first: Mapping[str, bytes]
    then: Fetcher

    def fetch(self, path: str, max_length: int) -> bytes:
        """See Fetcher."""
        data = self.first.get(path)
        if data is None:
            return self.then.fetch(path, max_length)
        if len(data) > max_length:
            raise too_long(path, max_length)
        return data

    def fetch_linked(self, path: str, other: str, max_length: int) -> tuple[bytes, bool]:
        """See Fetcher: an overlaid file is not linked to anything."""
        if path in self.first or other in self.first:
            return self.fetch(path, max_length), False
        return self.then.fetch_linked(path, other, max_length)
