"""Durable writes: after each of these returns, a power cut does not undo it.

Every file that matters is written through here. `write_file` replaces as a whole; `append_lines` adds as a whole or leaves a torn last
line without LF, which readers cut off.
"""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["append_lines", "sync_directory", "write_directory", "write_file"]


def sync_directory(path: Path) -> None:
    """Make the names in `path` durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: Path, data: bytes | memoryview, mode: int = 0o644) -> None:
    """Replace `path` by `data` as a whole: readers see the old or the new bytes, never a part."""
    # One name for each file: what a killed write left is taken over by the next one.
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync_directory(path.parent)


def write_directory(path: Path, files: Mapping[str, bytes]) -> None:
    """Make directory `path` with `files` appear as a whole, not yet synced: call `os.sync` once for many of them.

    A directory that is already there was written by an interrupted run; its bytes are replaced.
    """
    temporary = path.with_name(f".{path.name}.new")
    temporary.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (temporary / name).write_bytes(data)
    if path.exists():
        for name in files:
            os.replace(temporary / name, path / name)
        temporary.rmdir()
    else:
        os.rename(temporary, path)


def append_lines(path: Path, lines: bytes) -> None:
    """Append whole lines and make them durable; on a failed write the file is cut back to what it was."""
    if not lines.endswith(b"\n"):
        raise AssertionError("a committed line ends with LF")
    fresh = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        try:
            view = memoryview(lines)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)
    if fresh:
        sync_directory(path.parent)
