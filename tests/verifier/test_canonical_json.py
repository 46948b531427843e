from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.formats import encode_canonical

from verifier.errors import FormatError
from verifier.formats import canonical_json

TEXTS = st.text() | st.sampled_from(['"', "\\", "\n", "\0", "\x7f", "\u2028", "é", "😀", "\\u0041"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=10,
)


@given(st.dictionaries(TEXTS, VALUES))
def test_canonical_bytes_are_securesystemslibs(document: dict[str, object]) -> None:
    """Every document is encoded byte for byte as the library that all TUF clients in Python use encodes it."""
    assert canonical_json.encode(document) == encode_canonical(document).encode()


@pytest.mark.parametrize(
    "value",
    [["\n", 1.5], "\ud800", reduce(lambda inner, _: [inner], range(5_000), ["\n"])],
    ids=["float", "surrogate", "depth"],
)
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    """What the library has no bytes for is a FormatError, whatever the library raises."""
    with pytest.raises(FormatError):
        canonical_json.encode({"value": value})
