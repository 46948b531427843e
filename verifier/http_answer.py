"""What our servers' answers have in common: the mirror's, the publisher's preview, the witness."""

import re
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler

__all__ = ["leave_body", "reader_has", "send_head", "start_of_range"]


def send_head(handler: BaseHTTPRequestHandler, status: int, headers: Mapping[str, str]) -> None:
    """Status and headers; and where the connection ends, that it does."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    if handler.close_connection:
        handler.send_header("Connection", "close")
    handler.end_headers()


def leave_body(handler: BaseHTTPRequestHandler) -> None:
    """End the connection after a request with a body that nobody reads: it must not be the next request, whose answer a proxy would give to another reader."""
    if "Content-Length" in handler.headers or "Transfer-Encoding" in handler.headers:
        handler.close_connection = True


def reader_has(handler: BaseHTTPRequestHandler, etag: str) -> bool:
    """Whether the reader has what the quoted `etag` names (RFC 9110, 13.1.2)."""
    return etag in [one.strip().removeprefix("W/") for one in handler.headers.get("If-None-Match", "").split(",")]


def start_of_range(handler: BaseHTTPRequestHandler, etag: str, size: int) -> int:
    """From which byte on a reader wants the rest of a file of `size` bytes, whose quoted ETag is `etag`; 0 for the whole.

    Of the ranges that RFC 9110, section 14 has, this is the one that takes a broken transfer up; a server may ignore any.
    """
    found = re.fullmatch(r"bytes=([0-9]{1,15})-", handler.headers.get("Range", ""))
    if found is None or handler.command != "GET" or handler.headers.get("If-Range", etag) != etag:
        return 0
    start = int(found[1])
    return start if start < size else 0
