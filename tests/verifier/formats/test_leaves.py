"""Log entries: each kind has one text, and no other text is read."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.verifier.formats.tlog import decode, expecting, vectors
from verifier.errors import FormatError
from verifier.formats import merkle
from verifier.formats.leaves import Inputs, Package, Redacted, Refused, Release, Root, parse_leaf


@vectors("entries")
def test_shared_entries_end_in_the_class_that_they_name(vector):
    """Each shared entry has the kind, fields and leaf hash that it says, or is refused."""
    with expecting(vector["expect"]):
        data = decode(vector, "entry")
        leaf = parse_leaf(data)
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(leaf).items()}
        assert (leaf.KIND, values) == (vector["kind"], vector["fields"])
        assert leaf.encode() == data
        assert merkle.leaf_hash(data).hex() == vector["leaf_hash_hex"]


hashes = st.binary(min_size=32, max_size=32).map(bytes.hex)
numbers = st.integers(0, 2**63 - 1)
positive = st.integers(1, 2**63 - 1)
times = st.datetimes().map(lambda time: f"{time.replace(microsecond=0).isoformat()}Z")
codes = st.from_regex(r"[a-z][a-z0-9]{0,9}(-[a-z0-9]{1,9}){0,2}", fullmatch=True)
rules = st.sets(codes, min_size=1, max_size=64).map(lambda found: tuple(sorted(found)))
maybe = st.none() | hashes
versions = st.from_regex(r"[0-9A-Za-z.+-]{1,64}", fullmatch=True)
leaves = st.one_of(
    st.builds(Package, hashes, maybe, maybe, st.none() | times),
    st.builds(Refused, hashes, maybe, maybe, rules),
    st.builds(
        Inputs,
        positive,
        times,
        numbers,
        hashes,
        hashes,
        hashes,
        hashes,
        maybe,
        versions,
        numbers,
        st.sampled_from(["changed", "full"]),
    ),
    st.builds(Release, positive.map("{}.snapshot.json".format), numbers, hashes),
    st.builds(Root, positive.map("{}.root.json".format), numbers, hashes),
    st.builds(Redacted, hashes, hashes, hashes),
)


@given(leaves)
def test_entries_are_read_as_they_are_written(leaf):
    """Any leaf's bytes are read back as that leaf."""
    assert parse_leaf(leaf.encode()) == leaf


@given(leaves, st.data())
def test_a_changed_byte_is_another_entry_or_none(leaf, data):
    """A byte changed anywhere makes another entry, or is refused; no two texts are one entry."""
    entry = bytearray(leaf.encode())
    place = data.draw(st.integers(0, len(entry) - 1))
    entry[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte != entry[place]))
    with contextlib.suppress(FormatError):
        assert parse_leaf(bytes(entry)) != leaf


@given(st.binary(max_size=200))
def test_parsing_raises_nothing_but_format_errors(data):
    """Whatever the bytes, they are a FormatError."""
    for entry in (data, b"terbit-package-1\n" + data):
        with pytest.raises(FormatError):
            parse_leaf(entry)


HASH = "0" * 64


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Package, ("A" * 64, None, None)),
        (Package, (HASH + "\n", None, None)),
        (Refused, (HASH, None, None, ())),
        (Refused, (HASH, None, None, ("b", "a"))),
        (Release, ("0.snapshot.json", 1, HASH)),
        (Release, ("1.snapshot.json", -1, HASH)),
        (Root, ("1.snapshot.json", 1, HASH)),
        (Inputs, (1, "2019-13-01T00:00:00Z", 0, HASH, HASH, HASH, HASH, None, "0.1.0", 1)),
        (Inputs, (1, "2019-12-01T00:00:00Z", 0, HASH, HASH, HASH, HASH, None, "0.1.0", 1, "none")),
    ],
    ids=[
        "capitals",
        "line-end",
        "no-rules",
        "unsorted",
        "release-zero",
        "negative",
        "other-role",
        "month-13",
        "no-packs",
    ],
)
def test_no_leaf_is_made_that_could_not_be_read(kind, values):
    """Values that a parser would refuse make no leaf."""
    with pytest.raises(FormatError):
        kind(*values)
