"""What a log and its witnesses send each other: the bodies of add-checkpoint.

Format: C2SP tlog-witness (https://c2sp.org/tlog-witness), "add-checkpoint".
"""

from dataclasses import dataclass
from typing import Self

from verifier import limits
from verifier.errors import FormatError
from verifier.formats.encoding import HASH_SIZE, decode_base64, decode_decimal, decode_text, encode_base64
from verifier.formats.note import SignatureLine

__all__ = ["AddCheckpoint", "encode_cosignatures", "encode_size", "parse_cosignatures", "parse_size"]

OLD = "old "


@dataclass(frozen=True)
class AddCheckpoint:
    """The request: cosign `checkpoint`, whose tree continues that of `old_size` entries by `proof`.

    `checkpoint` is the bytes of a file that `SignedCheckpoint.parse` has yet to read: a witness answers what is wrong
    with it, its signatures' spelling included, with another status (403) than what is wrong with the request (400).
    """

    old_size: int
    proof: tuple[bytes, ...]
    checkpoint: bytes

    def __post_init__(self) -> None:
        if not 0 <= self.old_size < 2**63 or not self.checkpoint:
            raise FormatError("a request has an old size from 0 to 2^63 - 1 and a checkpoint")
        if len(self.proof) > limits.TREE_PROOF_COUNT or any(len(one) != HASH_SIZE for one in self.proof):
            raise FormatError(f"a consistency proof has at most {limits.TREE_PROOF_COUNT} hashes of {HASH_SIZE} bytes")

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a request that is spelt exactly as `encode` does; FormatError for anything else."""
        if len(data) > limits.PROOF_FILE:
            raise FormatError(f"the request has {len(data)} bytes, at most {limits.PROOF_FILE} are allowed")
        head, separator, checkpoint = data.partition(b"\n\n")
        first, *proof = decode_text(head, limits.PROOF_FILE, "the request").split("\n", limits.TREE_PROOF_COUNT + 1)
        if not separator or not first.startswith(OLD):
            raise FormatError("a request must be a line “old <size>”, a proof, an empty line and a checkpoint")
        return cls(
            old_size=decode_decimal(first.removeprefix(OLD), "the old size"),
            proof=tuple(decode_base64(line, "a consistency proof's hash", HASH_SIZE) for line in proof),
            checkpoint=checkpoint,
        )

    def encode(self) -> bytes:
        lines = [f"{OLD}{self.old_size}", *map(encode_base64, self.proof), ""]
        return "".join(f"{line}\n" for line in lines).encode() + self.checkpoint


def parse_cosignatures(data: bytes) -> tuple[SignatureLine, ...]:
    """The signature lines of an answer with status 200. Unverified: whoever asked ignores those of unknown keys."""
    text = decode_text(data, limits.NOTE_FILE, "the witness's answer")
    if not text.endswith("\n") or text.count("\n") > limits.NOTE_SIGNATURES_COUNT:
        raise FormatError(f"a witness's answer must be 1 to {limits.NOTE_SIGNATURES_COUNT} signature lines")
    return tuple(SignatureLine.parse(line) for line in text[:-1].split("\n"))


def encode_cosignatures(lines: tuple[SignatureLine, ...]) -> bytes:
    return "".join(line.encode() for line in lines).encode()


def parse_size(data: bytes) -> int:
    """The size in an answer with status 409 (text/x.tlog.size): what the witness cosigned last."""
    text = decode_text(data, 32, "the witness's answer")
    if not text.endswith("\n"):
        raise FormatError("the witness's answer must be a size and LF")
    return decode_decimal(text[:-1], "the witness's size")


def encode_size(size: int) -> bytes:
    return f"{size}\n".encode()
