"""OLPC canonical JSON (https://wiki.laptop.org/go/Canonical_JSON), which TUF metadata is signed in.

securesystemslib encodes it in Python, character by character; that was half of the time of checking a nation's site.
The encoder of `msgspec` writes the same bytes wherever a text needs no escape, which is everywhere in our metadata.
"""

from typing import Any, cast

import msgspec
from securesystemslib.exceptions import FormatError as CannotEncodeError
from securesystemslib.formats import encode_canonical

from verifier.errors import FormatError

__all__ = ["encode"]

_encode = msgspec.json.Encoder(order="deterministic").encode


def encode(document: dict[str, Any]) -> bytes:
    """Canonical bytes of a JSON document without floats. FormatError if it has none."""
    try:
        data = _encode(document)
        # The two encodings differ in control characters only, and msgspec writes those with a backslash.
        if b"\\" not in data:
            return data
    except (TypeError, OverflowError, ValueError, RecursionError):  # such as an integer beyond 64 bits
        pass
    try:
        return cast("str", encode_canonical(document)).encode("utf-8")
    except (CannotEncodeError, ValueError, RecursionError) as error:
        raise FormatError(f"JSON without a canonical form: {str(error)[:200]}") from None
