"""minisign public keys and signatures: parse, serialise, verify.

Formats: https://jedisct1.github.io/minisign/ ("Signature format", "Public key format"); the trusted comment of a
results file: docs/formats.md, "Signature of one results file".
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Self

from nacl.bindings import crypto_sign_open
from nacl.exceptions import CryptoError

from verifier import limits
from verifier.errors import FormatError, VerificationError
from verifier.formats.encoding import decode_base64, encode_base64

__all__ = ["KEY_ALGORITHM", "PublicKey", "Signature", "TrustedComment", "verify"]

KEY_ALGORITHM = b"Ed"
SIGNATURE_ALGORITHM = b"ED"  # prehashed with BLAKE2b-512; the legacy "Ed" is refused
KEY_ID_SIZE = 8
KEY_SIZE = 32
SIGNATURE_SIZE = 64

UNTRUSTED_PREFIX = "untrusted comment: "
TRUSTED_PREFIX = "trusted comment: "
# No signature covers this line, so a mirror could write anything there. We accept only what `minisign -S` writes.
SIGNATURE_COMMENT = UNTRUSTED_PREFIX + "signature from minisign secret key"


def _text(data: bytes, cap: int, what: str) -> str:
    if len(data) > cap:
        raise FormatError(f"{what} has {len(data)} bytes, at most {cap} are allowed")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise FormatError(f"{what} is not UTF-8") from None


def _printable(comment: str, what: str) -> str:
    """Comments reach terminals: no control characters, escapes or direction marks; tabs are the only exception."""
    if not comment.replace("\t", "").isprintable():
        raise FormatError(f"the comment of {what} has characters that cannot be printed")
    return comment


@dataclass(frozen=True)
class PublicKey:
    """An Ed25519 public key (`key`, 32 bytes) with minisign's key id (8 bytes, any value)."""

    key_id: bytes
    key: bytes

    def __post_init__(self) -> None:
        if len(self.key_id) != KEY_ID_SIZE or len(self.key) != KEY_SIZE:
            raise FormatError(f"a minisign public key has {KEY_ID_SIZE} bytes of id and {KEY_SIZE} of key")

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """Read a bare `RW…` string or the two lines of a `.pub` file; FormatError for anything else."""
        what = "the public key"
        data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        lines = _text(data, limits.PUBLIC_KEY_FILE, what).removesuffix("\n").split("\n")
        if len(lines) == 2 and lines[0].startswith(UNTRUSTED_PREFIX):
            _printable(lines.pop(0), what)
        if len(lines) != 1:
            raise FormatError(f"{what} must be one line of base64, or an untrusted comment and that line")
        raw = decode_base64(lines[0], what, len(KEY_ALGORITHM) + KEY_ID_SIZE + KEY_SIZE)
        if not raw.startswith(KEY_ALGORITHM):
            raise FormatError(f"{what} is not an Ed25519 key of minisign")
        return cls(key_id=raw[2:10], key=raw[10:])

    @property
    def name(self) -> str:
        """The key id as minisign prints it."""
        return f"{int.from_bytes(self.key_id, 'little'):X}"

    def encode(self) -> str:
        """The bare `RW…` string."""
        return encode_base64(KEY_ALGORITHM + self.key_id + self.key)

    def file_text(self) -> str:
        """The `.pub` file as minisign writes it."""
        return f"{UNTRUSTED_PREFIX}minisign public key {self.name}\n{self.encode()}\n"


@dataclass(frozen=True)
class Signature:
    """A `.minisig` file. `global_signature` covers `signature` and the trusted comment. Parsing verifies nothing."""

    key_id: bytes
    signature: bytes
    trusted_comment: str
    global_signature: bytes

    def __post_init__(self) -> None:
        if len(self.key_id) != KEY_ID_SIZE or {len(self.signature), len(self.global_signature)} != {SIGNATURE_SIZE}:
            raise FormatError(f"a minisign signature has {KEY_ID_SIZE} bytes of key id and twice {SIGNATURE_SIZE}")

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read the four lines of a `.minisig`, which must be spelt exactly as `encode` does; else FormatError."""
        what = "the signature file"
        lines = _text(data, limits.MINISIGN_FILE, what).split("\n")
        if len(lines) != 5 or lines[4]:
            raise FormatError(f"{what} must have four lines, each ended by LF")
        if lines[0] != SIGNATURE_COMMENT:
            raise FormatError(f"{what} must begin with “{SIGNATURE_COMMENT}”")
        if not lines[2].startswith(TRUSTED_PREFIX):
            raise FormatError(f"the third line of {what} must be the trusted comment")
        raw = decode_base64(lines[1], "the signature", len(SIGNATURE_ALGORITHM) + KEY_ID_SIZE + SIGNATURE_SIZE)
        if not raw.startswith(SIGNATURE_ALGORITHM):
            raise FormatError("the signature is not prehashed Ed25519 (ED); sign with minisign 0.10 or later")
        signature = cls(
            key_id=raw[2:10],
            signature=raw[10:],
            trusted_comment=_printable(lines[2].removeprefix(TRUSTED_PREFIX), what),
            global_signature=decode_base64(lines[3], "the signature of the trusted comment", SIGNATURE_SIZE),
        )
        if signature.encode() != data:
            raise FormatError(f"{what} is not in its canonical form")
        return signature

    def encode(self) -> bytes:
        """The `.minisig` file."""
        return (
            f"{SIGNATURE_COMMENT}\n{encode_base64(SIGNATURE_ALGORITHM + self.key_id + self.signature)}\n"
            f"{TRUSTED_PREFIX}{self.trusted_comment}\n{encode_base64(self.global_signature)}\n"
        ).encode()


def verify(public_key: PublicKey, data: bytes, signature: Signature) -> None:
    """Return if `signature` is `public_key`'s over `data` and over its trusted comment; else VerificationError."""
    if signature.key_id != public_key.key_id:
        raise VerificationError(
            f"signed by key {int.from_bytes(signature.key_id, 'little'):X}, not by key {public_key.name}"
        )
    try:
        crypto_sign_open(signature.signature + hashlib.blake2b(data).digest(), public_key.key)
    except CryptoError:
        raise VerificationError(f"the file is not what key {public_key.name} signed; fetch both again") from None
    try:
        crypto_sign_open(
            signature.global_signature + signature.signature + signature.trusted_comment.encode(), public_key.key
        )
    except CryptoError:
        raise VerificationError(f"the trusted comment is not what key {public_key.name} signed") from None


_SEGMENT = r"[a-z0-9]+(?:-[a-z0-9]+)*"
_TRUSTED_COMMENT = re.compile(
    r"timestamp:(?P<timestamp>0|[1-9][0-9]{0,11})\t"
    rf"file:(?P<file>{_SEGMENT}/(?:[a-z0-9]{{1,21}}/)?[a-z0-9]{{1,21}}\.json)\t"
    rf"election:(?P<election>{_SEGMENT})\t"
    r"release:(?P<release>[1-9][0-9]{0,8})\t"
    r"sha256:(?P<sha256>[0-9a-f]{64})"
)


@dataclass(frozen=True)
class TrustedComment:
    """What a results file's trusted comment binds: `timestamp` (Unix seconds, UTC, of the release's cut), `file`
    (path relative to the election), `election`, `release` (from 1) and `sha256` (hex, of the JSON)."""

    timestamp: int
    file: str
    election: str
    release: int
    sha256: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the one spelling that `encode` gives; FormatError for anything else."""
        match = _TRUSTED_COMMENT.fullmatch(text)
        if match is None:
            raise FormatError(
                "the trusted comment must be timestamp, file, election, release and sha256, tab-separated"
            )
        return cls(
            timestamp=int(match["timestamp"]),
            file=match["file"],
            election=match["election"],
            release=int(match["release"]),
            sha256=match["sha256"],
        )

    def encode(self) -> str:
        """The comment as it stands in the `.minisig`, without its prefix."""
        return (
            f"timestamp:{self.timestamp}\tfile:{self.file}\telection:{self.election}"
            f"\trelease:{self.release}\tsha256:{self.sha256}"
        )
