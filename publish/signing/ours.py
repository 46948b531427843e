"""Recognise what we signed, by our public keys alone: metadata and results files' signatures of this and of earlier releases."""

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from nacl.bindings import crypto_sign_open
from nacl.exceptions import CryptoError
from securesystemslib.exceptions import UnverifiedSignatureError
from tuf.api.serialization import DeserializationError

from publish.signing.repository import tuf_key
from verifier.errors import VerifierError
from verifier.formats import canonical_json
from verifier.formats.minisign import PublicKey
from verifier.results_signature import read_signature
from verifier.tuf_api import Metadata, Targets

__all__ = ["Signed", "read_public_keys", "signature_for", "signed_by"]


class Signed(NamedTuple):
    """Metadata that one of our keys signed: its type in TUF, its version, and what it lists, as path to SHA-256."""

    kind: str
    version: int
    files: dict[str, str]


def read_public_keys(folder: Path) -> tuple[PublicKey, ...]:
    """Every public key in a folder (`keys/public/`), the present ones and those that were replaced."""
    found = []
    for path in sorted(folder.glob("*.pub*")):
        with contextlib.suppress(VerifierError, OSError):
            found.append(PublicKey.parse(path.read_bytes()))
    return tuple(found)


def signed_by(data: bytes, keys: Iterable[PublicKey]) -> Signed | None:
    """What metadata says, if one of `keys` signed it; None for anything else."""
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(data)
        payload = canonical_json.encode(metadata.signed.to_dict())
    except (DeserializationError, VerifierError, ValueError):
        return None
    for key in map(tuf_key, keys):
        if (signature := metadata.signatures.get(key.keyid)) is None:
            continue
        with contextlib.suppress(UnverifiedSignatureError):
            key.verify_signature(signature, payload)
            signed = metadata.signed
            targets = signed.targets if isinstance(signed, Targets) else {}
            files = {path: target.hashes["sha256"] for path, target in targets.items()}
            return Signed(signed.type, signed.version, files)
    return None


def signature_for(data: bytes, path: str, keys: Iterable[PublicKey]) -> str | None:
    """The SHA-256 of the results file `path` that these bytes sign with one of `keys`; None if they do not.

    minisign's second signature covers the first one and the comment with that hash: the file itself is not needed.
    """
    try:
        signature, comment = read_signature(data)
    except VerifierError:
        return None
    message = signature.global_signature + signature.signature + signature.trusted_comment.encode()
    for key in keys:
        if key.key_id == signature.key_id and comment.file == path:
            with contextlib.suppress(CryptoError):
                crypto_sign_open(message, key.key)
                return comment.sha256
    return None
