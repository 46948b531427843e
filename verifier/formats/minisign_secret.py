"""minisign secret keys: parse, serialise, sign.

Format: https://jedisct1.github.io/minisign/ ("Secret key format").
"""

import base64
import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import nacl.pwhash.scrypt
from nacl.bindings import crypto_sign, crypto_sign_seed_keypair

from verifier import limits
from verifier.errors import FormatError, VerificationError
from verifier.formats.minisign import KEY_ALGORITHM, KEY_ID_SIZE, KEY_SIZE, UNTRUSTED_PREFIX, PublicKey, Signature

__all__ = ["OFFLINE_COST", "ONLINE_COST", "ScryptCost", "SecretKey", "is_encrypted"]

KDF_SCRYPT = b"Sc"
KDF_NONE = b"\0\0"
CHECKSUM_ALGORITHM = b"B2"
SALT_SIZE = 32
SEALED_SIZE = 8 + 64 + 32  # key id, seed and public key, checksum: what the passphrase encrypts
COMMENT = f"{UNTRUSTED_PREFIX}minisign encrypted secret key"
_DAMAGED = "the secret key is not minisign's, or it is damaged; restore it from your backup"
_HEADER = struct.Struct("<2s2s2s32sQQ")


@dataclass(frozen=True)
class ScryptCost:
    """What one guess at a passphrase costs: libsodium's opslimit, and memory in bytes. It stands in the key file."""

    operations: int
    memory: int


# minisign's own strength: some seconds and 1 GiB. For keys that are opened a few times a year.
OFFLINE_COST = ScryptCost(nacl.pwhash.scrypt.OPSLIMIT_SENSITIVE, nacl.pwhash.scrypt.MEMLIMIT_SENSITIVE)
# A twentieth of a second and 16 MiB. For keys that are opened every few minutes on election night.
ONLINE_COST = ScryptCost(nacl.pwhash.scrypt.OPSLIMIT_INTERACTIVE, nacl.pwhash.scrypt.MEMLIMIT_INTERACTIVE)


class _Header(NamedTuple):
    """What stands before the sealed part: algorithms of signature, kdf and checksum; salt; scrypt's cost."""

    algorithm: bytes
    kdf: bytes
    checksum: bytes
    salt: bytes
    operations: int
    memory: int


@dataclass(frozen=True)
class SecretKey:
    """An Ed25519 key: minisign's key id (8 bytes) and the seed (32 bytes). Its repr shows no secret."""

    key_id: bytes
    seed: bytes = field(repr=False)
    _expanded: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.key_id) != KEY_ID_SIZE or len(self.seed) != KEY_SIZE:
            raise FormatError(f"a secret key has {KEY_ID_SIZE} bytes of key id and a seed of {KEY_SIZE}")
        object.__setattr__(self, "_expanded", crypto_sign_seed_keypair(self.seed)[1])

    @classmethod
    def generate(cls, random: Callable[[int], bytes]) -> Self:
        """A new key from `random(number of bytes)`, which must be `os.urandom` or as good."""
        return cls(key_id=random(KEY_ID_SIZE), seed=random(KEY_SIZE))

    @classmethod
    def parse(cls, data: bytes, passphrase: bytes | None) -> Self:
        """Read a secret-key file, ours or `minisign -G`'s. FormatError; VerificationError for a wrong passphrase."""
        header, sealed = _parse(data)
        if header.kdf == KDF_SCRYPT:
            if passphrase is None:
                raise VerificationError("the secret key is encrypted: its passphrase is needed")
            sealed = _exclusive_or(sealed, passphrase, header)
        key = cls(key_id=sealed[:8], seed=sealed[8:40])
        # `minisign -G -W` writes no checksum.
        whole = sealed[72:] == _checksum(sealed[:72]) or (header.kdf == KDF_NONE and sealed[72:] == bytes(32))
        if not whole or key.public.key != sealed[40:72]:
            if header.kdf == KDF_SCRYPT:
                raise VerificationError("the passphrase of the secret key is wrong")
            raise FormatError(_DAMAGED)
        return key

    @property
    def public(self) -> PublicKey:
        return PublicKey(self.key_id, self._expanded[32:])

    def sign(self, message: bytes) -> bytes:
        """The Ed25519 signature (64 bytes) of `message`; always the same one for the same message."""
        return crypto_sign(message, self._expanded)[:64]

    def sign_file(self, data: bytes, trusted_comment: str) -> bytes:
        """The `.minisig` of a file with the bytes `data`; always the same one for the same arguments."""
        signature = self.sign(hashlib.blake2b(data).digest())
        return Signature(
            self.key_id, signature, trusted_comment, self.sign(signature + trusted_comment.encode())
        ).encode()

    def encode(self, passphrase: bytes | None, random: Callable[[int], bytes], cost: ScryptCost = ONLINE_COST) -> bytes:
        """The secret-key file; not encrypted if `passphrase` is None. `random` gives the salt."""
        sealed = self.key_id + self.seed + self.public.key
        sealed += _checksum(sealed)
        if passphrase is None:
            header = _Header(KEY_ALGORITHM, KDF_NONE, CHECKSUM_ALGORITHM, bytes(SALT_SIZE), 0, 0)
        else:
            salt = random(SALT_SIZE)
            header = _Header(KEY_ALGORITHM, KDF_SCRYPT, CHECKSUM_ALGORITHM, salt, cost.operations, cost.memory)
            sealed = _exclusive_or(sealed, passphrase, header)
        return f"{COMMENT}\n{base64.b64encode(_HEADER.pack(*header) + sealed).decode()}\n".encode()


def is_encrypted(data: bytes) -> bool:
    """Whether a secret-key file needs a passphrase; FormatError if it is none."""
    return _parse(data)[0].kdf == KDF_SCRYPT


def _parse(data: bytes) -> tuple[_Header, bytes]:
    lines = data.removesuffix(b"\n").split(b"\n")
    if len(data) > limits.SECRET_KEY_FILE or len(lines) != 2 or not lines[0].startswith(UNTRUSTED_PREFIX.encode()):
        raise FormatError(_DAMAGED)
    try:
        raw = base64.b64decode(lines[1], validate=True)
        header = _Header(*_HEADER.unpack(raw[:-SEALED_SIZE]))
    except (ValueError, struct.error):
        raise FormatError(_DAMAGED) from None
    known = (header.algorithm, header.checksum) == (KEY_ALGORITHM, CHECKSUM_ALGORITHM)
    # A damaged cost could ask for all memory and for years.
    affordable = header.operations <= OFFLINE_COST.operations and header.memory <= OFFLINE_COST.memory
    if not known or not affordable or header.kdf not in {KDF_SCRYPT, KDF_NONE}:
        raise FormatError(_DAMAGED)
    return header, raw[-SEALED_SIZE:]


def _checksum(key: bytes) -> bytes:
    return hashlib.blake2b(KEY_ALGORITHM + key, digest_size=32).digest()


def _exclusive_or(sealed: bytes, passphrase: bytes, header: _Header) -> bytes:
    try:
        stream = nacl.pwhash.scrypt.kdf(SEALED_SIZE, passphrase, header.salt, header.operations, header.memory)
    except ValueError:  # a cost that is none: more operations than fit into that memory
        raise FormatError(_DAMAGED) from None
    return bytes(a ^ b for a, b in zip(sealed, stream, strict=True))
