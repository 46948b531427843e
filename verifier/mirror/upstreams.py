"""Where a mirror's files come from: several places, none of them trusted, asked in turn for each file.

A place that fails often (broken connections, missing files, wrong bytes) is asked for nothing more in the same run: with
others at hand it must not cost a time limit for every file, and alone it must not be hammered.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from verifier import limits
from verifier.archive import ArchiveFetcher
from verifier.errors import FetchError, VerifierError
from verifier.fetcher import DirectoryFetcher, GaveUpError
from verifier.http_fetcher import HttpFetcher
from verifier.receiver import Receiver, receive

__all__ = ["Upstream", "Upstreams", "worst"]

T = TypeVar("T")
CONNECTIONS = 8
# What is told where nothing succeeded: an attack before an old state before an outage.
_SEVERITY = (4, 5, 1)


class Upstream:
    """One place, a URL, a folder or a bundle. Thread-safe."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.failures = 0
        self._lock = threading.Lock()
        self._fetcher: HttpFetcher | DirectoryFetcher | ArchiveFetcher
        if place.startswith(("http://", "https://")):
            self._fetcher = HttpFetcher(
                place,
                connections=CONNECTIONS,
                timeout=limits.FETCH_TIMEOUT_SECONDS,
                stalls=limits.UPSTREAM_STALLS_COUNT,
            )
        elif Path(place).is_file():
            self._fetcher = ArchiveFetcher(Path(place), in_folder=True)
        else:
            self._fetcher = DirectoryFetcher(Path(place))

    def fetch(self, path: str, max_length: int) -> bytes:
        """See verifier.fetcher.Fetcher."""
        return self._good().fetch(path, max_length)

    def receive(self, path: str, length: int, receiver: Receiver) -> None:
        """See verifier.receiver.Streaming."""
        receive(self._good(), path, length, receiver)

    def _good(self) -> HttpFetcher | DirectoryFetcher | ArchiveFetcher:
        if self.failures >= limits.UPSTREAM_FAILURES_COUNT:
            raise GaveUpError(f"{self.place} is asked for no more: it failed {self.failures} times")
        return self._fetcher

    def fetch_if_changed(self, path: str, max_length: int, etag: str) -> tuple[bytes | None, str]:
        """See HttpFetcher; a folder or bundle has no ETags, and always answers with the file."""
        if isinstance(self._fetcher, HttpFetcher):
            return self._fetcher.fetch_if_changed(path, max_length, etag)
        return self._fetcher.fetch(path, max_length), ""

    def failed(self) -> None:
        """Count one failure."""
        with self._lock:
            self.failures += 1


class Upstreams:
    """All places of a mirror, in the order in which they are asked."""

    def __init__(self, places: Sequence[str]) -> None:
        self.all = tuple(Upstream(place) for place in places)
        self.packs: Iterable[ArchiveFetcher] = ()
        # Threads wait for a network well; on a disk they only wait for each other.
        self.threads = CONNECTIONS if any("://" in place for place in places) else 1

    def fetch(self, path: str, max_length: int, check: Callable[[bytes], None]) -> bytes:
        """The first answer for which `check` raises nothing, from the packs that are at hand or else from a place; the worst of the
        places' errors if there is none."""
        for pack in self.packs:
            if path in pack:
                with suppress(VerifierError):
                    data = pack.fetch(path, max_length)
                    check(data)
                    return data

        def ask(upstream: Upstream) -> bytes:
            data = upstream.fetch(path, max_length)
            check(data)
            return data

        return self._first(path, ask)

    def receive(self, path: str, length: int, sha256: str, receiver: Receiver) -> None:
        """Hand the first right answer to `receiver`, from its beginning: what one place sent is never continued by another."""

        def ask(upstream: Upstream) -> None:
            receiver.restart()
            upstream.receive(path, length, receiver)
            receiver.check(sha256)

        self._first(path, ask)

    def _first(self, path: str, ask: Callable[[Upstream], T]) -> T:
        errors: list[VerifierError] = []
        for upstream in self.all:
            try:
                return ask(upstream)
            except GaveUpError as error:
                errors.append(error)
            except VerifierError as error:
                upstream.failed()
                errors.append(_from(upstream, path, error))
        raise worst(errors)


def _from(upstream: Upstream, path: str, error: VerifierError) -> VerifierError:
    """The same error, with the file and the place that caused it."""
    told = str(error) if path in str(error) else f"{path}: {error}"
    return type(error)(told if upstream.place in told else f"{told} (from {upstream.place})")


def worst(errors: Sequence[VerifierError]) -> VerifierError:
    """The error that says most about what the places hold."""
    if not errors:
        return FetchError("no upstream is known")
    return min(errors, key=lambda error: _SEVERITY.index(error.exit_code) if error.exit_code in _SEVERITY else 9)
