"""A small server for a mirror's public folder: GET and HEAD of regular files, nothing else.

It lists no folder, follows no link and shows no hidden name; there is nothing to configure, log in to or hand in.
"""

import os
import stat
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socket import socket
from typing import Any, BinaryIO
from urllib.parse import quote, unquote

from verifier import headers as site_headers
from verifier import limits
from verifier.bounded_server import BoundedServer
from verifier.errors import VerifierError
from verifier.http_answer import leave_body, reader_has, send_head, start_of_range

__all__ = ["MirrorServer", "headers_for"]

CHUNK = 1 << 16


def headers_for(path: str) -> dict[str, str]:
    """All headers of the file at `<election>/…` but its length and ETag: the publisher's, since its pages are ours.

    Without Strict-Transport-Security: that speaks for a whole domain, and is for the mirror's owner to say.
    """
    return {
        name: value for name, value in site_headers.headers_for(path).items() if name != "Strict-Transport-Security"
    }


class MirrorServer(BoundedServer):
    """Serves the folder `public`. VerifierError if it is no folder, or the address cannot be had."""

    def __init__(self, public: Path, host: str, port: int) -> None:
        try:
            self.root = os.open(public, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise VerifierError(f"{public} cannot be served: {error.strerror}") from None
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            os.close(self.root)
            raise VerifierError(
                f"cannot listen on {host}:{port}: {error.strerror}; choose another --port or --host"
            ) from None

    @property
    def url(self) -> str:
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}/"

    @property
    def caps(self) -> tuple[int, int]:
        """See the base class."""
        return limits.SERVED_CONNECTIONS_COUNT, limits.SERVED_CONNECTIONS_OF_ADDRESS_COUNT

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:  # noqa: ANN401
        """A reader who went away is no error of ours, and who it was is nobody's business."""

    def server_close(self) -> None:
        """See the base class."""
        super().server_close()
        os.close(self.root)


class _Handler(BaseHTTPRequestHandler):
    server: MirrorServer
    protocol_version = "HTTP/1.1"
    timeout = limits.SERVED_IDLE_SECONDS
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer with a file, or with 304, 301 or 404."""
        leave_body(self)
        path = self.path.partition("?")[0].partition("#")[0]
        segments = _segments(path)
        if segments is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        if path.endswith("/"):
            segments.append("index.html")
        file = _open(self.server.root, segments)
        if file is not None:
            with file:
                self._file("/".join(segments), file)
        elif (index := _open(self.server.root, [*segments, "index.html"])) is not None:
            index.close()
            # Never `//…`, which would be another host: no segment is empty.
            send_head(
                self,
                HTTPStatus.MOVED_PERMANENTLY,
                {"Location": f"/{quote('/'.join(segments))}/", "Content-Length": "0"},
            )
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def do_HEAD(self) -> None:
        """The same without the body."""
        self.do_GET()

    def _file(self, path: str, file: BinaryIO) -> None:
        status = os.fstat(file.fileno())
        etag = f'"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"'
        headers = headers_for(path) | {"ETag": etag}
        if reader_has(self, etag):
            send_head(self, HTTPStatus.NOT_MODIFIED, headers)
            return
        headers["Content-Length"] = str(status.st_size)
        if start := start_of_range(self, etag, status.st_size):
            file.seek(start)
            headers["Content-Length"] = str(status.st_size - start)
            headers["Content-Range"] = f"bytes {start}-{status.st_size - 1}/{status.st_size}"
        send_head(self, HTTPStatus.PARTIAL_CONTENT if start else HTTPStatus.OK, headers)
        if self.command != "HEAD":
            while chunk := file.read(CHUNK):
                self.wfile.write(chunk)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """A refusal without words of whoever asked; the connection ends, for the request may have a body."""
        status = HTTPStatus(HTTPStatus.METHOD_NOT_ALLOWED if code == HTTPStatus.NOT_IMPLEMENTED else code)
        data = f"{status.value} {status.phrase}\n".encode()
        self.close_connection = True
        headers = {
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Length": str(len(data)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = "GET, HEAD"
        send_head(self, status, headers)
        if self.command != "HEAD":
            self.wfile.write(data)

    def version_string(self) -> str:
        """The name alone: a version helps attackers only."""
        return "terbit"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: who reads what is nobody's business."""


def _segments(path: str) -> list[str] | None:
    """The path's parts, or None for one that no public file has: empty, hidden or dotted parts, NUL, backslash."""
    try:
        plain = unquote(path, errors="strict")
    except UnicodeDecodeError:
        return None
    segments = plain.removeprefix("/").removesuffix("/").split("/") if plain != "/" else []
    if not plain.startswith("/") or any(not one or one[0] == "." or {"\0", "\\"} & set(one) for one in segments):
        return None
    return segments


def _open(root: int, segments: list[str]) -> BinaryIO | None:
    """The regular file at this path, each part opened from the one before it and no link followed; else None."""
    folder = os.dup(root)
    try:
        for number, segment in enumerate(segments, 1):
            last = number == len(segments)
            flags = os.O_NONBLOCK if last else os.O_DIRECTORY
            try:
                below = os.open(segment, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags, dir_fd=folder)
            except OSError:
                return None
            os.close(folder)
            folder = below
        if not segments or not stat.S_ISREG(os.fstat(folder).st_mode):
            return None
        file, folder = os.fdopen(folder, "rb"), -1
        return file
    finally:
        if folder >= 0:
            with suppress(OSError):
                os.close(folder)
