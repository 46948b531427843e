from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.formats import encode_canonical

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
