"""JSON with one reading only (RFC 8259, narrowed): UTF-8, no duplicate key, no floats, no NaN.

Two parsers may each pick another one of two equal keys; then one of them shows what the other never checked.
"""

import json
from typing import NoReturn

import msgspec

from verifier.errors import FormatError

__all__ = ["loads"]


def loads(data: bytes, what: str) -> object:
    """Parse `data`; FormatError, naming `what`, for anything that two parsers could read differently."""
    try:
        found = _decode(data)
        written = _encode(found)
    except (ValueError, OverflowError, RecursionError):
        pass  # told below, in the same words for all
    else:
        # Of two equal keys one would be lost, and no number was a float: what is written like this has one reading. Most of what we read is.
        if data in (written, written + b"\n"):
            return found
    try:
        found = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_float=_refuse_number, parse_constant=_refuse_number
        )
        json.dumps(found, ensure_ascii=False).encode()  # half of a surrogate pair is no text: some parsers refuse it
    except FormatError as error:
        raise FormatError(f"{what} {error}; it is not what was published") from None
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{what} is not JSON ({error}); it is not what was published") from None
    return found


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise FormatError("has the same key twice in one object")
    return found


def _refuse_float(text: str) -> NoReturn:
    raise ValueError(text)


_decode = msgspec.json.Decoder(float_hook=_refuse_float).decode
_encode = msgspec.json.Encoder().encode


def _refuse_number(text: str) -> NoReturn:
    raise FormatError(f"has the number {text[:40]}, where only integers may stand")
