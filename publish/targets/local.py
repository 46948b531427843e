"""A local directory as target: a public tree that a web server, a mirror or a USB stick takes as it is.

The contract:
- *objects* (`targets/…`, `metadata/N.…`, `packages/…`) are immutable. Writing one that is there compares the bytes; other bytes under that name mean a broken write or a tampered disk:
  they are replaced, and the caller is told so.
- *aliases* are hard links to objects, replaced by rename: a reader sees the old file or the new one. The tree must be read-only to everyone else, since
  a link shares its bytes with the object.
- *pointers* (`metadata/timestamp.json`, `latest.json`) are replaced by rename, durably.
- `settle()` makes everything before it durable. Nothing is deleted.
"""

import contextlib
import os
from pathlib import Path

from builder import durable
from publish.errors import TargetError

__all__ = ["LocalTarget"]


class LocalTarget:
    """The public tree of one election; `root` is its folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folders: set[str] = set()

    def put_object(self, path: str, data: bytes) -> bool:
        """Write an immutable file; True if other bytes stood under its name and were replaced."""
        name = self._prepare(path)
        try:
            descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        except FileExistsError:
            return self._replace_if_other(path, name, data)
        except OSError as error:
            raise self._failed(path, error) from error
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise self._failed(path, error) from error
        finally:
            os.close(descriptor)
        return False

    def put_alias(self, path: str, object_path: str) -> None:
        """Make `path` show the bytes of an object."""
        name, source = self._prepare(path), f"{self.root}/{object_path}"
        try:
            os.link(source, name, follow_symlinks=False)
        except FileExistsError:
            if os.path.samestat(os.lstat(name), os.lstat(source)):
                return
            temporary = f"{os.path.dirname(name)}/.{os.path.basename(name)}.new"
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            os.link(source, temporary, follow_symlinks=False)
            os.replace(temporary, name)
        except OSError as error:
            raise self._failed(path, error) from error

    def put_pointer(self, path: str, data: bytes) -> None:
        """Replace the one kind of file that changes, durably."""
        try:
            durable.write_file(Path(self._prepare(path)), data)
        except OSError as error:
            raise self._failed(path, error) from error

    def read(self, path: str) -> bytes | None:
        """A file's bytes, None if there is none."""
        try:
            return (self.root / path).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed(path, error) from error

    def settle(self) -> None:
        """Make all writes so far durable: what a commit points at must survive a power cut."""
        os.sync()

    def _prepare(self, path: str) -> str:
        folder, _, name = path.rpartition("/")
        if folder not in self._folders:
            try:
                (self.root / folder).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise self._failed(path, error) from error
            self._folders.add(folder)
        return f"{self.root}/{folder}/{name}" if folder else f"{self.root}/{name}"

    def _replace_if_other(self, path: str, name: str, data: bytes) -> bool:
        try:
            if not os.path.islink(name) and Path(name).read_bytes() == data:
                return False
            durable.write_file(Path(name), data)
        except OSError as error:
            raise self._failed(path, error) from error
        return True

    def _failed(self, path: str, error: OSError) -> TargetError:
        return TargetError(
            f"{self.root / path}: {error.strerror or error}. The last release stays as it was; mend this and publish again to go on"
        )
