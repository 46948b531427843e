"""Secret keys: minisign's key files, and the signatures that Terbit makes with them.

A key is an Ed25519 key with minisign's key id. The same file signs with Terbit and with stock `minisign -S`.
Format: https://jedisct1.github.io/minisign/ ("Secret key format").
"""

import base64
import hashlib
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self

import nacl.pwhash.scrypt
from nacl.bindings import crypto_sign, crypto_sign_seed_keypair

from builder.durable import sync_directory
from publish import limits
from publish.errors import KeyFileError
from verifier.formats import minisign

__all__ = [
    "OFFLINE_COST",
    "ONLINE_COST",
    "ScryptCost",
    "SecretKey",
    "is_encrypted",
    "read_secret_file",
    "read_secret_key",
    "write_secret_key",
]

KDF_SCRYPT = b"Sc"
KDF_NONE = b"\0\0"
CHECKSUM_ALGORITHM = b"B2"
SALT_SIZE = 32
HEADER = struct.Struct("<2s2s2s32sQQ")  # algorithms of signature, kdf and checksum; salt, operations, memory
SEALED_SIZE = 8 + 64 + 32  # key id, seed and public key, checksum: what the passphrase encrypts
COMMENT = "untrusted comment: minisign encrypted secret key"


@dataclass(frozen=True)
class SecretKey:
    """An Ed25519 key: minisign's key id (8 bytes) and the seed (32 bytes). Its repr shows no secret."""

    key_id: bytes
    seed: bytes = field(repr=False)
    _expanded: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.key_id) != minisign.KEY_ID_SIZE or len(self.seed) != minisign.KEY_SIZE:
            raise KeyFileError("a secret key has 8 bytes of key id and a seed of 32")
        object.__setattr__(self, "_expanded", crypto_sign_seed_keypair(self.seed)[1])

    @classmethod
    def generate(cls, random: Callable[[int], bytes]) -> Self:
        """A new key from `random(number of bytes)`, which must be `os.urandom` or as good."""
        return cls(key_id=random(minisign.KEY_ID_SIZE), seed=random(minisign.KEY_SIZE))

    @property
    def public(self) -> minisign.PublicKey:
        return minisign.PublicKey(self.key_id, self._expanded[32:])

    def sign(self, message: bytes) -> bytes:
        """The Ed25519 signature (64 bytes) of `message`; always the same one for the same message."""
        return crypto_sign(message, self._expanded)[:64]

    def sign_file(self, data: bytes, trusted_comment: str) -> bytes:
        """The `.minisig` of a file with the bytes `data`; always the same one for the same arguments."""
        signature = self.sign(hashlib.blake2b(data).digest())
        return minisign.Signature(
            self.key_id, signature, trusted_comment, self.sign(signature + trusted_comment.encode())
        ).encode()


@dataclass(frozen=True)
class ScryptCost:
    """What one guess at a passphrase costs: libsodium's opslimit, and memory in bytes. It stands in the key file."""

    operations: int
    memory: int


# minisign's own strength: some seconds and 1 GiB. For keys that are opened a few times a year.
OFFLINE_COST = ScryptCost(nacl.pwhash.scrypt.OPSLIMIT_SENSITIVE, nacl.pwhash.scrypt.MEMLIMIT_SENSITIVE)
# A twentieth of a second and 16 MiB. For keys that are opened every few minutes on election night.
ONLINE_COST = ScryptCost(nacl.pwhash.scrypt.OPSLIMIT_INTERACTIVE, nacl.pwhash.scrypt.MEMLIMIT_INTERACTIVE)


def write_secret_key(
    path: Path, key: SecretKey, passphrase: bytes | None, cost: ScryptCost, random: Callable[[int], bytes]
) -> None:
    """Write a minisign secret-key file that only its owner may read. An existing file is never touched.

    `passphrase` None leaves the key unencrypted. `random` gives the salt.

    Raises:
        KeyFileError: the file is there already, or cannot be written.
    """
    data = _encode(key, passphrase, cost, random)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeyFileError(f"{path} is there already, and a key is never overwritten; move it away first") from None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)  # whatever the umask
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        path.unlink()  # ours, and not whole
        raise
    sync_directory(path.parent)


def read_secret_key(path: Path, passphrase: bytes | None) -> SecretKey:
    """Read a minisign secret-key file, Terbit's or `minisign -G`'s. An unencrypted key needs no passphrase.

    Raises:
        KeyFileError: others may read the file, it is damaged, or the passphrase is missing or wrong.
    """
    return _decode(read_secret_file(path), passphrase, path)


def is_encrypted(path: Path) -> bool:
    """True if the secret-key file needs a passphrase. KeyFileError as `read_secret_key`."""
    return _parse(read_secret_file(path), path)[0].kdf == KDF_SCRYPT


def read_secret_file(path: Path) -> bytes:
    """Bytes of a small file that holds a secret. KeyFileError if it cannot be read or others may read it."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(limits.SECRET_KEY_FILE + 1)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from error
    if mode & 0o077:
        raise KeyFileError(f"{path} may be read by others on this machine; run: chmod 600 '{path}'")
    if len(data) > limits.SECRET_KEY_FILE:
        raise KeyFileError(f"{path} is too big for a secret (at most {limits.SECRET_KEY_FILE} bytes)")
    return data


def _encode(key: SecretKey, passphrase: bytes | None, cost: ScryptCost, random: Callable[[int], bytes]) -> bytes:
    expanded = key.seed + key.public.key
    sealed = key.key_id + expanded + _checksum(key.key_id + expanded)
    if passphrase is None:
        header = HEADER.pack(minisign.KEY_ALGORITHM, KDF_NONE, CHECKSUM_ALGORITHM, bytes(SALT_SIZE), 0, 0)
    else:
        salt = random(SALT_SIZE)
        sealed = _exclusive_or(sealed, _stretch(passphrase, salt, cost))
        header = HEADER.pack(minisign.KEY_ALGORITHM, KDF_SCRYPT, CHECKSUM_ALGORITHM, salt, cost.operations, cost.memory)
    return f"{COMMENT}\n{base64.b64encode(header + sealed).decode()}\n".encode()


class _Header(NamedTuple):
    """What stands before the sealed part of a key file."""

    algorithm: bytes
    kdf: bytes
    checksum: bytes
    salt: bytes
    operations: int
    memory: int


def _parse(data: bytes, path: Path) -> tuple[_Header, bytes]:
    """Header and sealed part of a key file, still closed."""
    lines = data.removesuffix(b"\n").split(b"\n")
    if len(lines) != 2 or not lines[0].startswith(b"untrusted comment: "):
        raise _damaged(path)
    try:
        raw = base64.b64decode(lines[1], validate=True)
        header = _Header(*HEADER.unpack(raw[:-SEALED_SIZE]))
    except (ValueError, struct.error):
        raise _damaged(path) from None
    if (header.algorithm, header.checksum) != (minisign.KEY_ALGORITHM, CHECKSUM_ALGORITHM):
        raise _damaged(path)
    # A damaged cost could ask for all memory and for years.
    if header.operations > OFFLINE_COST.operations or header.memory > OFFLINE_COST.memory:
        raise _damaged(path)
    if header.kdf not in {KDF_SCRYPT, KDF_NONE}:
        raise _damaged(path)
    return header, raw[-SEALED_SIZE:]


def _decode(data: bytes, passphrase: bytes | None, path: Path) -> SecretKey:
    header, sealed = _parse(data, path)
    encrypted = header.kdf == KDF_SCRYPT
    if encrypted:
        if passphrase is None:
            raise KeyFileError(f"{path} is encrypted: give its passphrase with --passphrase-file FILE")
        cost = ScryptCost(header.operations, header.memory)
        sealed = _exclusive_or(sealed, _stretch(passphrase, header.salt, cost))
    key = SecretKey(key_id=sealed[:8], seed=sealed[8:40])
    # `minisign -G -W` writes no checksum.
    whole = sealed[72:] == _checksum(sealed[:72]) or (not encrypted and sealed[72:] == bytes(32))
    if not whole or key.public.key != sealed[40:72]:
        raise KeyFileError(f"wrong passphrase for {path}") if encrypted else _damaged(path)
    return key


def _damaged(path: Path) -> KeyFileError:
    return KeyFileError(f"{path} is not a minisign secret key, or it is damaged; restore it from your backup")


def _checksum(key: bytes) -> bytes:
    return hashlib.blake2b(minisign.KEY_ALGORITHM + key, digest_size=32).digest()


def _stretch(passphrase: bytes, salt: bytes, cost: ScryptCost) -> bytes:
    return nacl.pwhash.scrypt.kdf(SEALED_SIZE, passphrase, salt, cost.operations, cost.memory)


def _exclusive_or(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))
