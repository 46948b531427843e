"""OLPC canonical JSON (https://wiki.laptop.org/go/Canonical_JSON), which TUF metadata is signed in.

securesystemslib encodes it in Python, character by character; that was half of the time of checking a nation's site.
The C encoder of `json` writes the same bytes wherever a text needs no escape, which is everywhere in our metadata.
"""

import json
from typing import Any, cast

from securesystemslib.formats import encode_canonical

__all__ = ["encode"]


def encode(document: dict[str, Any]) -> bytes:
    """Canonical bytes of a JSON document without floats."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # The two encodings differ in control characters only, and json writes those with a backslash.
    if "\\" in text:
        text = cast("str", encode_canonical(document))
    return text.encode("utf-8")
