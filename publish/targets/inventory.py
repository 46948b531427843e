"""What a target holds, for the guard: listed, read, put back, removed. Paths as in `publish.targets`.

A bucket is asked with the guard's own credentials, which may list, overwrite and delete; the publisher's need not. A publisher and a guard keep out of each
other's way by `Workspace.quiet`.
"""

import asyncio
import contextlib
import gzip
import hashlib
import os
import stat
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import obstore
from obstore.exceptions import BaseError

from builder import durable
from publish.errors import TargetError
from publish.guard import Listed
from publish.headers import headers_for
from publish.targets.local import LocalTarget
from publish.targets.s3 import COMPRESSED

if TYPE_CHECKING:
    from obstore import Attributes
    from obstore.store import ObjectStore

__all__ = ["EVIDENCE", "Found", "Inventory", "LocalInventory", "S3Inventory"]

CONCURRENCY = 64
EVIDENCE = 16_000_000  # bytes of a wrong file that are kept
SET_ASIDE = ".set-aside"
WELL_KNOWN = ".well-known"


class Found(NamedTuple):
    """A file that was read: `data`, None if it is no file of ours at all; `fault` says what else is wrong with it."""

    data: bytes | None
    fault: str = ""


class Inventory(Protocol):
    """One target's files. Every method raises `TargetError` when the target is down or refuses."""

    name: str

    def listing(self) -> dict[str, Listed]:
        """Everything in the election's folder, and with `../` what lies beside it; of strangers' folders beside it the names alone, with `/` at the end."""

    def read(self, wanted: Iterable[tuple[str, int]]) -> Iterator[tuple[str, Found | None]]:
        """Read files, as (path, most bytes that may belong there); None for one that is gone meanwhile."""

    def put(self, files: Iterable[tuple[str, bytes, str]]) -> None:
        """Write files, as (path, bytes, path of the object with the same bytes or "")."""

    def set_aside(self, wrong: Iterable[bytes]) -> None:
        """Keep wrong bytes as evidence, as `.set-aside/…<sha256>.wrong`, where no client reads them."""

    def remove(self, paths: Iterable[str]) -> None:
        """Take files away."""


class LocalInventory:
    """A folder. See Inventory."""

    def __init__(self, target: LocalTarget) -> None:
        self.name, self._target, self._root = target.name, target, target.root

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

    def put(self, files: Iterable[tuple[str, bytes, str]]) -> None:
        """See Inventory. An alias is a link to its object, which is right by now."""
        for path, data, source in files:
            place = self._root / path
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                if source:
                    self._target.link(path, source)
                else:
                    durable.write_file(place, data)
            except OSError as error:
                raise TargetError(f"{place} cannot be written: {error.strerror or error}") from error

    def set_aside(self, wrong: Iterable[bytes]) -> None:
        """See Inventory."""
        folder = self._root.parent / SET_ASIDE / self._root.name
        try:
            for data in wrong:
                folder.mkdir(parents=True, exist_ok=True)
                durable.write_file(folder / f"{hashlib.sha256(data).hexdigest()}.wrong", data)
        except OSError as error:
            raise TargetError(f"{folder} cannot be written: {error.strerror or error}") from error

    def remove(self, paths: Iterable[str]) -> None:
        """See Inventory."""
        for path in paths:
            try:
                (self._root / path).unlink(missing_ok=True)
            except OSError as error:
                raise TargetError(f"{self._root / path} cannot be removed: {error.strerror or error}") from error

    def _scan(self, folder: str, prefix: str, found: dict[str, Listed]) -> None:
        pending = [(folder, prefix)]
        while pending:
            folder, prefix = pending.pop()
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append((entry.path, f"{prefix}{entry.name}/"))
                    else:
                        with contextlib.suppress(FileNotFoundError):
                            found[prefix + entry.name] = _listed(entry.stat(follow_symlinks=False))

    def _read(self, path: str, most: int) -> Found | None:
        try:
            descriptor = os.open(self._root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    return Found(None, "it is no regular file")
                if status.st_size > max(most, EVIDENCE):
                    return Found(None, f"it has {status.st_size} bytes")
                return Found(file.read())
        except FileNotFoundError:
            return None
        except OSError as error:
            return Found(None, f"it cannot be read: {error.strerror or error}")


class S3Inventory:
    """A bucket's prefix. See Inventory."""

    def __init__(self, name: str, store: "ObjectStore", prefix: str, election: str, *, compress: bool = False) -> None:
        self.name, self._store, self._prefix, self._election, self._compress = name, store, prefix, election, compress

    def listing(self) -> dict[str, Listed]:
        """See Inventory. The folders are listed side by side."""
        return asyncio.run(self._listing())

    def read(self, wanted: Iterable[tuple[str, int]]) -> Iterator[tuple[str, Found | None]]:
        """See Inventory. The headers are compared too: a page that is served as a download is gone for its readers."""
        results: list[tuple[str, Found | None]] = []

        async def one(file: tuple[str, int]) -> None:
            results.append((file[0], await self._read(*file)))

        asyncio.run(_for_each(one, wanted))
        yield from results

    def put(self, files: Iterable[tuple[str, bytes, str]]) -> None:
        """See Inventory."""
        asyncio.run(_for_each(lambda file: self._put(file[0], file[1], alias=bool(file[2])), files))

    def set_aside(self, wrong: Iterable[bytes]) -> None:
        """See Inventory."""
        places = ((f"../{SET_ASIDE}/{hashlib.sha256(data).hexdigest()}.wrong", data) for data in wrong)
        asyncio.run(_for_each(lambda place: self._put(*place), places))

    def remove(self, paths: Iterable[str]) -> None:
        """See Inventory."""

        async def one(path: str) -> None:
            with self._failing(path), contextlib.suppress(FileNotFoundError):
                await obstore.delete_async(self._store, self._key(path))

        asyncio.run(_for_each(one, paths))

    async def _listing(self) -> dict[str, Listed]:
        found: dict[str, Listed] = {}
        own = f"{self._prefix}{self._election}"

        async def folder(key: str, prefix: str) -> list[tuple[str, str]]:
            with self._failing(prefix):
                listed = await obstore.list_with_delimiter_async(self._store, key or None)
            cut = len(key) + 1 if key else 0
            found.update({prefix + one["path"][cut:]: _of_bucket(one) for one in listed["objects"]})
            return [(one, f"{prefix}{one[cut:]}/") for one in listed["common_prefixes"]]

        async def whole(place: tuple[str, str]) -> None:
            key, prefix = place
            with self._failing(prefix):
                async for page in _pages(self._store, key):
                    found.update({prefix + one["path"][len(key) + 1 :]: _of_bucket(one) for one in page})

        folders = []
        for key, path in await folder(self._prefix.removesuffix("/"), "../"):
            if path in {f"../{WELL_KNOWN}/", f"../{SET_ASIDE}/"}:
                folders.append((key, path))
            elif key != own:
                found[path] = Listed(0, "")
        # One listing is a chain of requests: the folders of a nation are followed side by side.
        for key, path in await folder(own, ""):
            folders += await folder(key, path) if path == "targets/" else [(key, path)]
        await _for_each(whole, folders)
        return found

    async def _read(self, path: str, most: int) -> Found | None:
        with self._failing(path):
            try:
                answer = await obstore.get_async(self._store, self._key(path))
            except FileNotFoundError:
                return None
            if (size := answer.meta["size"]) > max(most + 1_000, EVIDENCE):
                return Found(None, f"it has {size} bytes")
            data = bytes(await answer.bytes_async())
            attributes = answer.attributes
        if attributes.get("Content-Encoding") == "gzip":
            data = _unpacked(data, max(most + 1, EVIDENCE)) or data
        headers = headers_for(self._place(path))
        for name in ("Content-Type", "Cache-Control"):
            if (there := attributes.get(name)) != headers[name]:
                return Found(data, f"its {name} is {there}")
        return Found(data)

    async def _put(self, path: str, data: bytes, *, alias: bool = False) -> None:
        headers = headers_for(self._place(path))
        attributes: Attributes = {"Content-Type": headers["Content-Type"], "Cache-Control": headers["Cache-Control"]}
        if alias and self._compress and headers["Content-Type"].partition(";")[0] in COMPRESSED:
            data, attributes["Content-Encoding"] = gzip.compress(data, 6, mtime=0), "gzip"
        with self._failing(path):
            await obstore.put_async(self._store, self._key(path), data, attributes=attributes, use_multipart=False)

    def _place(self, path: str) -> str:
        return path.removeprefix("../") if path.startswith("../") else f"{self._election}/{path}"

    def _key(self, path: str) -> str:
        return self._prefix + self._place(path)

    @contextlib.contextmanager
    def _failing(self, path: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except (BaseError, OSError) as error:
            raise TargetError(f"{self._key(path)}: {str(error).partition(chr(10))[0][:300]}") from error


async def _pages(store: "ObjectStore", prefix: str) -> AsyncIterator[Any]:
    async for page in obstore.list(store, prefix, chunk_size=1000):
        yield page


async def _for_each(work: Callable[[Any], Coroutine[Any, Any, None]], items: Iterable[Any]) -> None:
    shared = iter(items)

    async def worker() -> None:
        for item in shared:
            await work(item)

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(CONCURRENCY):
                tasks.create_task(worker())
    except ExceptionGroup as group:
        raise group.exceptions[0] from None


def _listed(status: os.stat_result) -> Listed:
    # The inode's own change time cannot be set back by whoever may write the file.
    tag = f"{status.st_ino}.{status.st_size}.{status.st_mtime_ns}.{status.st_ctime_ns}"
    return Listed(status.st_size, tag)


def _of_bucket(meta: Any) -> Listed:  # noqa: ANN401
    # The time stands beside the ETag, which is an MD5: two files with one MD5 can be made.
    return Listed(meta["size"], f"{meta['e_tag']} {meta['last_modified'].timestamp()}")


def _unpacked(data: bytes, most: int) -> bytes | None:
    """What a gzip holds, None if it is broken or holds more than `most` bytes."""
    unpacker = zlib.decompressobj(31)
    try:
        unpacked = unpacker.decompress(data, most)
    except zlib.error:
        return None
    return unpacked if unpacker.eof and not unpacker.unused_data else None
