"""A mirror's folder.

```
mirror.toml            election and upstreams; the operator's to edit
state/                 the TUF client's state: trusted roots, newest timestamp and snapshot
public/<election>/     what is served: docs/formats.md, "Public tree"
incoming/              files on their way in; never served
complete.json          the last run that ended well: what stands in public/ then
under-way              there while a run changes public/
lock
```

Files come into `public/` by rename, so that a reader sees none, the old one or the new one, but for new objects (`add`). Aliases are hard links to objects.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import threading
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from verifier import limits
from verifier.durable import sync_folder
from verifier.errors import VerificationError, VerifierError
from verifier.fetcher import DirectoryFetcher, check_path
from verifier.files import SignedFile, object_path
from verifier.receiver import Receiver

__all__ = ["TIMESTAMP", "Complete", "Folder", "Marked", "Settings"]

TIMESTAMP = "metadata/timestamp.json"
# A file system without hard links, or with a most number of links to one file.
_NO_LINK = frozenset({errno.EMLINK, errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})

Marked = tuple[SignedFile, bool]  # a file, and if it is a results file


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`mirror.toml`. `election`: the folder's name below `public/`. `upstreams`: URLs or folders of the election."""

    election: str
    upstreams: tuple[str, ...]


class Complete(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`complete.json`. `timestamp`: SHA-256 of the one that is served, signed as current until `expires` (Unix seconds).
    `time`: when the run ended. `etags`: of this very timestamp, by upstream."""

    timestamp: str
    release: int
    expires: float
    files: int
    bytes: int
    time: float
    etags: dict[str, str]


class Folder:
    """One mirror on disk. Its methods raise VerifierError where the disk fails."""

    def __init__(self, root: Path) -> None:
        self.root, self.state = root, root / "state"
        self.settings = _settings(root)
        self.public = root / "public" / self.settings.election
        self._fetcher = DirectoryFetcher(self.public)
        self._made: set[str] = set()

    @staticmethod
    def create(root: Path, settings: Settings) -> None:
        """Write `mirror.toml`, which makes a folder a mirror; the state is there already."""
        with _failing(root):
            for name in ("incoming", f"public/{settings.election}"):
                (root / name).mkdir(parents=True, exist_ok=True)
            # JSON's strings and arrays of strings are TOML's, too.
            lines = [f"election = {json.dumps(settings.election)}", "upstreams = ["]
            lines += [f"  {json.dumps(place)}," for place in settings.upstreams]
            _write(root / "mirror.toml", "\n".join([*lines, "]", ""]).encode(), root / "mirror.toml.new")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """One run at a time; VerifierError if another one is under way."""
        with _failing(self.root):
            descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise VerifierError(f"another run is catching up {self.root}; wait for it") from None
            yield
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def making(self) -> Iterator[None]:
        """While one of this run's processes makes many files the others wait."""
        with _failing(self.root):
            descriptor = os.open(self.root / "incoming", os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def last_success(self) -> Complete | None:
        """What the last run that ended well left, whatever has happened since."""
        try:
            return msgspec.json.decode((self.root / "complete.json").read_bytes(), type=Complete)
        except (OSError, ValueError):
            return None

    def complete(self) -> Complete | None:
        """The same, if it is what stands there now: None if a later run was broken off."""
        found = None if (self.root / "under-way").exists() else self.last_success()
        return found if found and self.read(TIMESTAMP, sha256=found.timestamp) is not None else None

    def begin(self) -> None:
        """From now on a stop leaves work to do; what an earlier stop left half-written is removed."""
        with _failing(self.root):
            _write(self.root / "under-way", b"", self.root / "under-way.new")
            (self.root / "incoming").mkdir(exist_ok=True)
            self._clear()

    def end(self, complete: Complete) -> None:
        """All of it is there."""
        with _failing(self.root):
            self._clear()
            os.sync()
            _write(self.root / "complete.json", msgspec.json.encode(complete), self.root / "complete.json.new")
            (self.root / "under-way").unlink(missing_ok=True)

    def fetch(self, path: str, max_length: int) -> bytes:
        """A public file: see verifier.fetcher.Fetcher."""
        return self._fetcher.fetch(path, max_length)

    def read(self, path: str, sha256: str | None = None, max_length: int = limits.TARGET_FILE) -> bytes | None:
        """A public file's bytes, None if it is not there, or has not this SHA-256."""
        try:
            data = self.fetch(path, max_length)
        except VerifierError:
            return None
        return data if sha256 is None or hashlib.sha256(data).hexdigest() == sha256 else None

    def has(self, path: str, file: SignedFile) -> bool:
        """True if these very bytes stand at a public path; they are not held."""
        receiver = Receiver()
        try:
            self._fetcher.receive(path, file.length, receiver)
        except VerifierError:
            return False
        return receiver.sha256 == file.sha256

    @contextlib.contextmanager
    def receiving(self, path: str, left: threading.Event | None = None) -> Iterator[Receiver]:
        """Let a public file appear as a whole that is too large to be held, once the block has received it without an error."""
        name = self._prepare(path)
        incoming = self._incoming(path)
        try:
            with _failing(name), open(incoming, "wb") as file:
                yield Receiver(file, left)
            with _failing(name):
                os.replace(incoming, name)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(incoming)
            raise

    def put(self, path: str, data: bytes) -> None:
        """Let a public file appear, or be replaced, as a whole. It is durable after `settle`."""
        name = self._prepare(path)
        with _failing(name):
            incoming = self._incoming(path)
            with open(incoming, "wb") as file:
                file.write(data)
            os.replace(incoming, name)

    def add(self, path: str, data: bytes) -> None:
        """The same for a file whose name has its hash: where nothing stands it is written in place, half as dear. No release that is served
        knows it yet, and a run that finds half of it, after a stop, finds it by its hash."""
        name = self._prepare(path)
        with _failing(name):
            try:
                descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            except FileExistsError:
                if self.read(path, max_length=len(data)) != data:
                    self.put(path, data)
            else:
                try:
                    view = memoryview(data)
                    while view:
                        view = view[os.write(descriptor, view) :]
                finally:
                    os.close(descriptor)

    def put_durably(self, path: str, data: bytes) -> None:
        """The same, and it is durable at once."""
        name = self._prepare(path)
        with _failing(name):
            _write(Path(name), data, Path(self._incoming(path)))

    def link(self, path: str, source: str) -> None:
        """Let the alias `path` be a hard link to the object `source`, or a copy where there are no links."""
        name, target = self._prepare(path), f"{self.public}/{source}"
        incoming = f"{self.root}/incoming/{threading.get_native_id()}"
        with _failing(name):
            try:
                _link(target, incoming)
            except FileExistsError:  # a rename onto the same file leaves both names
                os.unlink(incoming)
                _link(target, incoming)
            os.replace(incoming, name)

    def show(self, files: Iterable[Marked]) -> None:
        """Let files' aliases be their objects; a results file's signature with it."""
        for file, is_results in files:
            source = object_path(file)
            self.link(file.path, source)
            if is_results:
                self.link(f"{file.path}.minisig", f"{source}.minisig")

    def remove(self, path: str) -> None:
        """Take an alias away."""
        with _failing(self.public / path):
            (self.public / path).unlink(missing_ok=True)

    def settle(self) -> None:
        """Everything that was put is durable after this."""
        os.sync()

    def free(self) -> int:
        """Bytes that fit on the disk."""
        with _failing(self.root):
            return shutil.disk_usage(self.root).free

    def _clear(self) -> None:
        for left in os.scandir(self.root / "incoming"):
            os.unlink(left)

    # Text, not Path: a nation has half a million names.
    def _incoming(self, path: str) -> str:
        return f"{self.root}/incoming/{hashlib.sha256(path.encode()).hexdigest()}.part"

    def _prepare(self, path: str) -> str:
        folder = check_path(path).rpartition("/")[0]
        if folder not in self._made:
            with _failing(self.public / folder):
                (self.public / folder).mkdir(parents=True, exist_ok=True)
            self._made.add(folder)
        return f"{self.public}/{path}"


def _settings(root: Path) -> Settings:
    file = root / "mirror.toml"
    try:
        with file.open("rb") as stream:
            settings = msgspec.convert(tomllib.loads(stream.read(limits.MIRROR_SETTINGS_FILE).decode()), Settings)
    except FileNotFoundError:
        raise VerifierError(f"{root} is not a mirror's folder; make one with terbit-verify mirror init") from None
    except (OSError, ValueError) as error:
        raise VerifierError(f"{file} cannot be read: {error}") from None
    try:
        plain = "/" not in check_path(settings.election) and not settings.election.startswith(".")
    except VerificationError:
        plain = False
    if not plain:
        raise VerifierError(f"{file}: election = {settings.election!r} cannot be a folder's name")
    if not 1 <= len(settings.upstreams) <= limits.UPSTREAMS_COUNT:
        raise VerifierError(f"{file} must name 1 to {limits.UPSTREAMS_COUNT} upstreams")
    return settings


def _link(target: str, name: str) -> None:
    try:
        os.link(target, name, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        with open(target, "rb") as source, open(name, "xb") as copy:
            shutil.copyfileobj(source, copy)


def _write(path: Path, data: bytes, temporary: Path) -> None:
    """Replace `path` as a whole, durably."""
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    sync_folder(path.parent)


@contextlib.contextmanager
def _failing(path: Path | str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise VerifierError(
            f"{path}: {error.strerror or error}. What is served stays as it was; mend this and run again to go on"
        ) from None
