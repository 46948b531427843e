"""A witness behind HTTP: `add-checkpoint`, and the newest cosigned checkpoint of each log for monitors.

Protocol: C2SP tlog-witness (https://c2sp.org/tlog-witness). It stands behind a TLS proxy, yet trusts nobody: a connection has
an end, a request a size, an address a rate, all together a number.
"""

import re
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

from verifier import limits
from verifier.bounded_server import BoundedServer, network
from verifier.errors import VerifierError
from verifier.http_answer import leave_body, send_head
from verifier.printable import printable
from verifier.witness import TEXT, Answer, Logs, open_request
from verifier.witness_store import WitnessStore, origin_hash

__all__ = ["RateLimit", "WitnessServer"]

_CHECKPOINT = re.compile(r"/([0-9a-f]{64})/checkpoint")
_LENGTH = re.compile(r"[0-9]{1,9}")


class RateLimit:
    """Each address may send `burst` requests at once and `rate` a second in the long run; `clock()` in seconds."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float]) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._left: dict[str, tuple[float, float]] = {}  # how many, at what time; the least recently used first
        self._lock = threading.Lock()

    def allows(self, address: str) -> bool:
        """Count a request of `address`; False if it was one too many."""
        key, now = network(address), self._clock()
        with self._lock:
            left, then = self._left.pop(key, (float(self._burst), now))
            left = min(self._burst, left + (now - then) * self._rate)
            self._left[key] = (left - 1 if left >= 1 else left, now)
            if len(self._left) > limits.WITNESS_ADDRESSES_COUNT:
                del self._left[next(iter(self._left))]
        return left >= 1


class WitnessServer(BoundedServer):
    """Answers for the witness of `store`, which knows `logs`. `behind_proxy`: the client's address is the last one in
    X-Forwarded-For, which our own proxy wrote; without a proxy anyone could write it.

    Raises:
        VerifierError: the address cannot be had.
    """

    request_queue_size = 64

    def __init__(
        self, store: WitnessStore, logs: Logs, host: str, port: int, rate: RateLimit, *, behind_proxy: bool = False
    ) -> None:
        self.store, self.logs, self.rate, self.behind_proxy = store, logs, rate, behind_proxy
        self.origins = {origin_hash(origin): origin for origin in logs}
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise VerifierError(
                f"cannot listen on {host}:{port}: {error.strerror}; choose another --port or --host"
            ) from error

    @property
    def url(self) -> str:
        host, port = self.server_address[:2]
        return f"http://[{host!s}]:{port}" if ":" in str(host) else f"http://{host!s}:{port}"

    @property
    def caps(self) -> tuple[int, int]:
        """See the base class. Behind a proxy all come from one address."""
        most = limits.WITNESS_CONNECTIONS_COUNT
        return most, most if self.behind_proxy else limits.WITNESS_CONNECTIONS_OF_ADDRESS_COUNT

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  # as in socketserver
        # A client that drips a byte now and then never hits a read timeout; the whole connection has one, too.
        timer = threading.Timer(limits.WITNESS_CONNECTION_SECONDS, _cut, (request,))
        timer.daemon = True
        try:
            timer.start()
            super().process_request_thread(request, client_address)
        finally:
            timer.cancel()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  # as in socketserver
        """A connection that breaks off is no event; anything else is told in one line."""
        error = sys.exception()
        if not isinstance(error, OSError):
            print(f"error in the answer to {client_address[0]}: {error!r}", file=sys.stderr)


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    server: WitnessServer
    protocol_version = "HTTP/1.1"
    timeout = limits.WITNESS_IDLE_SECONDS
    error_message_format, error_content_type = "%(message)s\n", TEXT
    requests = 0

    def do_POST(self) -> None:
        if not self._allowed():
            return
        body = self._body()
        if body is None:
            return
        if self.path != "/add-checkpoint":
            self._answer(_plain(404, "there is only POST /add-checkpoint"))
            return
        opened = open_request(body, self.server.logs)
        if isinstance(opened, Answer):
            self._answer(opened)
            return
        try:
            answer = self.server.store.add(opened, self._client())
        except VerifierError as error:
            self._log(str(error))
            answer = _plain(500, "the witness cannot store what it saw, and cosigned nothing; its operator has to look")
        self._answer(answer)

    def do_GET(self) -> None:
        leave_body(self)
        if not self._allowed():
            return
        match = _CHECKPOINT.fullmatch(self.path)
        origin = self.server.origins.get(match[1]) if match else None
        try:
            latest = self.server.store.cosigned(origin) if origin is not None else None
        except VerifierError as error:
            self._log(str(error))
            self._answer(_plain(500, "the witness cannot read its memory"))
            return
        if latest is None:
            self._answer(_plain(404, "there is no such checkpoint; a log's is at /<SHA-256 of its origin>/checkpoint"))
        else:
            self._answer(Answer(200, "the newest checkpoint", latest.encode()))

    def _allowed(self) -> bool:
        self.requests += 1
        if self.requests >= limits.WITNESS_REQUESTS_COUNT:
            self.close_connection = True
        if self.server.rate.allows(self._client()):
            return True
        self.close_connection = True  # the body stays unread
        self._answer(_plain(429, "too many requests from your address; wait a while"), {"Retry-After": "10"})
        return False

    def _client(self) -> str:
        if self.server.behind_proxy:
            last = (self.headers.get_all("X-Forwarded-For") or [""])[-1].rpartition(",")[2].strip()
            return last if network(last) else "unknown"
        return str(self.client_address[0])

    def _body(self) -> bytes | None:
        """The request's body, or None after an answer: proxy and witness must never differ on where a request ends."""
        lengths = self.headers.get_all("Content-Length") or []
        refusal: Answer | None = None
        if "Transfer-Encoding" in self.headers or len(lengths) > 1:
            refusal = _plain(400, "send the body with one Content-Length, not in chunks")
        elif not lengths:
            refusal = _plain(411, "the request must have a Content-Length")
        elif not _LENGTH.fullmatch(lengths[0]):
            refusal = _plain(400, "the Content-Length must be a number")
        elif int(lengths[0]) > limits.PROOF_FILE:
            refusal = _plain(413, f"the request may have at most {limits.PROOF_FILE} bytes")
        if refusal is not None:
            self.close_connection = True
            self._answer(refusal)
            return None
        data = self.rfile.read(int(lengths[0]))
        if len(data) < int(lengths[0]):
            self.close_connection = True
            self._answer(_plain(400, "the request's body broke off"))
            return None
        return data

    def _answer(self, answer: Answer, more: dict[str, str] | None = None) -> None:
        self._log(f"{answer.status} {answer.message}")
        headers = {
            "Content-Type": answer.content_type,
            "Content-Length": str(len(answer.body)),
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }
        send_head(self, answer.status, headers | (more or {}))
        self.wfile.write(answer.body)

    def _log(self, line: str) -> None:
        self.log_message("%s", f"{self.command} {self.path[:80]}: {line}")

    def version_string(self) -> str:
        return "terbit-verify"

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """`_answer` has logged it."""

    def log_message(self, format: str, *args: object) -> None:
        print(printable(f"{self.client_address[0]} {format % args}"), file=sys.stderr, flush=True)


def _plain(status: int, message: str) -> Answer:
    return Answer(status, message, f"{message}\n".encode(), TEXT)
