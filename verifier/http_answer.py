"""What our servers' answers have in common: the mirror's, the publisher's preview, the witness."""

from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler

__all__ = ["reader_has", "send_head"]


def send_head(handler: BaseHTTPRequestHandler, status: int, headers: Mapping[str, str]) -> None:
    """Status and headers; and where the connection ends, that it does."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    if handler.close_connection:
        handler.send_header("Connection", "close")
    handler.end_headers()


def reader_has(handler: BaseHTTPRequestHandler, etag: str) -> bool:
    """Whether the reader has what the quoted `etag` names (RFC 9110, 13.1.2)."""
    return etag in [one.strip().removeprefix("W/") for one in handler.headers.get("If-None-Match", "").split(",")]
