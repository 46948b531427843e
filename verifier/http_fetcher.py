"""A site behind HTTP: keep-alive, a time limit on the whole answer, a cap on its length."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

import urllib3

from verifier import limits
from verifier.deadline import Deadline, with_deadlines
from verifier.errors import FetchError
from verifier.fetcher import GaveUpError, MissingError, StalledError, check_path, too_long

if TYPE_CHECKING:
    from verifier.receiver import Receiver

__all__ = ["HttpFetcher"]

CHUNK = 65_536
RESUMPTIONS = 4  # of one file whose connection broke
# Object stores answer 403 for a missing file to whoever may not list; so does python-tuf's client read it.
MISSING = frozenset({403, 404, 410})


class HttpFetcher:
    """Files below `base_url`. Thread-safe; keeps `connections` of them open.

    `timeout` (seconds) limits the connection and each wait for bytes, `total` the whole answer; None is
    limits.FETCH_TOTAL_SECONDS, or longer where as many bytes as are asked for need longer at limits.FETCH_LEAST_RATE. A check asks for
    hundreds of thousands of files: after `stalls` answers that did not come in time, GaveUpError is raised at once.
    """

    def __init__(
        self,
        base_url: str,
        *,
        connections: int = 8,
        timeout: float = limits.FETCH_TIMEOUT_SECONDS,
        total: float | None = None,
        stalls: int = limits.STALLS_COUNT,
    ) -> None:
        self._base_url = base_url.rstrip("/") + "/"
        self._timeout = timeout
        self._total = total
        self._stalls_left = stalls
        self._lock = threading.Lock()
        self._manager = with_deadlines(
            urllib3.PoolManager(
                maxsize=connections,
                retries=urllib3.Retry(total=4, connect=2, read=0, redirect=3, status=0, other=0),
                # A compressed answer could unpack to any size: only the bytes themselves are asked for.
                headers={"Accept-Encoding": "identity", "User-Agent": "terbit-verify"},
            )
        )

    def fetch(self, path: str, max_length: int) -> bytes:
        """See verifier.fetcher.Fetcher; StalledError and GaveUpError are FetchErrors."""
        data, _ = self._fetch(path, max_length, {})
        assert data is not None  # "not modified" is accepted for an answer only where there was a condition
        return data

    def fetch_if_changed(self, path: str, max_length: int, etag: str) -> tuple[bytes | None, str]:
        """Like `fetch`, with the answer's ETag ("" for none); None where the file still has `etag`."""
        return self._fetch(path, max_length, {"If-None-Match": etag} if etag else {})

    def post(self, path: str, body: bytes, max_length: int) -> tuple[int, bytes]:
        """Send `body` once; the answer's status, whatever it is, and its bytes. FetchError if there is no answer."""
        url = self._base_url + quote(check_path(path), safe="/%")
        timeout = urllib3.Timeout(connect=self._timeout, read=self._timeout)
        seconds = self._seconds(max_length)
        with Deadline().running(seconds) as deadline:
            try:
                response = self._manager.request(
                    "POST", url, body=body, preload_content=False, timeout=timeout, redirect=False, retries=False
                )
                try:
                    answer = self._body(response, path, max_length)
                finally:
                    response.close()
            except urllib3.exceptions.HTTPError as error:
                raise FetchError(f"{url} could not be reached: {_reason(error)}") from None
        if deadline.expired:
            raise self._stalled(url, _late(seconds))
        return response.status, answer

    def receive(self, path: str, length: int, receiver: Receiver) -> None:
        """See verifier.receiver.Streaming. Where the connection breaks the file is taken up again (RFC 9110, section 14): without a
        condition, for the hash of the whole decides in any case."""
        with self._answering(path, length) as url:
            for left in range(RESUMPTIONS, -1, -1):
                begun = receiver.length
                try:
                    self._receive(url, path, length, receiver)
                except urllib3.exceptions.HTTPError:
                    if not left or receiver.length == begun:
                        raise
                else:
                    return

    def _fetch(self, path: str, max_length: int, headers: dict[str, str]) -> tuple[bytes | None, str]:
        with self._answering(path, max_length) as url:
            return self._get(url, path, max_length, headers)

    @contextmanager
    def _answering(self, path: str, max_length: int) -> Iterator[str]:
        """While what is at the URL that it gives is read, within the time for that; what went wrong in our words."""
        if self._stalls_left <= 0:
            raise GaveUpError(f"{self._base_url} is asked for no more: too many answers did not come in time")
        url, seconds = self._base_url + quote(check_path(path), safe="/%"), self._seconds(max_length)
        with Deadline().running(seconds) as deadline:
            try:
                yield url
            except urllib3.exceptions.HTTPError as error:
                if deadline.expired:
                    raise self._stalled(url, _late(seconds)) from None
                if isinstance(_cause(error), urllib3.exceptions.TimeoutError):
                    raise self._stalled(url, _reason(error)) from None
                raise FetchError(f"{url} could not be fetched: {_reason(error)}") from None
        if deadline.expired:  # without a length in its header, a cut answer looks like a whole one
            raise self._stalled(url, _late(seconds))

    def _seconds(self, length: int) -> float:
        if self._total is not None:
            return self._total
        return max(limits.FETCH_TOTAL_SECONDS, length / limits.FETCH_LEAST_RATE)

    def _stalled(self, url: str, reason: str) -> StalledError:
        with self._lock:
            self._stalls_left -= 1
        return StalledError(f"{url} could not be fetched: {reason}")

    def _receive(self, url: str, path: str, length: int, receiver: Receiver) -> None:
        start = receiver.length
        with self._asked(url, {"Range": f"bytes={start}-"} if start else {}) as response:
            if response.status == 206 and start:
                if not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                    raise FetchError(f"{url} could not be fetched: it goes on from another byte than it was asked for")
            elif response.status == 200:
                receiver.restart()
            else:
                raise FetchError(f"{url} could not be fetched: HTTP {response.status}")
            while part := response.read1(CHUNK, decode_content=False):
                if receiver.length + len(part) > length:
                    raise too_long(path, length)
                receiver.take(part)

    def _get(self, url: str, path: str, max_length: int, headers: dict[str, str]) -> tuple[bytes | None, str]:
        with self._asked(url, headers) as response:
            unchanged = response.status == 304 and "If-None-Match" in headers
            if response.status != 200 and not unchanged:
                raise FetchError(f"{url} could not be fetched: HTTP {response.status}")
            data = self._body(response, path, max_length)
            return None if unchanged else data, response.headers.get("ETag", "")

    @contextmanager
    def _asked(self, url: str, headers: dict[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
        """The answer for a file, which is read to its end unless something is raised. MissingError where there is none."""
        timeout = urllib3.Timeout(connect=self._timeout, read=self._timeout)
        # Headers of one request replace those of the manager.
        every = {**self._manager.headers, **headers}
        response = self._manager.request("GET", url, preload_content=False, timeout=timeout, headers=every)
        whole = False
        try:
            if response.status in MISSING:
                raise MissingError(f"{url} is missing (HTTP {response.status})")
            yield response
            whole = True
        finally:
            # Only a connection that was read to its end may serve the next request.
            if whole:
                response.release_conn()
            else:
                response.close()

    @staticmethod
    def _body(response: urllib3.BaseHTTPResponse, path: str, max_length: int) -> bytes:
        chunks: list[bytes] = []
        length = 0
        while chunk := response.read1(CHUNK, decode_content=False):
            length += len(chunk)
            if length > max_length:
                raise too_long(path, max_length)
            chunks.append(chunk)
        return b"".join(chunks)

    def fetch_linked(self, path: str, other: str, max_length: int) -> tuple[bytes, bool]:
        """See verifier.fetcher.Fetcher: over HTTP nothing is known to be one file."""
        return self.fetch(path, max_length), False


def _late(seconds: float) -> str:
    return f"no whole answer within {seconds:g} seconds"


def _cause(error: urllib3.exceptions.HTTPError) -> Exception:
    return error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason else error


def _reason(error: urllib3.exceptions.HTTPError) -> str:
    """In plain words: urllib3 puts the connection's or pool's own description before its message."""
    cause = _cause(error)
    text = str(cause.args[-1]) if cause.args else ""
    return re.sub(r"^<?_?\w*(Connection|Pool)\(.*?\)>?: ", "", text) or type(cause).__name__
