"""An archive as a place that files come from: a pack of one release, or a bundle of a whole election (docs/formats.md, "Archives")."""

import os
import stat
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

from verifier.errors import FetchError, FormatError
from verifier.fetcher import MissingError, check_path, too_long
from verifier.formats import ustar

__all__ = ["ArchiveFetcher"]


class ArchiveFetcher:
    """A Fetcher over an archive. Nothing is unpacked: a name in it becomes no name on disk. Thread-safe.

    `in_folder`: everything in it lies in one folder, and paths are relative to that. The archive is looked through at the first use, its
    own bytes are believed no more than a server's: FormatError if it is not one of ours, FetchError if it cannot be read.
    """

    def __init__(self, file: Path, *, in_folder: bool = False) -> None:
        self.file, self._in_folder = file, in_folder

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_descriptor"}

    @cached_property
    def folder(self) -> str:
        """The one folder that everything in it lies in; "" where paths are whole."""
        if not self._in_folder:
            return ""
        folders = {path.partition("/")[0] for path in self._places}
        if len(folders) != 1 or any("/" not in path for path in self._places):
            raise FormatError(f"{self.file} is no bundle: one holds the folder of one election")
        return folders.pop()

    @property
    def length(self) -> int:
        """Bytes of the archive."""
        return os.fstat(self._descriptor).st_size

    def check(self) -> None:
        """Look through the archive now; raises as said above."""
        _ = self._places, self.folder

    def part(self, paths: Iterable[str]) -> "ArchiveFetcher":
        """The archive as far as it has `paths`: few enough to be sent to another process, which need not look through it again."""
        part = ArchiveFetcher(self.file)
        part._places = {path: place for path in paths if (place := self._places.get(path)) is not None}
        return part

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __contains__(self, path: str) -> bool:
        return self._name(path) in self._places

    def fetch(self, path: str, max_length: int) -> bytes:
        """See verifier.fetcher.Fetcher."""
        place = self._places.get(self._name(check_path(path)))
        if place is None:
            raise MissingError(f"{path} is not in {self.file}")
        offset, length = place
        if length > max_length:
            raise too_long(path, max_length)
        data = self._read(offset, length)
        if len(data) != length:
            raise FetchError(f"{self.file} was cut short while it was read; copy it again")
        return data

    def fetch_linked(self, path: str, other: str, max_length: int) -> tuple[bytes, bool]:
        """See verifier.fetcher.Fetcher: an archive has no links."""
        return self.fetch(path, max_length), False

    def _name(self, path: str) -> str:
        return f"{self.folder}/{path}" if self.folder else path

    @cached_property
    def _descriptor(self) -> int:
        try:
            descriptor = os.open(self.file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise FetchError(f"{self.file} cannot be read: {error.strerror}") from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise FetchError(f"{self.file} is not a regular file")
        return descriptor

    @cached_property
    def _places(self) -> dict[str, tuple[int, int]]:
        """Offset and length of each file."""
        try:
            found = ustar.entries(self._read, self.length)
            return {path: (offset, length) for path, offset, length in found}
        except FormatError as error:
            raise FormatError(f"{self.file}: {error}") from None

    def _read(self, offset: int, length: int) -> bytes:
        try:
            data = os.pread(self._descriptor, length, offset)
            while len(data) < length and (more := os.pread(self._descriptor, length - len(data), offset + len(data))):
                data += more  # one read gives at most 2 GiB
        except OSError as error:
            raise FetchError(f"{self.file} cannot be read: {error.strerror}") from None
        return data

    def __del__(self) -> None:
        if (descriptor := self.__dict__.get("_descriptor")) is not None:
            os.close(descriptor)
