from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.errors import FormatError
from verifier.formats.metadata_fields import listed_targets, signed_fields

GOOD = b'{"signed":{"expires":"2026-11-21T05:00:00Z","targets":{"a/b":{"hashes":{"sha256":"00"},"length":3}},"version":7,"more":[1]}}'


def test_the_fields_of_a_role() -> None:
    """Version, expiry and files are read, and what else stands there is passed over."""
    fields = signed_fields(GOOD)
    assert (fields.version, fields.expires, fields.meta) == (7, "2026-11-21T05:00:00Z", {})
    assert listed_targets(GOOD) == {"a/b": (3, "00")}


@given(st.integers(0, len(GOOD)), st.integers(0, len(GOOD)), st.binary(max_size=4))
def test_any_bytes_are_read_or_refused(start: int, end: int, middle: bytes) -> None:
    """Bytes near those of good metadata give its fields or a FormatError, nothing else."""
    with suppress(FormatError):
        signed_fields(GOOD[:start] + middle + GOOD[end:])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        GOOD.replace(b"2026", b"\xff"),
        GOOD.replace(b"[1]", b"[" * 100_000),
        GOOD.replace(b"7", b"7.5"),
    ],
    ids=["empty", "list", "nothing", "no UTF-8", "too deep", "no integer"],
)
def test_what_is_no_metadata_is_refused(data: bytes) -> None:
    """What is no metadata is a FormatError, whatever the decoder raises."""
    with pytest.raises(FormatError):
        signed_fields(data)
