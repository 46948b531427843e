"""Checkpoints and their cosignatures: what is read, what counts, what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.verifier.formats.tlog import LOG, ORIGIN, WITNESS, decode, expecting, signed, signer, vectors
from verifier.errors import FormatError
from verifier.formats.checkpoint import Checkpoint, SignedCheckpoint, check_log_signature
from verifier.formats.cosignature import cosign, cosigned_at
from verifier.formats.note import VerifierKey


@vectors("checkpoint")
def test_shared_checkpoints_end_in_the_class_that_they_name(vector):
    """Each shared checkpoint is read as it says, or refused as the class of failure that it names."""
    with expecting(vector["expect"]):
        read = SignedCheckpoint.parse(decode(vector, "checkpoint"))
        check_log_signature(read, VerifierKey.parse(vector["vkey"]))
        head = read.checkpoint
        assert (head.origin, head.size, head.root.hex(), list(head.extensions)) == tuple(
            vector[name] for name in ("origin", "size", "root_hex", "extensions")
        )


@vectors("cosignature")
def test_shared_cosignatures_end_in_the_class_that_they_name(vector):
    """Each shared cosignature has the time that it says, is ignored, or spoils the checkpoint."""
    with expecting(vector["expect"]):
        read = SignedCheckpoint.parse(decode(vector, "checkpoint"))
        assert cosigned_at(read, VerifierKey.parse(vector["vkey"])) == vector["time"]


origins = st.text(st.characters(min_codepoint=0x20, codec="utf-8"), min_size=1, max_size=60)
checkpoints = st.builds(
    Checkpoint,
    origins,
    st.integers(0, 2**63 - 1),
    st.binary(min_size=32, max_size=32),
    st.lists(origins, max_size=3).map(tuple),
)


@given(checkpoints, st.integers(1, 2**63 - 1))
def test_what_is_written_is_read_and_holds(checkpoint, time):
    """Any checkpoint, signed and cosigned, is read back the same, and its cosignature has the same time."""
    whole = signed(checkpoint)
    whole = SignedCheckpoint(checkpoint, (*whole.signatures, cosign(checkpoint, WITNESS, time, signer(10))))
    assert SignedCheckpoint.parse(whole.encode()) == whole
    assert cosigned_at(whole, WITNESS) == time


@given(st.text(max_size=100))
def test_parsers_raise_nothing_but_format_errors(text):
    """Whatever the text, a checkpoint is read back the same or is a FormatError."""
    for given_ in (text, f"{ORIGIN}\n{text}", f"{ORIGIN}\n1\n{text}"):
        try:
            assert Checkpoint.parse(given_).encode() == given_
        except FormatError:
            continue


def test_a_text_that_is_cut_is_no_checkpoint():
    """Without the last LF, or with a line less, a text is a FormatError."""
    text = Checkpoint(ORIGIN, 1, bytes(32), ("x",)).encode()
    for cut in (text[:-1], text[: -len("x\n") - 1], f"{ORIGIN}\n1\n", "", "\n"):
        with pytest.raises(FormatError):
            Checkpoint.parse(cut)


def test_a_log_is_not_its_own_witness():
    """A log's signature on its checkpoint is no cosignature, and spoils nothing when asked for as one."""
    assert cosigned_at(signed(Checkpoint(ORIGIN, 1, bytes(32))), LOG) is None


@pytest.mark.parametrize(("key", "time"), [(LOG, 1), (WITNESS, 0), (WITNESS, 2**63)], ids=["log-key", "zero", "beyond"])
def test_what_no_verifier_would_count_is_not_cosigned(key, time):
    """A log's key, no time and a time beyond 2^63 - 1 make no cosignature."""
    with pytest.raises(FormatError):
        cosign(Checkpoint(ORIGIN, 1, bytes(32)), key, time, signer(10))


@pytest.mark.parametrize("line", ["", "a\nb", "a\rb", "a\0b", "é" * 128], ids=["empty", "lf", "cr", "nul", "256-bytes"])
def test_no_checkpoint_is_made_that_could_not_be_read(line):
    """An origin or extension that a parser would refuse is refused before it is signed."""
    for fields in ((line, 1, bytes(32)), (ORIGIN, 1, bytes(32), (line,) if len(line) < 9 else ("",))):
        with pytest.raises(FormatError):
            Checkpoint(*fields)
