"""Signed notes and verifier keys: what is read, ignored and refused."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.verifier.formats.tlog import LOG, decode, expecting, signer, vectors
from verifier import limits
from verifier.errors import FormatError, VerificationError
from verifier.formats.note import COSIGNATURE_V1, Note, SignatureLine, VerifierKey, sign, signed_by

TEXT = "satu\n\ndua é\n"
FILE = Note(TEXT, (sign(TEXT, LOG, signer(1)),)).encode()


@vectors("note", "notes")
def test_shared_notes_end_in_the_class_that_they_name(vector):
    """Each shared note is signed, unsigned, or refused as the class of failure that it names."""
    with expecting(vector["expect"]):
        note = Note.parse(decode(vector, "note"))
        assert any(signed_by(note, VerifierKey.parse(key)) for key in vector["vkeys"]) == (vector["expect"] == "signed")


@vectors("note", "vkeys")
def test_shared_keys_end_in_the_class_that_they_name(vector):
    """Each shared verifier key is read as it says, or refused."""
    with expecting(vector["expect"]):
        key = VerifierKey.parse(vector["vkey"])
        assert (key.name, key.kind, key.key.hex()) == (vector["key_name"], vector["type"], vector["key_hex"])
        assert key.encode() == vector["vkey"]


def flip(data: bytes, bit: int) -> bytes:
    return data[: bit // 8] + bytes([data[bit // 8] ^ (1 << bit % 8)]) + data[bit // 8 + 1 :]


@given(bit=st.integers(0, len(FILE) * 8 - 1))
def test_no_flipped_bit_leaves_the_note_signed(bit):
    """One flipped bit anywhere in a note of one signature leaves it broken, refused, or signed by nobody known."""
    with contextlib.suppress(FormatError, VerificationError):
        assert not signed_by(Note.parse(flip(FILE, bit)), LOG)


@given(st.binary(max_size=300), st.text(max_size=60))
def test_parsers_raise_nothing_but_format_errors(data, text):
    """Whatever the bytes, before or after a valid note, parsing returns or raises FormatError."""
    for parse, given_ in [(Note.parse, data), (Note.parse, FILE + data), (Note.parse, data + FILE)]:
        try:
            assert parse(given_).encode() == given_
        except FormatError:
            continue
    for parse in (VerifierKey.parse, SignatureLine.parse):
        with pytest.raises(FormatError):
            parse(text)


def test_huge_notes_are_refused_before_they_are_read():
    """A note beyond the cap is a FormatError, however well it is signed."""
    text = "a" * limits.NOTE_FILE + "\n"
    with pytest.raises(FormatError, match="at most"):
        Note.parse(Note(text, (sign(text, LOG, signer(1)),)).encode())


def test_a_witness_key_signs_no_notes():
    """A key of type cosignature/v1 neither signs a plain note nor counts as its signer."""
    key = VerifierKey(LOG.name, COSIGNATURE_V1, LOG.key)
    with pytest.raises(FormatError):
        sign(TEXT, key, signer(1))
    line = SignatureLine(key.name, key.key_id, signer(1)(TEXT.encode()))
    assert not signed_by(Note(TEXT, (line,)), key)
