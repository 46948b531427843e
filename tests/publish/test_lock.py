"""The lock object that takes the place of conditional writes, whatever a stranger leaves under its name."""

from datetime import UTC, datetime, timedelta

import pytest

from publish.errors import RaceError
from publish.targets import Seen
from publish.targets.lock import LIFETIME, Lock

NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)


class Place:
    """One object."""

    def __init__(self, data: bytes | None = None) -> None:
        self.data = data

    def read(self) -> Seen | None:
        return None if self.data is None else Seen(self.data, str(hash(self.data)))

    def write(self, data: bytes) -> None:
        self.data = data

    def lock(self, owner: str, now: datetime = NOW) -> Lock:
        return Lock(self.read, self.write, owner, lambda: now, settles=0)


def holder(until: str) -> bytes:
    return f'{{"owner":"other","run":"1","until":"{until}"}}'.encode()


@pytest.mark.parametrize(
    "found",
    [
        None,
        b"",
        b"no JSON",
        holder("2026-11-21T05:00:01Z").replace(b"other", b"\xff"),
        b'{"more":' + b"[" * 100_000,
        holder("2026-11-21T05:10:00"),
        holder("9999-12-31T23:59:59Z"),
        holder("2026-11-21T04:59:59Z"),
    ],
    ids=["nothing", "empty", "not ours", "no UTF-8", "too deep", "no zone", "for ever", "expired"],
)
def test_what_locks_nobody_out(found: bytes | None) -> None:
    """Neither an expired lock nor a forged one that would hold longer than ours keeps a publisher away."""
    with Place(found).lock("ours").held():
        pass


def test_a_held_lock_keeps_others_away() -> None:
    """Another publisher is told who is at work; after that one's end, or the lock's, it may go on."""
    place = Place()
    with place.lock("first").held():
        with pytest.raises(RaceError, match="first is publishing here"), place.lock("second").held():
            pass
        with place.lock("second", NOW + LIFETIME + timedelta(seconds=1)).held():
            pass
    with place.lock("second").held():
        pass


def test_a_lock_that_was_taken_stops_the_commit() -> None:
    """Who finds another name in the lock before the commit does not commit."""
    place = Place()
    lock = place.lock("first")
    with lock.held():
        place.write(holder("2026-11-21T05:10:00Z"))
        with pytest.raises(RaceError, match="another publisher took the lock"):
            lock.check()
