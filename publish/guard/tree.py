"""Files beneath a folder to which strangers may write: no link of theirs is followed, wherever on the way it stands.

Each part of a path is opened relative to the one before it (`openat`, `O_NOFOLLOW`), so a folder that becomes a link between two steps leads nowhere.
"""

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from verifier.fetcher import PART
from verifier.receiver import Receiver

__all__ = ["Tree"]

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class Tree:
    """The files beneath `root`, which is the operator's own choice and may be a link. Every method raises `OSError`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, path: str, most: int) -> tuple[bytes | None, os.stat_result]:
        """A regular file's bytes and what it is; None in place of the bytes where there are more than `most`, or of what is no regular file."""
        with self._opened(path, most) as (file, status):
            return (file.read() if file else None), status

    def receive(self, path: str, most: int, receiver: Receiver) -> os.stat_result | None:
        """Hand a regular file on in parts, as far as it went when it was opened; what it is, None where `read` has no bytes."""
        with self._opened(path, most) as (file, status):
            if file is None:
                return None
            while part := file.read(min(PART, status.st_size - receiver.length)):
                receiver.take(part)
            return status

    def write(self, path: str, data: bytes) -> None:
        """Replace a file as a whole and durably, in place of whatever has its name."""
        with self._folder(path, make=True) as (folder, name):
            temporary = f".{name}.new"
            _clear(folder, temporary)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=folder)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(descriptor, 0o644)
                os.fsync(descriptor)
            _show(folder, temporary, name)

    def link(self, path: str, source: str) -> None:
        """Make `path` a hard link to `source`, in place of whatever has its name."""
        with self._folder(source) as (other, object_name), self._folder(path, make=True) as (folder, name):
            temporary = f".{name}.new"
            _clear(folder, temporary)
            os.link(object_name, temporary, src_dir_fd=other, dst_dir_fd=folder, follow_symlinks=False)
            _show(folder, temporary, name)

    def remove(self, path: str) -> None:
        """Take away a file, or with `/` at its end a folder that cannot be read."""
        with contextlib.suppress(FileNotFoundError), self._folder(path.removesuffix("/")) as (folder, name):
            if path.endswith("/"):
                shutil.rmtree(name, dir_fd=folder)
            else:
                os.unlink(name, dir_fd=folder)

    @contextlib.contextmanager
    def _opened(self, path: str, most: int) -> Iterator[tuple[IO[bytes] | None, os.stat_result]]:
        """A regular file to be read, and what it is; None in place of the file where it has more than `most` bytes, or is no regular file."""
        with self._folder(path) as (folder, name):
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
            with os.fdopen(descriptor, "rb") as file:
                status = os.fstat(descriptor)
                yield (file if stat.S_ISREG(status.st_mode) and status.st_size <= most else None), status

    @contextlib.contextmanager
    def _folder(self, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """The folder that a path lies in, and its name there. `make`: a folder that is missing, or that something else stands in place of."""
        *parents, name = path.split("/")
        descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for part in parents:
                if make:
                    _make(descriptor, part)
                inner = os.open(part, _FOLDER, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
            yield descriptor, name
        finally:
            os.close(descriptor)


def _make(folder: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            return
        os.unlink(name, dir_fd=folder)
    os.mkdir(name, 0o755, dir_fd=folder)


def _clear(folder: int, name: str) -> None:
    """Take away what stands in the way: a file, or folders without files. What they hold is somebody's evidence, and goes first."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=folder)
            return
        for _, folders, _, descriptor in os.fwalk(name, topdown=False, dir_fd=folder):
            for inner in folders:
                os.rmdir(inner, dir_fd=descriptor)
        os.rmdir(name, dir_fd=folder)


def _show(folder: int, temporary: str, name: str) -> None:
    try:
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except IsADirectoryError:
        _clear(folder, name)
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=folder)  # two links to one file are not moved over each other
    os.fsync(folder)
