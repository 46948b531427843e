"""Log proofs and trust policies: a proof is worth what its checkpoint's signatures are worth."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.verifier.formats.tlog import LOG, decode, entries, expecting, grown, signed, vectors
from verifier import limits
from verifier.errors import FormatError
from verifier.formats import merkle
from verifier.formats.checkpoint import Checkpoint
from verifier.formats.tiles import node_reader
from verifier.formats.tlog_policy import Policy
from verifier.formats.tlog_proof import LogProof

EDGE, FILES = grown(300)


@vectors("proof")
def test_shared_proofs_end_in_the_class_that_they_name(vector):
    """THREATS 14: each shared proof holds under its policy, with the witnesses it names, or is refused."""
    policy = Policy.parse(vector["policy"].encode())
    with expecting(vector["expect"]):
        proof = LogProof.parse(decode(vector, "proof"))
        proof.check(decode(vector, "entry"))
        assert policy.check(proof.checkpoint) == vector["witnesses"]


@vectors("policy")
def test_shared_policies_end_in_the_class_that_they_name(vector):
    """Each shared policy is read, means the quorums that it lists and is rewritten with the same meaning, or is refused."""
    with expecting(vector["expect"]):
        policy = Policy.parse(decode(vector, "policy"))
        assert Policy.parse(policy.encode()) == policy
        for quorum in vector["quorums"]:
            assert policy.holds(quorum["witnessed"]) == quorum["holds"]


@given(st.integers(0, 299), st.binary(max_size=40))
def test_what_is_written_is_read_and_holds(index, extra):
    """The proof of any entry is read back the same and holds for that entry."""
    hashes = merkle.inclusion_proof(index, 300, node_reader(300, lambda tile: FILES[tile.path]))
    proof = LogProof(index, hashes, signed(Checkpoint(LOG.name, 300, EDGE.root())), extra)
    assert LogProof.parse(proof.encode()) == proof
    proof.check(entries(1, index)[0])


@given(st.binary(max_size=200))
def test_parsers_raise_nothing_but_format_errors(data):
    """Whatever the bytes, a proof or a policy is read or is a FormatError."""
    whole = LogProof(0, (), signed(Checkpoint(LOG.name, 1, bytes(32)))).encode()
    for parse, given_ in [
        (LogProof.parse, data),
        (LogProof.parse, whole[:40] + data + whole[40:]),
        (Policy.parse, data),
        (Policy.parse, data + b"\nquorum none\n"),
    ]:
        try:
            parse(given_)
        except FormatError:
            continue


@pytest.mark.parametrize("parse", [LogProof.parse, Policy.parse])
def test_huge_files_are_refused_before_they_are_read(parse):
    """A file beyond its cap is a FormatError."""
    with pytest.raises(FormatError, match="at most"):
        parse(b"#" * (limits.PROOF_FILE + 1) + b"\nquorum none\n")


def test_no_proof_is_made_that_could_not_be_read():
    """Too many hashes, hashes of another length, and an index out of range make no proof."""
    head = signed(Checkpoint(LOG.name, 1, bytes(32)))
    for fields in [(0, (bytes(32),) * 64, head), (0, (b"",), head), (-1, (), head), (0, (), head, bytes(9_000))]:
        with pytest.raises(FormatError):
            LogProof(*fields)
