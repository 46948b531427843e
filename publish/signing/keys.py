"""Files of secret keys: minisign's, which only their owner may read.

A key is an Ed25519 key with minisign's key id (verifier.formats.minisign_secret). The same file signs with Terbit and with stock `minisign -S`.
"""

import os
from collections.abc import Callable
from pathlib import Path

from builder.durable import sync_directory
from publish import limits
from publish.errors import KeyFileError
from verifier.errors import FormatError, VerificationError
from verifier.formats import minisign_secret
from verifier.formats.minisign_secret import OFFLINE_COST, ONLINE_COST, ScryptCost, SecretKey

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


def write_secret_key(
    path: Path, key: SecretKey, passphrase: bytes | None, cost: ScryptCost, random: Callable[[int], bytes]
) -> None:
    """Write a minisign secret-key file that only its owner may read. An existing file is never touched.

    `passphrase` None leaves the key unencrypted. `random` gives the salt.

    Raises:
        KeyFileError: the file is there already, or cannot be written.
    """
    data = key.encode(passphrase, random, cost)
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
    data = _read_key_file(path)
    try:
        return SecretKey.parse(data, passphrase)
    except VerificationError as error:
        if passphrase is None:
            raise KeyFileError(f"{path} is encrypted: give its passphrase with --passphrase-file FILE") from error
        raise KeyFileError(f"wrong passphrase for {path}") from error
    except FormatError:
        raise _damaged(path) from None


def is_encrypted(path: Path) -> bool:
    """True if the secret-key file needs a passphrase. KeyFileError as `read_secret_key`."""
    return minisign_secret.is_encrypted(_read_key_file(path))


def read_secret_file(path: Path) -> bytes:
    """Bytes of a small file that holds a secret. KeyFileError if it cannot be read or others may read it."""
    data, mode = _read(path)
    _check_private(path, mode)
    return data


def _read_key_file(path: Path) -> bytes:
    """Bytes of a secret-key file. What is no key holds no secret: nobody is told to change who may read it."""
    data, mode = _read(path)
    if path.suffix == ".pub":
        raise KeyFileError(f"{path} is a public key; name the secret one that belongs to it")
    try:
        minisign_secret.is_encrypted(data)
    except FormatError:
        raise _damaged(path) from None
    _check_private(path, mode)
    return data


def _read(path: Path) -> tuple[bytes, int]:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(limits.SECRET_KEY_FILE + 1)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > limits.SECRET_KEY_FILE:
        raise KeyFileError(f"{path} is too big for a secret (at most {limits.SECRET_KEY_FILE} bytes)")
    return data, mode


def _check_private(path: Path, mode: int) -> None:
    if mode & 0o077:
        raise KeyFileError(f"{path} may be read by others on this machine; run: chmod 600 '{path}'")


def _damaged(path: Path) -> KeyFileError:
    return KeyFileError(f"{path} is not a minisign secret key, or it is damaged; restore it from your backup")
