"""Asking several places at once, none of which can hold the others up."""

import threading
from collections.abc import Callable, Mapping
from time import monotonic
from typing import TypeVar

from verifier.fetcher import Fetcher, GaveUpError
from verifier.receiver import Receiver, receive

__all__ = ["TimedFetcher", "side_by_side"]

T = TypeVar("T")


class TimedFetcher:
    """`fetcher` until `seconds` have passed; then GaveUpError, also for an answer that comes later."""

    def __init__(self, place: str, fetcher: Fetcher, seconds: float) -> None:
        self._place, self._fetcher, self._seconds = place, fetcher, seconds
        self._end = monotonic() + seconds

    def _check(self) -> None:
        if monotonic() > self._end:
            raise GaveUpError(f"{self._place} took longer than the {self._seconds:g} seconds that it has")

    def fetch(self, path: str, max_length: int) -> bytes:
        """See verifier.fetcher.Fetcher."""
        self._check()
        data = self._fetcher.fetch(path, max_length)
        self._check()
        return data

    def receive(self, path: str, length: int, receiver: Receiver) -> None:
        """See verifier.receiver.Streaming."""
        self._check()
        receive(self._fetcher, path, length, receiver)
        self._check()

    def fetch_linked(self, path: str, other: str, max_length: int) -> tuple[bytes, bool]:
        """See verifier.fetcher.Fetcher."""
        self._check()
        found = self._fetcher.fetch_linked(path, other, max_length)
        self._check()
        return found


def side_by_side(jobs: Mapping[str, Callable[[], T]], seconds: float) -> dict[str, T]:
    """What the jobs returned that ended within `seconds`, by name. Each runs in a thread of its own; those that did not end
    are left behind (a name that no server resolves can hold a thread for minutes), and end with the process."""
    results: dict[str, T] = {}

    def run(name: str, job: Callable[[], T]) -> None:
        results[name] = job()

    threads = [threading.Thread(target=run, args=each, daemon=True) for each in jobs.items()]
    end = monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0, end - monotonic()))
    return {name: results[name] for name in jobs if name in results}
