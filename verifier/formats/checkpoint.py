"""Checkpoints: a log's tree head, signed by the log and cosigned by witnesses.

Format: C2SP tlog-checkpoint (https://c2sp.org/tlog-checkpoint); docs/formats.md, "Log".
"""

from dataclasses import dataclass
from typing import Self

from verifier import limits
from verifier.errors import FormatError, VerificationError
from verifier.formats.encoding import HASH_SIZE, decode_base64, decode_decimal, encode_base64
from verifier.formats.note import Note, SignatureLine, VerifierKey, signed_by

__all__ = ["Checkpoint", "SignedCheckpoint", "check_log_signature"]


@dataclass(frozen=True)
class Checkpoint:
    """The tree head: the log's `origin`, `size` (number of entries), `root` hash (32 bytes), opaque `extensions`."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        lines = (self.origin, *self.extensions)
        if not all(lines) or any(c < " " for line in lines for c in line):
            raise FormatError("a checkpoint's origin and extensions must be lines with text and no control characters")
        if len(self.origin.encode("utf-8", "surrogatepass")) > limits.KEY_NAME:
            raise FormatError(f"a checkpoint's origin has at most {limits.KEY_NAME} bytes")
        if len(self.extensions) > limits.CHECKPOINT_EXTENSIONS_COUNT:
            raise FormatError(f"a checkpoint has at most {limits.CHECKPOINT_EXTENSIONS_COUNT} extension lines")
        if not 0 <= self.size < 2**63 or len(self.root) != HASH_SIZE:
            raise FormatError(f"a checkpoint has a size from 0 to 2^63 - 1 and a root hash of {HASH_SIZE} bytes")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a note's text; FormatError for anything that `encode` would spell otherwise."""
        lines = text.split("\n")
        if len(lines) < 4 or lines.pop():
            raise FormatError("a checkpoint must be origin, size and root hash, each on a line")
        return cls(
            origin=lines[0],
            size=decode_decimal(lines[1], "a checkpoint's size"),
            root=decode_base64(lines[2], "a checkpoint's root hash", HASH_SIZE),
            extensions=tuple(lines[3:]),
        )

    def encode(self) -> str:
        """The note's text: what the log signs."""
        return "".join(f"{line}\n" for line in (self.origin, self.size, encode_base64(self.root), *self.extensions))


@dataclass(frozen=True)
class SignedCheckpoint:
    """A `checkpoint` with the `signatures` of its file. Parsing verifies nothing."""

    checkpoint: Checkpoint
    signatures: tuple[SignatureLine, ...]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a checkpoint file; FormatError for anything that `encode` would spell otherwise."""
        note = Note.parse(data)
        return cls(Checkpoint.parse(note.text), note.signatures)

    @property
    def note(self) -> Note:
        return Note(self.checkpoint.encode(), self.signatures)

    def encode(self) -> bytes:
        return self.note.encode()


def check_log_signature(signed: SignedCheckpoint, key: VerifierKey) -> None:
    """Return if the log that `key` names signed this checkpoint of its own; else VerificationError."""
    if signed.checkpoint.origin != key.name:
        raise VerificationError(f"the checkpoint is of the log {signed.checkpoint.origin}, not of {key.name}")
    if not signed_by(signed.note, key):
        raise VerificationError(f"the checkpoint is not signed by the key of {key.name}")
