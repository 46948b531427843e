"""What the log's text formats share: base64 and decimals in one spelling each, UTF-8 without control characters.

Sources: C2SP signed-note ("Conventions", "Format"), tlog-checkpoint ("Note text"); RFC 4648, section 4.
"""

import base64
import re

from verifier.errors import FormatError

__all__ = ["HASH_SIZE", "decode_base64", "decode_decimal", "decode_text", "encode_base64"]

HASH_SIZE = 32
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


def encode_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str, what: str, size: int | None = None) -> bytes:
    """The bytes (exactly `size` of them, if given) whose one canonical base64 is `text`; else FormatError."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise FormatError(f"{what} is not base64") from None
    if encode_base64(data) != text:
        raise FormatError(f"{what} is not canonical base64")
    if size is not None and len(data) != size:
        raise FormatError(f"{what} has {len(data)} bytes, expected {size}")
    return data


def decode_decimal(text: str, what: str) -> int:
    """An integer from 0 to 2^63 - 1 without sign, space or leading zero; else FormatError."""
    if _DECIMAL.fullmatch(text) is None or int(text) >= 2**63:
        raise FormatError(f"{what} must be a decimal integer from 0 to 2^63 - 1 without leading zeros")
    return int(text)


def decode_text(data: bytes, cap: int, what: str) -> str:
    """UTF-8 of at most `cap` bytes without ASCII control characters other than LF; else FormatError."""
    if len(data) > cap:
        raise FormatError(f"{what} has {len(data)} bytes, at most {cap} are allowed")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise FormatError(f"{what} is not UTF-8") from None
    if _CONTROL.search(text):
        raise FormatError(f"{what} has control characters")
    return text
