"""S3-compatible object storage as target: AWS, Ceph RGW, MinIO, R2, Garage, SeaweedFS and others.

Objects are created with `If-None-Match: *` and an SHA-256 that the server checks; the timestamp is replaced with `If-Match`. An answer that was lost on its way
looks like a refusal when the request is repeated: after any refusal or failure what stands there is read, and only that counts.

A server that ignores these conditions is found out by `exclusive`, before the first write: it is refused, or a lock object with an expiry takes their place.
"""

import asyncio
import gzip
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import obstore
from obstore.auth.boto3 import Boto3CredentialProvider
from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, PreconditionError
from obstore.store import S3Store

from publish.errors import RaceError, TargetError
from publish.headers import headers_for
from publish.targets import TIMESTAMP, Alias, Conflict, Seen
from publish.targets.lock import Lock

if TYPE_CHECKING:
    from obstore import Attributes, PutMode
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

__all__ = ["Patience", "S3Target", "open_store"]

# Requests under way at once. Measured (docs/adr/0011): more gains nothing, fewer loses.
CONCURRENCY = 64
CREDENTIALS_LIFETIME = timedelta(minutes=5)
PROBE = ".terbit-probe"
LOCK = ".terbit-lock"
COMPRESSED = frozenset(["text/html", "text/css", "text/javascript", "application/json", "text/plain"])

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for, in seconds, and how often it is asked again after a lost connection, 429 or 5xx.

    Each wait is drawn between the first one and twice the last one. The library does not tell `Retry-After`: the waits together come to what servers ask for,
    about ten seconds, and not to much more, since the other targets wait for one that is down.
    """

    connect: float = 5.0
    answer: float = 60.0  # from connecting to the last byte
    retries: int = 8
    first_wait: float = 0.2
    longest_wait: float = 10.0
    altogether: float = 60.0


PATIENCE = Patience()


class S3Target:
    """The public tree of one election under `prefix` of a bucket. The contract: `publish.targets.Target`."""

    def __init__(
        self,
        name: str,
        store: "ObjectStore",
        prefix: str,
        election: str,
        *,
        known: Path,
        clock: Callable[[], datetime],
        owner: str,
        without_conditions: str = "refuse",
        compress_aliases: bool = False,
    ) -> None:
        """`store` is the bucket; `known` a file that is there once its server was found to honour conditions (a cache: may be deleted).

        `clock` and `owner` (this workspace, unlike any other) are for the lock that takes their place.
        """
        self.name, self._store, self._prefix, self._election = name, store, prefix, election
        self._known, self._without_conditions, self._compress = known, without_conditions, compress_aliases
        self._lock: Lock | None = None
        self._new_lock: Callable[[], Lock] = lambda: Lock(
            partial(self.read, LOCK), partial(self.put_hint, LOCK), owner, clock
        )

    def read(self, path: str) -> Seen | None:
        """See Target."""
        return asyncio.run(self._read(path))

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """See Target."""
        if self._honours_conditions():
            yield
        elif self._without_conditions == "lock":
            self._lock = self._new_lock()
            with self._lock.held():
                yield
        else:
            raise TargetError(
                "this server ignores conditional writes: two publishers could mix their releases. Use another one, or set "
                'without_conditions = "lock" for this target in terbit.toml'
            )

    def put_objects(self, files: Iterable[tuple[str, bytes]], advance: Callable[[int], None]) -> list[Conflict]:
        """See Target."""
        conflicts: list[Conflict] = []

        async def put(file: tuple[str, bytes]) -> None:
            if (found := await self._create(*file)) is not None:
                conflicts.append(Conflict(*file, found))
            advance(1)

        asyncio.run(_for_each(put, files))
        return conflicts

    def replace(self, conflict: Conflict) -> None:
        """See Target. The wrong bytes are copied to `.set-aside/` first; on a bucket with versions they stay there too."""
        aside = f"../.set-aside/{hashlib.sha256(conflict.found).hexdigest()}.wrong"

        async def run() -> None:
            await self._put(aside, conflict.found, "overwrite")
            await self._put(conflict.path, conflict.data, "overwrite")

        asyncio.run(run())

    def commit(self, timestamp: bytes, seen: Seen | None) -> None:
        """See Target."""
        asyncio.run(self._commit(timestamp, seen))

    def put_aliases(self, groups: Iterable[Sequence[Alias]], advance: Callable[[int], None]) -> None:
        """See Target."""

        async def put(group: Sequence[Alias]) -> None:
            for alias in group:
                await self._put(alias.path, alias.data, "overwrite", compress=self._compress)
            advance(len(group))

        asyncio.run(_for_each(put, groups))

    def put_hint(self, path: str, data: bytes) -> None:
        """See Target."""
        asyncio.run(self._put(path, data, "overwrite"))

    def settle(self) -> None:
        """See Target: what the server has acknowledged is durable."""

    async def _create(self, path: str, data: bytes) -> bytes | None:
        """Write an immutable file; the other bytes if such stand under its name."""
        if self._lock and (there := await self._read(path)) is not None:
            return None if there.data == data else there.data
        try:
            await self._put(path, data, "create")
        except TargetError as error:
            if not isinstance(error.__cause__, BaseError) or (found := await self._read(path)) is None:
                raise
            return None if found.data == data else found.data
        return None

    async def _commit(self, timestamp: bytes, seen: Seen | None) -> None:
        mode: PutMode = "create" if seen is None else {"e_tag": seen.tag}
        if self._lock:
            mode = "overwrite"
            await asyncio.to_thread(self._lock.check)
            there = await self._read(TIMESTAMP)
            if (there and there.data) not in {timestamp, seen and seen.data}:
                raise RaceError("the timestamp was replaced by another publisher meanwhile; publish again")
        try:
            await self._put(TIMESTAMP, timestamp, mode)
        except TargetError as error:
            # The answer to a write that did happen may have been lost: what stands there decides.
            found = await self._read(TIMESTAMP)
            if found is not None and found.data == timestamp:
                return
            if isinstance(error.__cause__, AlreadyExistsError | PreconditionError):
                raise RaceError("the timestamp was replaced by another publisher meanwhile; publish again") from error
            raise

    async def _put(self, path: str, data: bytes, mode: "PutMode", *, compress: bool = False) -> None:
        headers = headers_for(self._place(path))
        attributes: Attributes = {"Content-Type": headers["Content-Type"], "Cache-Control": headers["Cache-Control"]}
        if compress and headers["Content-Type"].partition(";")[0] in COMPRESSED:
            data, attributes["Content-Encoding"] = gzip.compress(data, 6, mtime=0), "gzip"
        with self._failing(path):
            await obstore.put_async(
                self._store, self._key(path), data, attributes=attributes, mode=mode, use_multipart=False
            )

    async def _read(self, path: str) -> Seen | None:
        with self._failing(path):
            try:
                found = await obstore.get_async(self._store, self._key(path))
            except FileNotFoundError:
                return None
            return Seen(bytes(await found.bytes_async()), str(found.meta["e_tag"]))

    def _honours_conditions(self) -> bool:
        """Ask the server: does it refuse to create what is there? That it does is remembered; that it does not may change."""
        if self._known.exists():
            return True
        honours = asyncio.run(self._probe())
        if honours:
            self._known.parent.mkdir(parents=True, exist_ok=True)
            self._known.touch()
        return honours

    async def _probe(self) -> bool:
        with self._failing(PROBE):
            await obstore.put_async(self._store, self._key(PROBE), b"terbit\n", use_multipart=False)
            try:
                await obstore.put_async(self._store, self._key(PROBE), b"terbit?\n", mode="create", use_multipart=False)
            except AlreadyExistsError:
                return True
        return False

    def _place(self, path: str) -> str:
        """A path from the domain's root on."""
        return path.removeprefix("../") if path.startswith("../") else f"{self._election}/{path}"

    def _key(self, path: str) -> str:
        return self._prefix + self._place(path)

    @contextmanager
    def _failing(self, path: str) -> Iterator[None]:
        """Turn the library's errors into ours: what, where, and what to do."""
        try:
            yield
        except PermissionDeniedError as error:
            raise TargetError(
                f"{self._key(path)}: these credentials may not do this; look at them and at the bucket's policy"
            ) from error
        except FileNotFoundError as error:
            raise TargetError(f"{self._key(path)}: there is no such bucket") from error
        except (BaseError, OSError) as error:
            raise TargetError(
                f"{self._key(path)}: {_first_line(error)}; the last release stays as it was, publish again to go on"
            ) from error


async def _for_each(work: Callable[[T], Awaitable[None]], items: Iterable[T]) -> None:
    """Do `work` for all items, some at once; the first failure ends it."""
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


def _first_line(error: Exception) -> str:
    """What the library says, without its chain of causes."""
    return str(error).partition("\n")[0][:300]


def open_store(bucket: str, *, endpoint: str | None, region: str, path_style: bool, profile: str | None) -> S3Store:
    """The bucket, with credentials by AWS's usual chain (environment, files, the machine's role), renewed as they expire.

    Raises:
        TargetError: there are no credentials.
    """
    import boto3
    import botocore.exceptions

    try:
        provider = Boto3CredentialProvider(boto3.Session(profile_name=profile), ttl=CREDENTIALS_LIFETIME)
    except (ValueError, botocore.exceptions.BotoCoreError) as error:
        raise TargetError(
            f"no credentials for the bucket {bucket} ({error}); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile"
        ) from error
    client: ClientConfig = {
        "allow_http": True,
        "timeout": timedelta(seconds=PATIENCE.answer),
        "connect_timeout": timedelta(seconds=PATIENCE.connect),
        "pool_max_idle_per_host": str(CONCURRENCY),
    }
    retry: RetryConfig = {
        "max_retries": PATIENCE.retries,
        "retry_timeout": timedelta(seconds=PATIENCE.altogether),
        "backoff": {
            "init_backoff": timedelta(seconds=PATIENCE.first_wait),
            "max_backoff": timedelta(seconds=PATIENCE.longest_wait),
            "base": 2,
        },
    }
    return S3Store(
        bucket,
        endpoint=endpoint,
        region=region,
        virtual_hosted_style_request=not path_style,
        checksum_algorithm="SHA256",
        conditional_put="etag",
        credential_provider=provider,
        client_options=client,
        retry_config=retry,
    )
