"""A server that strangers reach: so many connections at a time, and of each address some of them, so that no one client takes the places of all."""

import ipaddress
import threading
from collections import Counter
from http.server import ThreadingHTTPServer
from typing import Any

__all__ = ["BoundedServer", "network"]


def network(address: str) -> str:
    """Whoever has one IPv6 address has all 2^64 of its network. Empty for what is no address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)


class BoundedServer(ThreadingHTTPServer):
    """Turns away whoever comes when all connections, or all that one address may have, are taken: threads must not grow without end."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, *arguments: Any) -> None:  # noqa: ANN401  # as in socketserver
        self._open: Counter[str] = Counter()  # connections, by address
        self._lock = threading.Lock()
        super().__init__(*arguments)

    @property
    def caps(self) -> tuple[int, int]:
        """How many connections there may be, and how many of them from one address."""
        raise NotImplementedError

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  # as in socketserver
        """See the base class."""
        address, (most, own) = network(client_address[0]), self.caps
        with self._lock:
            free = self._open.total() < most and self._open[address] < own
            self._open[address] += free
        if not free:
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._leave(address)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  # as in socketserver
        """See the base class."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._leave(network(client_address[0]))

    def _leave(self, address: str) -> None:
        with self._lock:
            self._open[address] -= 1
            self._open += Counter()  # drops those at zero
