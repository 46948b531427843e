"""A bucket of S3-compatible object storage: files of one election's public tree put, read, listed and removed, with the headers that the public must see.

Paths are relative to the election's folder; one that begins with `../` is the domain's (`publish.targets`). Work for many files is shared by threads over one
client: obstore does it without Python's lock (docs/adr/0011).
"""

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property, partial
from io import BytesIO
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import obstore
from obstore.auth.boto3 import Boto3CredentialProvider
from obstore.exceptions import BaseError
from obstore.store import S3Store

from publish import limits
from publish.errors import TargetError
from publish.targets.control import retry_after
from publish.targets.failure import explain, is_missing_bucket
from publish.targets.waiting import Patience, Waiting, say_on_stderr
from verifier.files import PACK_OBJECTS
from verifier.headers import cache_control, content_type
from verifier.receiver import Receiver

if TYPE_CHECKING:
    from obstore import Attributes, GetResult, PutMode
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

    from publish.config import TargetConfig
    from publish.targets import Data

__all__ = ["Bucket", "Held", "Patience", "open_bucket", "open_store"]

# Requests under way at once. Measured (docs/adr/0011): more gains nothing, fewer loses.
CONCURRENCY = 64
PART = 1 << 20
CREDENTIALS_LIFETIME = timedelta(minutes=5)
COMPRESSED = frozenset(["text/html", "text/css", "text/javascript", "application/json", "text/plain"])

T = TypeVar("T")


PATIENCE = Patience()


class Held(NamedTuple):
    """A file as the bucket holds it: `data` None where it is longer than asked for; `headers` by name; `tag` is its ETag.

    `written`: Unix time of that write by the server's clock, in whole seconds.
    """

    data: bytes | None
    size: int
    tag: str
    headers: dict[str, str]
    written: int


class Bucket:
    """The public tree of one election under `prefix`. Every method raises `TargetError` when the server is down or refuses."""

    def __init__(
        self,
        opened: "Callable[[float], ObjectStore]",
        prefix: str,
        election: str,
        *,
        compress_aliases: bool = False,
        waiting: Waiting | None = None,
    ) -> None:
        """`opened` gives the store with so many seconds for an answer, and is asked at the first request: what keeps it from opening concerns this bucket alone."""
        self._opened, self._prefix, self._election, self._compress = opened, prefix, election, compress_aliases
        self._waiting = waiting or Waiting()

    @cached_property
    def store(self) -> "ObjectStore":
        return self._opened(PATIENCE.answer)

    @cached_property
    def _patient_store(self) -> "ObjectStore":
        """The same for files that are so large that they may take longer."""
        return self._opened(max(PATIENCE.answer, limits.TARGET_FILE / limits.BUCKET_LEAST_RATE))

    def key(self, path: str) -> str:
        """A path's name in the bucket."""
        return self._prefix + self._place(path)

    def headers(self, path: str) -> dict[str, str]:
        """The headers that are kept with a file."""
        place = self._place(path)
        return {"Content-Type": content_type(place), "Cache-Control": cache_control(place)}

    def compresses(self, path: str) -> bool:
        """True if an alias of this name is kept compressed."""
        return self._compress and content_type(self._place(path)).partition(";")[0] in COMPRESSED

    def put(self, path: str, data: "Data", mode: "PutMode" = "overwrite", *, alias: bool = False) -> None:
        """Write one file; an alias compressed where that was asked for."""
        attributes: Attributes = {**self.headers(path)}
        if alias and self.compresses(path):
            data, attributes["Content-Encoding"] = gzip.compress(data, 6, mtime=0), "gzip"
        store = self._patient_store if len(data) > PATIENCE.answer * limits.BUCKET_LEAST_RATE else self.store
        with self.failing(path):
            # Never in parts: a server checks condition and checksum of one write alone.
            self.repeat(
                lambda: obstore.put(store, self.key(path), data, attributes=attributes, mode=mode, use_multipart=False)
            )

    def get(self, path: str, most: int) -> Held | None:
        """Read one file, None if there is none; unpacked if it is kept compressed. `most`: bytes that are read."""
        held = self._held(path, lambda: self._get(path, most))
        if held and held.data is not None and held.headers.get("Content-Encoding") == "gzip":
            return held._replace(data=_unpacked(held.data, most))
        return held

    def receive(self, path: str, most: int, receiver: Receiver) -> Held | None:
        """Hand a file on in parts as it is kept, None if there is none. `most`: a longer one is not read."""

        def ask() -> "tuple[GetResult, None]":
            receiver.restart()
            answer = obstore.get(self._patient_store, self.key(path))
            for part in answer.stream(min_chunk_size=PART) if answer.meta["size"] <= most else ():
                receiver.take(bytes(part))
            return answer, None

        return self._held(path, ask)

    def _held(self, path: str, ask: "Callable[[], tuple[GetResult, bytes | None]]") -> Held | None:
        """What a request for a file found, None if there is none."""
        with self.failing(path):
            try:
                answer, data = self.repeat(ask)
            except FileNotFoundError as error:
                if is_missing_bucket(error):
                    raise
                return None
            headers = {str(name): str(value) for name, value in answer.attributes.items()}
            written = int(answer.meta["last_modified"].timestamp())
            return Held(data, answer.meta["size"], str(answer.meta["e_tag"]), headers, written)

    def _get(self, path: str, most: int) -> "tuple[GetResult, bytes | None]":
        answer = obstore.get(self._patient_store if path.startswith(PACK_OBJECTS) else self.store, self.key(path))
        return answer, _whole(answer) if answer.meta["size"] <= most else None

    def remove(self, path: str) -> None:
        """Take one file away."""
        with self.failing(path):
            try:
                self.repeat(lambda: obstore.delete(self.store, self.key(path)))
            except FileNotFoundError as error:
                if is_missing_bucket(error):
                    raise

    def each(self, work: Callable[[T], None], items: Iterable[T]) -> None:
        """Do `work` for all items, many at once; the first failure ends it."""
        shared, turn = iter(items), Lock()
        failed: list[BaseException] = []

        def worker() -> None:
            while not failed:
                try:
                    with turn:
                        item = next(shared)
                    work(item)
                except StopIteration:
                    return
                except BaseException as error:
                    failed.append(error)

        with ThreadPoolExecutor(CONCURRENCY) as threads:
            for _ in range(CONCURRENCY):
                threads.submit(worker)
        if failed:
            raise failed[0]

    def repeat(self, request: Callable[[], T]) -> T:
        """Make a request of the store until it is answered for good."""
        return self._waiting.repeat(request, PATIENCE)

    @contextmanager
    def failing(self, path: str) -> Iterator[None]:
        """Turn the library's errors into ours: what, where, and what to do."""
        try:
            yield
        except (BaseError, OSError) as error:
            raise TargetError(f"{self.key(path)}: {explain(error)}") from error

    def _place(self, path: str) -> str:
        """A path from the domain's root on."""
        return path.removeprefix("../") if path.startswith("../") else f"{self._election}/{path}"


def open_bucket(
    config: "TargetConfig", election: str, profile: str | None = None, tell: Callable[[str], None] = say_on_stderr
) -> Bucket:
    """The bucket of a target, with the credentials of `profile` or its own. `tell` is for waits that take long."""
    assert config.bucket is not None
    opened = partial(
        open_store,
        config.bucket,
        endpoint=config.endpoint,
        region=config.region,
        path_style=config.path_style,
        profile=profile or config.profile,
    )
    waiting = Waiting(retry_after(config, profile), tell)
    return Bucket(opened, config.prefix, election, compress_aliases=config.compress_aliases, waiting=waiting)


def open_store(
    bucket: str, answer: float, *, endpoint: str | None, region: str, path_style: bool, profile: str | None
) -> S3Store:
    """A bucket, with credentials by AWS's usual chain (environment, files, the machine's role), renewed as they expire. `answer`: seconds for a request.

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
        "timeout": timedelta(seconds=answer),
        "connect_timeout": timedelta(seconds=PATIENCE.connect),
        "pool_max_idle_per_host": str(CONCURRENCY),
    }
    retry: RetryConfig = {"max_retries": 0}  # `Waiting` does it, which hears how long a server asks us to wait
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


def _whole(answer: "GetResult") -> bytes:
    """A file's bytes, held once: the library's own are a second copy, which a pack is too large for."""
    if answer.meta["size"] <= PART:
        return bytes(answer.bytes())
    held = BytesIO()
    for part in answer.stream(min_chunk_size=PART):
        held.write(part)
    return held.getvalue()


def _unpacked(data: bytes, most: int) -> bytes | None:
    """What a gzip holds; the packed bytes if it is broken, None if it holds more than `most` bytes."""
    unpacker = zlib.decompressobj(31)
    try:
        unpacked = unpacker.decompress(data, most)
    except zlib.error:
        return data
    return unpacked if unpacker.eof and not unpacker.unused_data else None
