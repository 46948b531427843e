"""A local directory as target: a public tree that a web server, a mirror or a USB stick takes as it is.

Aliases are hard links to objects, replaced by rename: a reader sees the old file or the new one. The tree must be read-only to everyone else, since a link
shares its bytes with the object. Objects are created exclusively; timestamp and hints are replaced by rename, durably.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from builder import durable
from publish import limits
from publish.errors import RaceError, TargetError
from publish.targets import TIMESTAMP, Alias, Conflict, Data, Seen

__all__ = ["LocalTarget", "keep"]

LOCK_SECONDS = 3.0


class LocalTarget:
    """The public tree of one election; `root` is its folder, wrong bytes go to `evidence`. The contract: `publish.targets.Target`."""

    def __init__(self, name: str, root: Path, evidence: Path) -> None:
        self.name, self.root, self.evidence = name, root, evidence
        self._folders: set[str] = set()

    def read(self, path: str) -> Seen | None:
        """See Target. Only a regular file of ours is read: behind a link or a pipe may lie a secret, or no end."""
        try:
            descriptor = os.open(self.root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode) or status.st_size > limits.TARGET_FILE:
                    raise TargetError(f"{self.root / path} is not a file of ours; look who put it there, and remove it")
                data = file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed(path, error) from error
        return Seen(data, hashlib.sha256(data).hexdigest())

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """See Target: `commit` alone decides here."""
        yield

    def put_objects(self, files: Iterable[tuple[str, Data]], advance: Callable[[int], None]) -> list[Conflict]:
        """See Target."""
        conflicts = []
        for path, data in files:
            if (found := self._put_object(path, data)) is not None:
                conflicts.append(Conflict(path, data, found))
            advance(1)
        return conflicts

    def take_object(self, path: str, file: Path) -> bool:
        """Let a large file of ours be an object without a copy; False, and nothing done, where something stands there or links are not to be had."""
        try:
            os.link(file, self._prepare(path), follow_symlinks=False)
        except OSError:
            return False
        return True

    def replace(self, conflict: Conflict) -> None:
        """See Target. The wrong bytes are kept outside the public tree."""
        with self._failing(conflict.path):
            keep(self.evidence, conflict.found)
            durable.write_file(Path(self._prepare(conflict.path)), conflict.data)

    def commit(self, data: bytes, seen: Seen | None, path: str = TIMESTAMP) -> None:
        """See Target."""
        with self._locked():
            now = self.read(path)
            if (now and now.tag) != (seen and seen.tag) and (now is None or now.data != data):
                raise RaceError(f"{self.root / path} was replaced by another publisher meanwhile; publish again")
            self._replace(path, data)

    def put_aliases(self, groups: Iterable[Sequence[Alias]], advance: Callable[[int], None]) -> None:
        """See Target."""
        for group in groups:
            for alias in group:
                self.link(alias.path, alias.source)
            advance(len(group))

    def link(self, path: str, source_path: str) -> None:
        """Make the alias `path` a hard link to an object."""
        name, source = self._prepare(path), f"{self.root}/{source_path}"
        with self._failing(path):
            try:
                os.link(source, name, follow_symlinks=False)
            except OSError as error:
                if error.errno not in {errno.EEXIST, errno.EMLINK}:
                    raise
            else:
                return
            if os.path.lexists(name) and os.path.samestat(os.lstat(name), os.lstat(source)):
                return
            temporary = f"{os.path.dirname(name)}/.{os.path.basename(name)}.new"
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            try:
                os.link(source, temporary, follow_symlinks=False)
            except OSError as error:
                # A file system has a most number of links to one file, which a page that stands in many places may reach.
                if error.errno != errno.EMLINK:
                    raise
                shutil.copyfile(source, temporary, follow_symlinks=False)
            os.replace(temporary, name)

    def put_hint(self, path: str, data: bytes) -> None:
        """See Target."""
        self._replace(path, data)

    def settle(self) -> None:
        """See Target."""
        os.sync()

    def _put_object(self, path: str, data: Data) -> bytes | None:
        """Write an immutable file; the other bytes if such stand under its name."""
        name = self._prepare(path)
        try:
            descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        except FileExistsError:
            return self._other(path, name, data)
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
        return None

    def _other(self, path: str, name: str, data: Data) -> bytes | None:
        with self._failing(path):
            if os.path.islink(name):
                return os.readlink(name).encode()
        there = self.read(path)
        return None if there is None or there.data == data else there.data

    def _replace(self, path: str, data: bytes) -> None:
        with self._failing(path):
            durable.write_file(Path(self._prepare(path)), data)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Two publishers with one folder: the second waits until the first has looked and replaced.

        Not for long: whoever may read the folder can hold this lock, and must not hold up a publisher. The comparison in `commit` stands without it.
        """
        self._prepare(TIMESTAMP)
        with self._failing(TIMESTAMP):
            descriptor = os.open(self.root / "metadata", os.O_RDONLY | os.O_DIRECTORY)
        try:
            end = time.monotonic() + LOCK_SECONDS
            while not _locks(descriptor) and time.monotonic() < end:
                time.sleep(0.05)
            yield
        finally:
            os.close(descriptor)

    def _prepare(self, path: str) -> str:
        folder, _, name = path.rpartition("/")
        if folder not in self._folders:
            for part in [Path(folder), *Path(folder).parents][:-1]:
                # Others may write here too, into an exchange above all: behind a link could lie any folder of ours.
                if (self.root / part).is_symlink():
                    raise TargetError(f"{self.root / part} is a link; look who put it there, and remove it")
            with self._failing(path):
                (self.root / folder).mkdir(parents=True, exist_ok=True)
            self._folders.add(folder)
        return f"{self.root}/{folder}/{name}" if folder else f"{self.root}/{name}"

    @contextlib.contextmanager
    def _failing(self, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._failed(path, error) from error

    def _failed(self, path: str, error: OSError) -> TargetError:
        return TargetError(f"{self.root / path}: {error.strerror or error}")


def _locks(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def keep(folder: Path, data: bytes) -> bool:
    """Keep wrong bytes as evidence, for the owner's eyes: they may be a secret that somebody put into the public tree. False where there is no room for more."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{hashlib.sha256(data).hexdigest()}.wrong"
    if not path.exists():
        sizes = [entry.stat(follow_symlinks=False).st_size for entry in os.scandir(folder)]
        if len(sizes) >= limits.EVIDENCE_FILES or sum(sizes) + len(data) > limits.EVIDENCE_BYTES:
            return False
        durable.write_file(path, data, 0o600)
    return True
