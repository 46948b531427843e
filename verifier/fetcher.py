"""Where a site's bytes come from. Nothing a fetcher returns is trusted: whoever asked for it checks it."""

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from verifier.errors import FetchError, VerificationError

__all__ = ["DirectoryFetcher", "Fetcher", "MissingError", "OverlayFetcher", "check_path"]

# No empty, `.` or `..` segment, no backslash (a separator elsewhere), no control character, no URL query or fragment.
_SEGMENT = r"(?!\.{1,2}(?:/|\Z))[^/\\?#\x00-\x1f\x7f]+"
_PATH = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")


class MissingError(FetchError):
    """The source answered, and it does not have this file."""


class Fetcher(Protocol):
    """A source of files, named by paths relative to the election's folder, with `/` between segments."""

    def fetch(self, path: str, max_length: int) -> bytes:
        """Return the file's bytes. MissingError if the source has none, FetchError if it could not be had,
        VerificationError if it is longer than `max_length` (at most one byte beyond it is held)."""

    def same_file(self, path: str, other: str) -> bool:
        """True if both names are known to be one file (a hard link), so that one check covers both."""


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
        """See Fetcher. Only regular files are read: a pipe or device could block or never end."""
        name = self._locate(path)
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            raise MissingError(f"{path} is not in {self.root}") from None
        except OSError as error:
            raise FetchError(f"{path} cannot be read: {error.strerror}") from None
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise FetchError(f"{path} is not a regular file")
            return _read(descriptor, path, max_length)
        except OSError as error:
            raise FetchError(f"{path} cannot be read: {error.strerror}") from None
        finally:
            os.close(descriptor)

    def same_file(self, path: str, other: str) -> bool:
        """See Fetcher: the same inode of the same device."""
        try:
            first, second = os.lstat(self._locate(path)), os.lstat(self._locate(other))
        except OSError:
            return False
        return first.st_ino == second.st_ino and first.st_dev == second.st_dev

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


def _read(descriptor: int, path: str, max_length: int) -> bytes:
    data = os.read(descriptor, max_length + 1)
    if len(data) > max_length:
        raise too_long(path, max_length)
    # One read is enough but for files beyond 2 GiB, and a second one proves the end of the file.
    while more := os.read(descriptor, max_length + 1 - len(data)):
        data += more
        if len(data) > max_length:
            raise too_long(path, max_length)
    return data


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

    def same_file(self, path: str, other: str) -> bool:
        """See Fetcher."""
        return path not in self.first and other not in self.first and self.then.same_file(path, other)
