"""S3-compatible object storage as target: AWS, Ceph RGW, MinIO, R2, Garage, SeaweedFS and others.

Objects are created with `If-None-Match: *` and an SHA-256 that the server checks; the timestamp is replaced with `If-Match`. An answer that was lost on its way
looks like a refusal when the request is repeated: after any refusal what stands there is read, and only that counts.

A server that ignores these conditions is found out by `exclusive`, before the first write: it is refused, or a lock object with an expiry takes their place.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

from publish import limits
from publish.errors import RaceError, TargetError
from publish.targets import TIMESTAMP, Alias, Conflict, Data, Seen
from publish.targets.bucket import Bucket
from publish.targets.failure import is_refused, is_unanswered
from publish.targets.lock import Lock

if TYPE_CHECKING:
    from obstore import PutMode

__all__ = ["S3Target"]

PROBE = ".terbit-probe"
LOCK = ".terbit-lock"


class S3Target:
    """One bucket as target. The contract: `publish.targets.Target`."""

    def __init__(
        self,
        name: str,
        bucket: Bucket,
        *,
        known: Path,
        clock: Callable[[], datetime],
        owner: str,
        without_conditions: str = "refuse",
        mender: Bucket | None = None,
    ) -> None:
        """`known`: a file that is there once the server was found to honour conditions (a cache: may be deleted).

        `clock` and `owner` (this workspace, unlike any other) are for the lock that takes their place. `mender`: the bucket with the guard's credentials.
        """
        self.name, self.bucket, self._mender = name, bucket, mender
        self._known, self._without_conditions = known, without_conditions
        self._lock: Lock | None = None
        self._new_lock: Callable[[], Lock] = lambda: Lock(
            partial(self.read, LOCK), partial(self.put_hint, LOCK), owner, clock
        )

    def read(self, path: str) -> Seen | None:
        """See Target."""
        held = self.bucket.get(path, limits.TARGET_FILE)
        if held is not None and held.data is None:
            raise TargetError(f"{self.bucket.key(path)} has {held.size} bytes: no file of ours; look who put it there")
        return Seen(held.data, held.tag) if held is not None and held.data is not None else None

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

    def put_objects(self, files: Iterable[tuple[str, Data]], advance: Callable[[int], None]) -> list[Conflict]:
        """See Target."""
        conflicts: list[Conflict] = []

        def put(file: tuple[str, Data]) -> None:
            if (found := self._create(*file)) is not None:
                conflicts.append(Conflict(*file, found))
            advance(1)

        self.bucket.each(put, files)
        return conflicts

    def replace(self, conflict: Conflict) -> None:
        """See Target. The wrong bytes are copied to `.set-aside/` first; on a bucket with versions they stay there too.

        The guard's credentials do it where ours may only create immutable files (docs/storage).
        """
        try:
            _replace(self.bucket, conflict)
        except TargetError as error:
            if not is_refused(error.__cause__):
                raise
            if self._mender is None:
                raise TargetError(
                    f"{self.bucket.key(conflict.path)}: other bytes stand where a coming file belongs, and these credentials may not replace them. "
                    "Let terbit guard take them away, or name in [guard] a profile that may replace them"
                ) from error
            _replace(self._mender, conflict)
        found = self.read(conflict.path)
        if found is None or found.data != conflict.data:
            raise TargetError(f"{self.bucket.key(conflict.path)} has other bytes again; look who else writes there")

    def commit(self, data: bytes, seen: Seen | None, path: str = TIMESTAMP) -> None:
        """See Target."""
        mode: PutMode = "create" if seen is None else {"e_tag": seen.tag}
        if self._lock:
            mode = "overwrite"
            self._lock.check()
            there = self.read(path)
            if (there and there.data) not in {data, seen and seen.data}:
                raise RaceError(f"{path} was replaced by another publisher meanwhile; publish again")
        try:
            self.bucket.put(path, data, mode)
        except TargetError as error:
            if is_unanswered(error.__cause__):
                raise
            # The answer to a write that did happen may have been lost: what stands there decides.
            found = self.read(path)
            if found is not None and found.data == data:
                return
            if isinstance(error.__cause__, AlreadyExistsError | PreconditionError):
                raise RaceError(f"{path} was replaced by another publisher meanwhile; publish again") from error
            raise

    def put_aliases(self, groups: Iterable[Sequence[Alias]], advance: Callable[[int], None]) -> None:
        """See Target."""

        def put(group: Sequence[Alias]) -> None:
            for alias in group:
                self.bucket.put(alias.path, alias.data, alias=True)
            advance(len(group))

        self.bucket.each(put, groups)

    def put_hint(self, path: str, data: bytes) -> None:
        """See Target."""
        self.bucket.put(path, data)

    def settle(self) -> None:
        """See Target: what the server has acknowledged is durable."""

    def _create(self, path: str, data: Data) -> bytes | None:
        """Write an immutable file; the other bytes if such stand under its name."""
        if self._lock and (there := self.read(path)) is not None:
            return None if there.data == data else there.data
        try:
            self.bucket.put(path, data, "create")
        except TargetError as error:
            # Who does not answer is not asked what stands there: that would double the wait, and the next run finds out.
            cause = error.__cause__
            if not isinstance(cause, BaseError) or is_unanswered(cause) or (found := self.read(path)) is None:
                raise
            return None if found.data == data else found.data
        return None

    def _honours_conditions(self) -> bool:
        """Ask the server: does it refuse to create what is there? That it does is remembered; that it does not may change."""
        if self._known.exists():
            return True
        honours = self._probe()
        if honours:
            self._known.parent.mkdir(parents=True, exist_ok=True)
            self._known.touch()
        return honours

    def _probe(self) -> bool:
        store, key = self.bucket.store, self.bucket.key(PROBE)
        with self.bucket.failing(PROBE):
            self.bucket.repeat(lambda: obstore.put(store, key, b"terbit\n", use_multipart=False))
            try:
                self.bucket.repeat(lambda: obstore.put(store, key, b"terbit?\n", mode="create", use_multipart=False))
            except AlreadyExistsError:
                return True
        return False


def _replace(bucket: Bucket, conflict: Conflict) -> None:
    bucket.put(f"../.set-aside/{hashlib.sha256(conflict.found).hexdigest()}.wrong", conflict.found)
    bucket.put(conflict.path, conflict.data)
