"""What a target holds, for the guard: listed, read, put back, removed. Paths as in `publish.targets`.

A bucket is asked with the guard's own credentials, which may list, overwrite and delete; the publisher's need not. A publisher and a guard keep out of each
other's way by `Workspace.quiet`.
"""

import contextlib
import hashlib
import os
import stat
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import NamedTuple, Protocol

from publish import limits
from publish.errors import TargetError
from publish.guard.judge import Listed
from publish.guard.listing import ASIDE, Listing, is_plain
from publish.guard.tree import Tree
from publish.targets.bucket import Bucket, Held
from publish.targets.keys import Key, Keys
from publish.targets.local import LocalTarget, keep
from verifier.receiver import Receiver

__all__ = ["EVIDENCE", "READ_AT_ONCE", "BucketInventory", "Found", "Inventory", "LocalInventory"]

EVIDENCE = 16_000_000  # bytes of a wrong file that are kept
SETTLES_SECONDS = 2.0
UNWANTED = ("Content-Encoding", "Content-Disposition", "Content-Language")
SET_ASIDE = ".set-aside"
WELL_KNOWN = ".well-known"
PROBE = ".terbit-probe"
FOLDERS = 5_000  # that are listed side by side; where a stranger has made more, one long listing has to do
READ_AT_ONCE = 1_024  # files


class Found(NamedTuple):
    """A file that was read: `data`, None if it is no file of ours at all; `fault` says what else is wrong with it.

    `tag` is that of a listing which shows the very file that was read; "" while it is so young that another one could have the same.
    """

    data: bytes | None
    fault: str = ""
    tag: str = ""

    @property
    def length(self) -> int:
        return len(self.data or b"")


class Sum(NamedTuple):
    """A file that was read and not held; `tag` as in `Found`."""

    sha256: str
    length: int
    tag: str


class Inventory(Protocol):
    """One target's files; `evidence` says where wrong bytes are kept. Every method raises `TargetError` when the target is down or refuses.

    `put` and `remove` return instead what failed, by path: one file must not keep the others wrong.
    """

    name: str
    evidence: str

    def listing(self, known: Container[str] = ()) -> Listing:
        """Everything in the election's folder, and with `../` what lies beside it; of strangers' folders beside it the names alone, with `/` at the end."""

    def read(self, wanted: Iterable[tuple[str, int]]) -> Iterator[tuple[str, Found | None]]:
        """Read files, as (path, most bytes that may belong there); None for one that is gone meanwhile. A file that cannot be read hides no other."""

    def sum(self, path: str, most: int) -> Sum | None:
        """Read a file that is too large to be held; None where anything is wrong with it, which `read` tells."""

    def put(self, files: Iterable[tuple[str, bytes, str]]) -> dict[str, str]:
        """Write files, as (path, bytes, path of the object with the same bytes or "")."""

    def set_aside(self, wrong: Iterable[bytes]) -> None:
        """Keep wrong bytes as evidence, as `<sha256>.wrong`, where no client reads them."""

    def remove(self, paths: Iterable[str]) -> dict[str, str]:
        """Take files away."""


class LocalInventory:
    """A folder. See Inventory."""

    def __init__(self, target: LocalTarget) -> None:
        self.name, self._root, self._evidence = target.name, target.root, target.evidence
        self.evidence = "build/guard/set-aside"
        self._tree = Tree(target.root.parent)

    def listing(self, known: Container[str] = ()) -> Listing:
        """See Inventory."""
        found = Listing(known)
        try:
            self._scan(str(self._root), "", found)
            for entry in os.scandir(self._root.parent):
                if entry.is_dir(follow_symlinks=False):
                    if entry.name in {WELL_KNOWN, SET_ASIDE}:
                        self._scan(entry.path, f"../{entry.name}/", found)
                    elif entry.name != self._root.name:
                        found.add(f"../{entry.name}/", Listed(0, ""))
                else:
                    found.add(f"../{entry.name}", _listed(entry.stat(follow_symlinks=False)))
        except OSError as error:
            raise TargetError(f"{self._root} cannot be read: {error.strerror or error}") from error
        return found

    def read(self, wanted: Iterable[tuple[str, int]]) -> Iterator[tuple[str, Found | None]]:
        """See Inventory. Only regular files are opened: behind a link or a pipe may lie a secret, or no end."""
        for path, most in wanted:
            yield path, self._read(path, most)

    def sum(self, path: str, most: int) -> Sum | None:
        """See Inventory."""
        receiver = Receiver()
        try:
            status = self._tree.receive(self._place(path), most, receiver)
        except OSError:
            return None
        if status is None or receiver.length != status.st_size:
            return None
        return Sum(receiver.sha256, receiver.length, _settled(_listed(status).tag, status.st_ctime))

    def put(self, files: Iterable[tuple[str, bytes, str]]) -> dict[str, str]:
        """See Inventory. An alias is a link to its object, which is right by now."""
        failed: dict[str, str] = {}
        for path, data, source in files:
            try:
                self._put(path, data, source)
            except OSError as error:
                failed[path] = _reason(error)
        return failed

    def set_aside(self, wrong: Iterable[bytes]) -> None:
        """See Inventory. Not in the public tree: what was put there may be a secret of ours."""
        for data in wrong:
            if not keep(self._evidence, data):
                raise _full(self.evidence)

    def remove(self, paths: Iterable[str]) -> dict[str, str]:
        """See Inventory."""
        failed: dict[str, str] = {}
        for path in paths:
            try:
                self._tree.remove(self._place(path))
            except (OSError, RecursionError) as error:
                failed[path] = _reason(error)
        return failed

    def _put(self, path: str, data: bytes, source: str) -> None:
        if source:
            # Without the object, or with as many links to it as the file system allows, a file of its own does as well.
            with contextlib.suppress(OSError):
                self._tree.link(self._place(path), self._place(source))
                return
        self._tree.write(self._place(path), data)

    def _place(self, path: str) -> str:
        return path.removeprefix("../") if path.startswith("../") else f"{self._root.name}/{path}"

    def _scan(self, folder: str, prefix: str, found: Listing) -> None:
        pending = [(folder, prefix)]
        while pending:
            folder, prefix = pending.pop()
            try:
                entries = os.scandir(folder)
            except FileNotFoundError:
                continue
            except OSError:
                if not prefix:
                    raise
                # Too deep a path, or no right to look: what a stranger made so must not hide the rest.
                found.add(prefix, Listed(0, ""))
                continue
            with entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append((entry.path, f"{prefix}{entry.name}/"))
                    else:
                        with contextlib.suppress(FileNotFoundError):
                            found.add(prefix + entry.name, _listed(entry.stat(follow_symlinks=False)))

    def _read(self, path: str, most: int) -> Found | None:
        if path.endswith("/"):
            return Found(None, "it is a folder that cannot be looked into")
        try:
            data, status = self._tree.read(self._place(path), max(most, EVIDENCE))
        except FileNotFoundError:
            return None
        except OSError as error:
            return Found(None, f"it cannot be read: {_reason(error)}")
        if data is None:
            return Found(
                None, f"it has {status.st_size} bytes" if stat.S_ISREG(status.st_mode) else "it is no regular file"
            )
        return Found(data, tag=_settled(_listed(status).tag, status.st_ctime))


class BucketInventory:
    """A bucket's prefix, of which `keys` tells and takes away what no publisher could have named. See Inventory."""

    def __init__(self, name: str, bucket: Bucket, keys: Keys) -> None:
        self.name, self._bucket, self._keys, self.evidence = name, bucket, keys, SET_ASIDE
        self._own, self._aside_files, self._aside_bytes = bucket.key(""), 0, 0

    def listing(self, known: Container[str] = ()) -> Listing:
        """See Inventory. One listing is a chain of requests: the folders of a nation are followed side by side."""
        found = Listing(known)
        folders = [self._bucket.key(path) for path in (f"../{WELL_KNOWN}/", ASIDE)]
        for folder in self._level(self._bucket.key("../"), found) or ():
            if folder not in {*folders, self._own}:
                found.add(self._path(folder), Listed(0, ""))
        inner = self._level(self._own, found)
        targets = self._bucket.key("targets/")
        if inner is not None and targets in inner and (deeper := self._level(targets, found)) is not None:
            inner = [one for one in inner if one != targets] + deeper
        folders += [self._own] if inner is None else inner

        def whole(prefix: str) -> None:
            for keys, _ in self._keys.pages(prefix):
                self._add(found, keys)

        self._bucket.each(whole, folders)
        self._aside_files, self._aside_bytes = found.evidence_files, found.evidence_bytes
        return found

    def read(self, wanted: Iterable[tuple[str, int]]) -> Iterator[tuple[str, Found | None]]:
        """See Inventory. The headers are compared too: a page that is served as a download is gone for its readers."""
        rest = iter(wanted)
        while some := list(islice(rest, READ_AT_ONCE)):
            yield from self._read_some(some)

    def sum(self, path: str, most: int) -> Sum | None:
        """See Inventory."""
        receiver = Receiver()
        try:
            held = self._bucket.receive(path, most, receiver)
        except TargetError:
            return None
        if held is None or receiver.length != held.size or self._fault(path, held):
            return None
        return Sum(receiver.sha256, receiver.length, _settled(_tag(held.tag, held.written), held.written))

    def put(self, files: Iterable[tuple[str, bytes, str]]) -> dict[str, str]:
        """See Inventory."""
        return self._each(
            {path: partial(self._bucket.put, path, data, alias=bool(source)) for path, data, source in files}
        )

    def set_aside(self, wrong: Iterable[bytes]) -> None:
        """See Inventory."""
        for data in wrong:
            if self._aside_files >= limits.EVIDENCE_FILES or self._aside_bytes + len(data) > limits.EVIDENCE_BYTES:
                raise _full(self.evidence)
            self._bucket.put(f"{ASIDE}{hashlib.sha256(data).hexdigest()}.wrong", data)
            self._aside_files += 1
            self._aside_bytes += len(data)

    def remove(self, paths: Iterable[str]) -> dict[str, str]:
        """See Inventory."""
        return self._each({path: partial(self._keys.remove, self._key(path)) for path in paths})

    def _each(self, work: Mapping[str, Callable[[], None]]) -> dict[str, str]:
        failed: dict[str, str] = {}

        def one(path: str) -> None:
            try:
                work[path]()
            except TargetError as error:
                failed[path] = str(error)

        self._bucket.each(one, work)
        return failed

    def _level(self, prefix: str, found: Listing) -> list[str] | None:
        """The folders in one folder, None where they are too many; its files go to `found`."""
        folders: list[str] = []
        for keys, deeper in self._keys.pages(prefix, "/"):
            self._add(found, keys)
            folders += deeper
            if len(folders) > FOLDERS:
                return None
        return folders

    def _add(self, found: Listing, keys: Iterable[Key]) -> None:
        for one in keys:
            found.add(self._path(one.key), Listed(one.size, _tag(one.tag, one.written)))

    def _path(self, key: str) -> str:
        """The path of a key; `./` goes before one that would mean something else as a path."""
        if not key.startswith(self._own):
            return "../" + key.removeprefix(self._bucket.key("../"))
        path = key.removeprefix(self._own)
        return f"./{path}" if not path or path.startswith(("./", "../")) else path

    def _key(self, path: str) -> str:
        return self._bucket.key(path) if path.startswith("../") else self._own + path.removeprefix("./")

    def _read_some(self, some: Iterable[tuple[str, int]]) -> list[tuple[str, Found | None]]:
        results: list[tuple[str, Found | None]] = []
        self._bucket.each(lambda file: results.append((file[0], self._read(*file))), some)
        return results

    def _read(self, path: str, most: int) -> Found | None:
        try:
            if not is_plain(path):
                return Found(self._keys.get(self._key(path), EVIDENCE), "no publisher writes such a name")
            return self._read_plain(path, most)
        except TargetError as error:
            self._bucket.get(PROBE, EVIDENCE)  # is it the server, or this file alone?
            return Found(None, f"it cannot be read: {error}")

    def _read_plain(self, path: str, most: int) -> Found | None:
        held = self._bucket.get(path, max(most + 1_000, EVIDENCE))
        if held is None:
            return None
        if held.data is None:
            return Found(None, f"it has {held.size} bytes")
        return Found(held.data, self._fault(path, held), _settled(_tag(held.tag, held.written), held.written))

    def _fault(self, path: str, held: Held) -> str:
        for name, value in self._bucket.headers(path).items():
            if (there := held.headers.get(name)) != value:
                return f"its {name} is {there or 'missing'} instead of {value}"
        for name in UNWANTED:
            there = held.headers.get(name)
            if there and not (there == "gzip" and name == "Content-Encoding" and self._bucket.compresses(path)):
                return f"it has {name}: {there}"
        return ""


def _full(where: str) -> TargetError:
    return TargetError(
        f"{where} holds {limits.EVIDENCE_BYTES // 1_000_000:,} MB or {limits.EVIDENCE_FILES:,} files already; look at them and move them away"
    )


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)


def _listed(status: os.stat_result) -> Listed:
    # The inode's own change time cannot be set back by whoever may write the file.
    tag = f"{status.st_ino}.{status.st_size}.{status.st_mtime_ns}.{status.st_ctime_ns}"
    return Listed(status.st_size, tag)


def _tag(e_tag: str, written: int) -> str:
    # The time stands beside the ETag, which is an MD5: two files with one MD5 can be made. A GET tells it in whole seconds.
    return f"{e_tag} {written}"


def _settled(tag: str, written: float) -> str:
    """The tag, unless another write could still have the same one: servers tell the time of a write in whole seconds, file systems in ticks."""
    return tag if time.time() - written > SETTLES_SECONDS else ""
