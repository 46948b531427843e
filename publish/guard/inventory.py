"""What a target holds, for the guard: listed, read, put back, removed. Paths as in `publish.targets`.

A bucket is asked with the guard's own credentials, which may list, overwrite and delete; the publisher's need not. A publisher and a guard keep out of each
other's way by `Workspace.quiet`.
"""

import contextlib
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple, Protocol

import obstore

from publish.errors import TargetError
from publish.guard.judge import Listed
from publish.guard.tree import Tree
from publish.targets.bucket import Bucket
from publish.targets.local import LocalTarget, keep

__all__ = ["EVIDENCE", "BucketInventory", "Found", "Inventory", "LocalInventory"]

EVIDENCE = 16_000_000  # bytes of a wrong file that are kept
SETTLES_SECONDS = 2.0
UNWANTED = ("Content-Encoding", "Content-Disposition", "Content-Language")
SET_ASIDE = ".set-aside"
WELL_KNOWN = ".well-known"


class Found(NamedTuple):
    """A file that was read: `data`, None if it is no file of ours at all; `fault` says what else is wrong with it.

    `tag` is that of a listing which shows the very file that was read; "" while it is so young that another one could have the same.
    """

    data: bytes | None
    fault: str = ""
    tag: str = ""


class Inventory(Protocol):
    """One target's files; `evidence` says where wrong bytes are kept. Every method raises `TargetError` when the target is down or refuses.

    `put` and `remove` return instead what failed, by path: one file must not keep the others wrong.
    """

    name: str
    evidence: str

    def listing(self) -> dict[str, Listed]:
        """Everything in the election's folder, and with `../` what lies beside it; of strangers' folders beside it the names alone, with `/` at the end."""

    def read(self, wanted: Iterable[tuple[str, int]]) -> Iterator[tuple[str, Found | None]]:
        """Read files, as (path, most bytes that may belong there); None for one that is gone meanwhile."""

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

    def listing(self) -> dict[str, Listed]:
        """See Inventory."""
        found: dict[str, Listed] = {}
        try:
            self._scan(str(self._root), "", found)
            for entry in os.scandir(self._root.parent):
                if entry.is_dir(follow_symlinks=False):
                    if entry.name in {WELL_KNOWN, SET_ASIDE}:
                        self._scan(entry.path, f"../{entry.name}/", found)
                    elif entry.name != self._root.name:
                        found[f"../{entry.name}/"] = Listed(0, "")
                else:
                    found[f"../{entry.name}"] = _listed(entry.stat(follow_symlinks=False))
        except OSError as error:
            raise TargetError(f"{self._root} cannot be read: {error.strerror or error}") from error
        return found

    def read(self, wanted: Iterable[tuple[str, int]]) -> Iterator[tuple[str, Found | None]]:
        """See Inventory. Only regular files are opened: behind a link or a pipe may lie a secret, or no end."""
        for path, most in wanted:
            yield path, self._read(path, most)

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
            keep(self._evidence, data)

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

    def _scan(self, folder: str, prefix: str, found: dict[str, Listed]) -> None:
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
                found[prefix] = Listed(0, "")
                continue
            with entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append((entry.path, f"{prefix}{entry.name}/"))
                    else:
                        with contextlib.suppress(FileNotFoundError):
                            found[prefix + entry.name] = _listed(entry.stat(follow_symlinks=False))

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
    """A bucket's prefix. See Inventory."""

    def __init__(self, name: str, bucket: Bucket) -> None:
        self.name, self._bucket, self.evidence = name, bucket, SET_ASIDE

    def listing(self) -> dict[str, Listed]:
        """See Inventory. One listing is a chain of requests: the folders of a nation are followed side by side."""
        found: dict[str, Listed] = {}
        folders = []
        own = self._bucket.key("").removesuffix("/")
        for key, path in self._folder(self._bucket.key("../").removesuffix("/"), "../", found):
            if path in {f"../{WELL_KNOWN}/", f"../{SET_ASIDE}/"}:
                folders.append((key, path))
            elif key != own:
                found[path] = Listed(0, "")
        for key, path in self._folder(own, "", found):
            folders += self._folder(key, path, found) if path == "targets/" else [(key, path)]

        def whole(place: tuple[str, str]) -> None:
            key, prefix = place
            with self._bucket.failing(prefix):
                for page in obstore.list(self._bucket.store, key, chunk_size=1000):
                    _add(found, ((prefix + one["path"][len(key) + 1 :], _of_bucket(one)) for one in page))

        self._bucket.each(whole, folders)
        return found

    def read(self, wanted: Iterable[tuple[str, int]]) -> Iterator[tuple[str, Found | None]]:
        """See Inventory. The headers are compared too: a page that is served as a download is gone for its readers."""
        results: list[tuple[str, Found | None]] = []
        self._bucket.each(lambda file: results.append((file[0], self._read(*file))), wanted)
        yield from results

    def put(self, files: Iterable[tuple[str, bytes, str]]) -> dict[str, str]:
        """See Inventory."""
        return self._each(
            {path: partial(self._bucket.put, path, data, alias=bool(source)) for path, data, source in files}
        )

    def set_aside(self, wrong: Iterable[bytes]) -> None:
        """See Inventory."""
        for data in wrong:
            self._bucket.put(f"../{SET_ASIDE}/{hashlib.sha256(data).hexdigest()}.wrong", data)

    def remove(self, paths: Iterable[str]) -> dict[str, str]:
        """See Inventory."""
        work = {path: partial(self._bucket.remove, path) for path in paths}
        # The library would take away our own file, whose key is the same but for the `/`.
        unnamed = {path: "the library cannot name this key; remove it by hand" for path in work if path.endswith("/")}
        return self._each({path: work[path] for path in work.keys() - unnamed.keys()}) | unnamed

    def _each(self, work: Mapping[str, Callable[[], None]]) -> dict[str, str]:
        failed: dict[str, str] = {}

        def one(path: str) -> None:
            try:
                work[path]()
            except TargetError as error:
                failed[path] = str(error)

        self._bucket.each(one, work)
        return failed

    def _folder(self, key: str, prefix: str, found: dict[str, Listed]) -> list[tuple[str, str]]:
        """The folders in one folder, as (key, path); its files go to `found`."""
        with self._bucket.failing(prefix):
            listed = obstore.list_with_delimiter(self._bucket.store, key or None)
        cut = len(key) + 1 if key else 0
        _add(found, ((prefix + one["path"][cut:], _of_bucket(one)) for one in listed["objects"]))
        return [(one, f"{prefix}{one[cut:]}/") for one in listed["common_prefixes"]]

    def _read(self, path: str, most: int) -> Found | None:
        if path.endswith("/"):
            return Found(None, "a key with / at its end")
        held = self._bucket.get(path, max(most + 1_000, EVIDENCE))
        if held is None:
            return None
        if held.data is None:
            return Found(None, f"it has {held.size} bytes")
        tag = _settled(_tag(held.tag, held.written), held.written)
        for name, value in self._bucket.headers(path).items():
            if (there := held.headers.get(name)) != value:
                return Found(held.data, f"its {name} is {there or 'missing'} instead of {value}", tag)
        for name in UNWANTED:
            there = held.headers.get(name)
            if there and not (there == "gzip" and name == "Content-Encoding" and self._bucket.compresses(path)):
                return Found(held.data, f"it has {name}: {there}", tag)
        return Found(held.data, tag=tag)


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)


def _listed(status: os.stat_result) -> Listed:
    # The inode's own change time cannot be set back by whoever may write the file.
    tag = f"{status.st_ino}.{status.st_size}.{status.st_mtime_ns}.{status.st_ctime_ns}"
    return Listed(status.st_size, tag)


def _add(found: dict[str, Listed], files: Iterable[tuple[str, Listed]]) -> None:
    """Two keys with one path: the library leaves a `/` at the end out. Which of them is ours is not told, so that path is read at every look."""
    for path, listed in files:
        if path in found:
            found[path] = Listed(listed.length, "")
            found[f"{path}/"] = Listed(0, "")
        else:
            found[path] = listed


def _of_bucket(meta: Any) -> Listed:  # noqa: ANN401
    return Listed(meta["size"], _tag(str(meta["e_tag"]), int(meta["last_modified"].timestamp())))


def _tag(e_tag: str, written: int) -> str:
    # The time stands beside the ETag, which is an MD5: two files with one MD5 can be made. A GET tells it in whole seconds.
    return f"{e_tag} {written}"


def _settled(tag: str, written: float) -> str:
    """The tag, unless another write could still have the same one: servers tell the time of a write in whole seconds, file systems in ticks."""
    return tag if time.time() - written > SETTLES_SECONDS else ""
