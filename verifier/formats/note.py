"""Signed notes and verifier keys (vkeys): parse, serialise, sign, verify.

Format: C2SP signed-note (https://c2sp.org/signed-note). A note's text means nothing until a known key's signature holds.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from nacl.bindings import crypto_sign_open
from nacl.exceptions import CryptoError

from verifier import limits
from verifier.errors import FormatError, VerificationError
from verifier.formats.encoding import decode_base64, decode_text, encode_base64

__all__ = ["COSIGNATURE_V1", "ED25519", "Note", "SignatureLine", "VerifierKey", "check_ed25519", "sign", "signed_by"]

ED25519 = 0x01  # signature types, signed-note "Signature types"
COSIGNATURE_V1 = 0x04
ED25519_KEY_SIZE = 32
ED25519_SIGNATURE_SIZE = 64
KEY_ID_SIZE = 4
DASH = "— "  # U+2014


def _check_name(name: str) -> None:
    """Key names: non-empty, no Unicode space, no plus, no control character, encodable, capped."""
    if not name or "+" in name or any(c.isspace() or c < " " for c in name):
        raise FormatError("a key's name must not be empty and must have no space, plus sign or control character")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise FormatError("a key's name is not Unicode text") from None
    if size > limits.KEY_NAME:
        raise FormatError(f"a key's name has {size} bytes, at most {limits.KEY_NAME} are allowed")


@dataclass(frozen=True)
class VerifierKey:
    """A vkey: the key's `name`, its signature type (`kind`, one byte) and the public `key`.

    Types that we cannot verify are read all the same, so that a policy may name them; they never count.
    """

    name: str
    kind: int
    key: bytes

    def __post_init__(self) -> None:
        _check_name(self.name)
        if not 0 <= self.kind <= 0xFF or not self.key:
            raise FormatError(f"the key of {self.name} must be one byte of type and a public key")
        if self.kind in {ED25519, COSIGNATURE_V1} and len(self.key) != ED25519_KEY_SIZE:
            raise FormatError(f"the key of {self.name} must have {ED25519_KEY_SIZE} bytes, not {len(self.key)}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `<name>+<8 hex>+<base64>` as `encode` spells it; FormatError for anything else."""
        parts = text.split("+", 2)
        if len(text) > limits.VERIFIER_KEY or len(parts) != 3:
            raise FormatError("a verifier key must be <name>+<8 hex digits>+<base64>")
        raw = decode_base64(parts[2], "the verifier key")
        if not raw:
            raise FormatError("the verifier key has no key")
        key = cls(name=parts[0], kind=raw[0], key=raw[1:])
        if key.encode() != text:
            raise FormatError(f"the key ID of {key.name} is not that of its key; copy the whole line again")
        return key

    @property
    def key_id(self) -> bytes:
        """The first four bytes of SHA-256(name, LF, type, key)."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.key).digest()[:KEY_ID_SIZE]

    def encode(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes([self.kind]) + self.key)}"


@dataclass(frozen=True)
class SignatureLine:
    """One signature of a note: who says to have made it (`name`, `key_id` of 4 bytes), and its bytes. Unverified."""

    name: str
    key_id: bytes
    signature: bytes

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len(self.key_id) != KEY_ID_SIZE or not self.signature:
            raise FormatError(f"the signature of {self.name} must be {KEY_ID_SIZE} bytes of key ID and a signature")

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read `— <name> <base64>`, without LF; FormatError for anything else."""
        parts = line.removeprefix(DASH).split(" ")
        if not line.startswith(DASH) or len(parts) != 2:
            raise FormatError("a signature line must be an em dash, a key's name and base64, one space between them")
        raw = decode_base64(parts[1], "a note's signature")
        return cls(name=parts[0], key_id=raw[:KEY_ID_SIZE], signature=raw[KEY_ID_SIZE:])

    def encode(self) -> str:
        """The line with its LF."""
        return f"{DASH}{self.name} {encode_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True)
class Note:
    """`text`, which ends with LF, and its `signatures`, in the file's order. Parsing verifies nothing."""

    text: str
    signatures: tuple[SignatureLine, ...]

    def __post_init__(self) -> None:
        if not self.text.endswith("\n"):
            raise FormatError("a note's text must end with LF")
        if not 1 <= len(self.signatures) <= limits.NOTE_SIGNATURES_COUNT:
            raise FormatError(f"a note must have 1 to {limits.NOTE_SIGNATURES_COUNT} signatures")

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a note that is spelt exactly as `encode` does; FormatError for anything else."""
        whole = decode_text(data, limits.NOTE_FILE, "the note")
        text, separator, lines = whole.rpartition("\n\n")
        if not separator or not lines.endswith("\n"):
            raise FormatError("a note must be a text, an empty line and signature lines, each ended by LF")
        note = cls(text + "\n", tuple(SignatureLine.parse(line) for line in lines[:-1].split("\n")))
        if note.encode() != data:
            raise FormatError("the note is not in its canonical form")
        return note

    def encode(self) -> bytes:
        return (self.text + "\n" + "".join(line.encode() for line in self.signatures)).encode()

    def lines_of(self, key: VerifierKey) -> tuple[SignatureLine, ...]:
        """The signature lines that bear the name and the key ID of `key`."""
        return tuple(line for line in self.signatures if (line.name, line.key_id) == (key.name, key.key_id))


def sign(text: str, key: VerifierKey, ed25519: Callable[[bytes], bytes]) -> SignatureLine:
    """The signature line of `key` (type Ed25519) over `text`; `ed25519(message)` signs with its secret half."""
    if key.kind != ED25519:
        raise FormatError(f"{key.name} does not sign notes: its key has type {key.kind:#04x}")
    return SignatureLine(key.name, key.key_id, ed25519(text.encode()))


def signed_by(note: Note, key: VerifierKey) -> bool:
    """Whether `key` signed the text. A line of its that does not hold spoils the whole note: VerificationError.

    A key of a type other than Ed25519 never signed a note.
    """
    lines = note.lines_of(key) if key.kind == ED25519 else ()
    for line in lines:
        check_ed25519(key, note.text.encode(), line.signature)
    return bool(lines)


def check_ed25519(key: VerifierKey, message: bytes, signature: bytes) -> None:
    """Return if `signature` is `key`'s over `message`; else VerificationError."""
    # Bytes too many would count as the beginning of the message: a signature over another, longer one would hold.
    if len(signature) != ED25519_SIGNATURE_SIZE:
        raise VerificationError(
            f"a signature by {key.name} has {len(signature)} bytes, expected {ED25519_SIGNATURE_SIZE}"
        )
    try:
        crypto_sign_open(signature + message, key.key)
    except CryptoError:
        raise VerificationError(f"a signature by {key.name} does not hold: this is not what that key signed") from None
