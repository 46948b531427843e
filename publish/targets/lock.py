"""A lock object with an expiry, for object storage without conditional writes.

Not as strong as a condition: the server cannot refuse the second of two writers, so each writes its name, waits, and looks whose name stands there.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

import msgspec

from publish.errors import RaceError, TargetError
from publish.targets import Seen

__all__ = ["Lock"]

LIFETIME = timedelta(minutes=30)
# Longer than a write takes to arrive: of two that write at once, both see the later one after this.
SETTLES_SECONDS = 2.0


class _Holder(msgspec.Struct, frozen=True):
    owner: str
    run: str
    until: datetime


class Lock:
    """`read` and `write` reach the lock object; `owner` is the workspace, in which one run at a time is at work; `clock` gives the time in UTC.

    A stopped run's lock is taken over by the next one of the same owner; should two workspaces have one name, the first finds its lock gone before it commits.
    """

    def __init__(
        self,
        read: Callable[[], Seen | None],
        write: Callable[[bytes], None],
        owner: str,
        clock: Callable[[], datetime],
        settles: float = SETTLES_SECONDS,
    ) -> None:
        self._read, self._write, self._owner, self._clock, self._settles = read, write, owner, clock, settles
        self._run = os.urandom(8).hex()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock. RaceError if somebody else does."""
        holder = self._holder()
        if holder and holder.owner != self._owner and holder.until > self._clock():
            raise RaceError(
                f"{holder.owner} is publishing here, until {holder.until:%H:%M:%S} UTC at the latest; wait for it"
            )
        self._claim(self._clock() + LIFETIME)
        time.sleep(self._settles)
        self.check()
        try:
            yield
        finally:
            # What went wrong within is what the operator must hear of, not that the lock could not be given back.
            with suppress(TargetError):
                if (holder := self._holder()) and holder.run == self._run:
                    self._claim(self._clock())

    def check(self) -> None:
        """Make sure that the lock is still ours, before what cannot be taken back."""
        holder = self._holder()
        if holder is None or holder.run != self._run or holder.until <= self._clock():
            raise RaceError("another publisher took the lock, or it has expired; nothing was committed, publish again")

    def _claim(self, until: datetime) -> None:
        self._write(msgspec.json.encode(_Holder(self._owner, self._run, until)))

    def _holder(self) -> _Holder | None:
        seen = self._read()
        try:
            holder = msgspec.json.decode(seen.data, type=_Holder) if seen else None
        except (ValueError, RecursionError):
            return None
        # A stranger with the bucket's keys must not lock us out for longer than any publisher of ours would.
        if holder is None or holder.until.tzinfo is None or holder.until > self._clock() + LIFETIME:
            return None
        return holder
