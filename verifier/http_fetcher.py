"""A site behind HTTP: keep-alive, a time limit on the whole answer, a cap on its length."""

import re
import threading
from urllib.parse import quote

import urllib3

from verifier import limits
from verifier.deadline import Deadline, with_deadlines
from verifier.errors import FetchError
from verifier.fetcher import GaveUpError, MissingError, StalledError, check_path, too_long

__all__ = ["HttpFetcher"]

CHUNK = 65_536
# Object stores answer 403 for a missing file to whoever may not list; so does python-tuf's client read it.
MISSING = frozenset({403, 404, 410})


class HttpFetcher:
    """Files below `base_url`. Thread-safe; keeps `connections` of them open.

    `timeout` (seconds) limits the connection and each wait for bytes, `total` the whole answer. A check asks for
    hundreds of thousands of files: after `stalls` answers that did not come in time, GaveUpError is raised at once.
    """

    def __init__(
        self,
        base_url: str,
        *,
        connections: int = 8,
        timeout: float = limits.FETCH_TIMEOUT_SECONDS,
        total: float = limits.FETCH_TOTAL_SECONDS,
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
        with Deadline().running(self._total) as deadline:
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
            raise self._stalled(url)
        return response.status, answer

    def _fetch(self, path: str, max_length: int, headers: dict[str, str]) -> tuple[bytes | None, str]:
        if self._stalls_left <= 0:
            raise GaveUpError(f"{self._base_url} is asked for no more: too many answers did not come in time")
        url = self._base_url + quote(check_path(path), safe="/%")
        with Deadline().running(self._total) as deadline:
            try:
                answer = self._get(url, path, max_length, headers)
            except urllib3.exceptions.HTTPError as error:
                if deadline.expired:
                    raise self._stalled(url) from None
                if isinstance(_cause(error), urllib3.exceptions.TimeoutError):
                    raise self._stalled(url, _reason(error)) from None
                raise FetchError(f"{url} could not be fetched: {_reason(error)}") from None
        if deadline.expired:  # without a length in its header, a cut answer looks like a whole one
            raise self._stalled(url)
        return answer

    def _stalled(self, url: str, reason: str = "") -> StalledError:
        with self._lock:
            self._stalls_left -= 1
        reason = reason or f"no whole answer within {self._total} seconds"
        return StalledError(f"{url} could not be fetched: {reason}")

    def _get(self, url: str, path: str, max_length: int, headers: dict[str, str]) -> tuple[bytes | None, str]:
        timeout = urllib3.Timeout(connect=self._timeout, read=self._timeout)
        # Headers of one request replace those of the manager.
        every = {**self._manager.headers, **headers}
        response = self._manager.request("GET", url, preload_content=False, timeout=timeout, headers=every)
        whole = False
        try:
            if response.status in MISSING:
                raise MissingError(f"{url} is missing (HTTP {response.status})")
            unchanged = response.status == 304 and "If-None-Match" in headers
            if response.status != 200 and not unchanged:
                raise FetchError(f"{url} could not be fetched: HTTP {response.status}")
            data = self._body(response, path, max_length)
            whole = True
            return None if unchanged else data, response.headers.get("ETag", "")
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


def _cause(error: urllib3.exceptions.HTTPError) -> Exception:
    return error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason else error


def _reason(error: urllib3.exceptions.HTTPError) -> str:
    """In plain words: urllib3 puts the connection's or pool's own description before its message."""
    cause = _cause(error)
    text = str(cause.args[-1]) if cause.args else ""
    return re.sub(r"^<?_?\w*(Connection|Pool)\(.*?\)>?: ", "", text) or type(cause).__name__
