import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.errors import FormatError
from verifier.formats import strict_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(VALUES)
def test_what_we_write_is_read(value: object) -> None:
    """JSON without floats is read back as it was written."""
    assert strict_json.loads(json.dumps(value).encode(), "it") == value


@given(VALUES, st.sampled_from(["", "\n", " ", "\n\n"]))
def test_what_is_written_closely_is_read_alike(value: object, end: str) -> None:
    """Without spaces, as metadata and results are written, JSON is read to the same value with the same types."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    found = strict_json.loads((text + end).encode(), "it")
    assert (found, repr(found)) == (value, repr(value))


@given(
    VALUES, st.integers(0), st.integers(0), st.binary(max_size=4) | st.sampled_from([b"\\ud800", b"1e9", b"9" * 5_000])
)
def test_any_bytes_are_read_or_refused(value: object, start: int, end: int, middle: bytes) -> None:
    """Bytes near those of JSON give a value that can be written again or a FormatError, nothing else."""
    data = json.dumps(value).encode()
    with suppress(FormatError):
        found = strict_json.loads(data[: start % (len(data) + 1)] + middle + data[end % (len(data) + 1) :], "it")
        json.dumps(found, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":2}',
        b'{"a":1,"\\u0061":2}',
        b'[{"x":{"a":1,"b":2,"a":1}}]',
        b"1.0",
        b"[1e2]",
        b"[-0.0]",
        b"NaN",
        b"[Infinity]",
        b"[-Infinity]",
        b"9" * 5_000,
        b"[" * 100_000,
        b"\xef\xbb\xbf{}",
        b"{}x",
        b"{'a':1}",
        b"[1,]",
        b'"\xed\xa0\x80"',
        b'"\\ud800"',
        b'{"\\udfff": 1}',
        '{"a":1}'.encode("utf-16"),
        b"",
    ],
)
def test_two_readings_are_refused(data: bytes) -> None:
    """Whatever two parsers could read differently, or only some could read, is refused."""
    with pytest.raises(FormatError):
        strict_json.loads(data, "it")
