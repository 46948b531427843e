"""A time limit on whole exchanges over TLS, where the socket that is read is not the one that was connected."""

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.servers import QuietHandler, certificate, secure, serving
from verifier.errors import FetchError
from verifier.fetcher import StalledError
from verifier.http_fetcher import HttpFetcher


class Handler(QuietHandler):
    """Answers `whole`; drips a byte of anything else now and then, until nobody reads any more."""

    left = threading.Event()

    def do_GET(self) -> None:
        if self.path.endswith("whole"):
            self.answer(200, b"whole")
            return
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        try:
            while not self.left.wait(0.02):
                self.wfile.write(b"x")
        except OSError:
            self.left.set()


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    trusted = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    server = secure(ThreadingHTTPServer(("127.0.0.1", 0), Handler), trusted)
    with serving(server):
        yield f"https://localhost:{server.server_port}/"


def test_a_server_that_drips_over_tls_is_cut(address: str) -> None:
    """A server whose bytes come one by one is left when the time is up, and notices; the next whole answer is taken."""
    fetcher = HttpFetcher(address, timeout=10, total=1)
    with pytest.raises(StalledError, match="no whole answer within 1 seconds"):
        fetcher.fetch("dripped", 100_000)
    assert Handler.left.wait(20)
    assert HttpFetcher(address, timeout=10, total=60).fetch("whole", 100) == b"whole"


def test_a_certificate_of_nobody_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system's authorities did not sign is not read at all."""
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(FetchError, match="certificate"):
        HttpFetcher(address, timeout=10, total=60).fetch("whole", 100)
