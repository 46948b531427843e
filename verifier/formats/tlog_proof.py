"""Proofs that an entry is in a log, in one file that is verified offline.

Format: C2SP tlog-proof (https://c2sp.org/tlog-proof); docs/formats.md, "Log".
"""

from dataclasses import dataclass
from typing import Self

from verifier import limits
from verifier.errors import FormatError
from verifier.formats import merkle
from verifier.formats.checkpoint import SignedCheckpoint
from verifier.formats.encoding import HASH_SIZE, decode_base64, decode_decimal, decode_text, encode_base64

__all__ = ["LogProof"]

HEADER = "c2sp.org/tlog-proof@v1"
EXTRA = "extra "
INDEX = "index "


@dataclass(frozen=True)
class LogProof:
    """Entry `index` (from 0) is in the tree of `checkpoint`: `hashes` lead from its leaf to the root. No signature
    covers `extra`; empty means that there is none."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: SignedCheckpoint
    extra: bytes = b""

    def __post_init__(self) -> None:
        if not 0 <= self.index < 2**63 or len(self.extra) > limits.PROOF_EXTRA:
            raise FormatError("a log proof has an index from 0 to 2^63 - 1 and few extra data")
        if len(self.hashes) > limits.TREE_PROOF_COUNT or any(len(one) != HASH_SIZE for one in self.hashes):
            raise FormatError(f"a log proof has at most {limits.TREE_PROOF_COUNT} hashes of {HASH_SIZE} bytes")

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a proof that is spelt exactly as `encode` does; FormatError for anything else."""
        text = decode_text(data, limits.PROOF_FILE, "the log proof")
        head, separator, checkpoint = text.partition("\n\n")
        header, *lines = head.split("\n", limits.TREE_PROOF_COUNT + 3)
        if header != HEADER or not separator:
            raise FormatError(f"a log proof must begin with {HEADER}, and have an empty line before its checkpoint")
        extra = lines.pop(0).removeprefix(EXTRA) if lines and lines[0].startswith(EXTRA) else ""
        if not lines or not lines[0].startswith(INDEX):
            raise FormatError("a log proof must have a line “index <number>”")
        proof = cls(
            index=decode_decimal(lines[0].removeprefix(INDEX), "a log proof's index"),
            hashes=tuple(decode_base64(line, "a log proof's hash", HASH_SIZE) for line in lines[1:]),
            checkpoint=SignedCheckpoint.parse(checkpoint.encode()),
            extra=decode_base64(extra, "a log proof's extra data"),
        )
        if proof.encode() != data:
            raise FormatError("the log proof is not in its canonical form")
        return proof

    def encode(self) -> bytes:
        extra = [EXTRA + encode_base64(self.extra)] if self.extra else []
        lines = [HEADER, *extra, f"{INDEX}{self.index}", *map(encode_base64, self.hashes), ""]
        return "".join(f"{line}\n" for line in lines).encode() + self.checkpoint.encode()

    def check(self, entry: bytes) -> None:
        """Return if the bytes `entry` are in the checkpoint's tree; else VerificationError.

        Says nothing about the checkpoint: check that by the policy (`tlog_policy.Policy.check`) as well.
        """
        head = self.checkpoint.checkpoint
        merkle.verify_inclusion(merkle.leaf_hash(entry), self.index, head.size, head.root, self.hashes)
