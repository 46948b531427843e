"""The bodies of add-checkpoint, and that they carry a witness through litewitness's requests."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.verifier.formats.tlog import VECTORS, WITNESS, decode, signer
from verifier import limits
from verifier.errors import FormatError, VerificationError
from verifier.formats.checkpoint import Checkpoint, SignedCheckpoint, check_log_signature
from verifier.formats.cosignature import cosign
from verifier.formats.merkle import EMPTY_ROOT, verify_consistency
from verifier.formats.note import VerifierKey
from verifier.formats.tlog_witness import (
    AddCheckpoint,
    encode_cosignatures,
    encode_size,
    parse_cosignatures,
    parse_size,
)

HASH = "A" * 43 + "="


def test_the_requests_of_litewitness():
    """THREATS 14, 16: a witness built of these parts answers litewitness's requests as tlog-witness says."""
    vectors = json.loads((VECTORS / "litewitness.json").read_bytes())
    key, size, root = VerifierKey.parse(vectors["vkey"]), 0, EMPTY_ROOT
    for vector in vectors["requests"]:
        request = AddCheckpoint.parse(decode(vector, "body"))
        assert request.encode() == decode(vector, "body")
        status = 200
        try:
            signed = SignedCheckpoint.parse(request.checkpoint)
            head = signed.checkpoint
            if head.origin != key.name:
                status = 404
            else:
                check_log_signature(signed, key)
        except (FormatError, VerificationError):
            status = 403
        if status == 200 and request.old_size != size:
            status = 409
        if status == 200:
            try:
                verify_consistency(size, root, head.size, head.root, request.proof)
                size, root = head.size, head.root
            except VerificationError:
                status = 422
        assert status == vector["status"], vector["name"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"old 0\n",
        b"old 0\n\n",
        b"old 00\n\nx",
        b"old -1\n\nx",
        b"old  0\n\nx",
        b"Old 0\n\nx",
        f"old {2**63}\n\nx".encode(),
        b"old 1\r\n\nx",
        b"old 1\nAAAA\n\nx",
        f"old 1\n{HASH[:-2]}B=\n\nx".encode(),
        ("old 1\n" + f"{HASH}\n" * 64 + "\nx").encode(),
        b"\nold 1\n\nx",
        b"old 1\n\xff\n\nx",
        b"old 0\n\n" + bytes(limits.PROOF_FILE),
    ],
    ids=[
        "empty", "no-empty-line", "no-checkpoint", "leading-zero", "negative", "two-spaces", "capital", "too-large",
        "cr", "short-hash", "spare-bits", "64-hashes", "line-before", "not-utf8", "huge",
    ],
)  # fmt: skip
def test_malformed_requests_are_refused(data):
    """A request that is not spelt exactly as the specification says is a FormatError."""
    with pytest.raises(FormatError):
        AddCheckpoint.parse(data)


@given(st.integers(0, 2**63 - 1), st.lists(st.binary(min_size=32, max_size=32), max_size=63), st.binary(min_size=1))
def test_requests_are_read_as_they_are_written(old_size, proof, checkpoint):
    """Any request is read back the same, whatever the checkpoint's bytes."""
    request = AddCheckpoint(old_size, tuple(proof), checkpoint)
    assert AddCheckpoint.parse(request.encode()) == request


def test_answers_are_read_as_they_are_written():
    """Cosignatures and sizes are read back the same; what is cut, doubled or padded is refused."""
    line = cosign(Checkpoint("log.example", 1, bytes(32)), WITNESS, 1, signer(10))
    assert parse_cosignatures(encode_cosignatures((line, line))) == (line, line)
    assert parse_size(encode_size(35_225_469)) == 35_225_469
    whole = encode_cosignatures((line,))
    for data in (b"", b"\n", whole[:-1], whole + b"\n", b"\n" + whole, whole * 65, whole.replace(b"\n", b"\r\n")):
        with pytest.raises(FormatError):
            parse_cosignatures(data)
    for data in (b"", b"1", b"01\n", b"1\n\n", b" 1\n", b"-1\n", b"9" * 40 + b"\n"):
        with pytest.raises(FormatError):
            parse_size(data)
