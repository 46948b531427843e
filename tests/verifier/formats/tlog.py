"""What the tests of the log's formats share: the vectors of tests/vectors/tlog, keys, and a log in memory."""

import base64
import contextlib
import hashlib
import json
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from verifier.errors import FormatError, VerificationError
from verifier.formats.checkpoint import Checkpoint, SignedCheckpoint
from verifier.formats.note import COSIGNATURE_V1, ED25519, VerifierKey, sign
from verifier.formats.tiles import RightEdge

VECTORS = Path(__file__).parents[2] / "vectors" / "tlog"
ORIGIN = "hasil.example/pemilu-2019/log"


def vectors(name: str, part: str | None = None):
    """Parametrize `vector` with the cases of one file."""
    cases = json.loads((VECTORS / f"{name}.json").read_bytes())
    cases = cases[part] if part else cases
    return pytest.mark.parametrize("vector", cases, ids=lambda case: case.get("name") or repr(case["path"]))


def expecting(expect: str):
    """The class of failure that a vector names; nothing is raised for any other word."""
    failure = {"format": FormatError, "verification": VerificationError}.get(expect)
    return pytest.raises(failure) if failure else contextlib.nullcontext()


def decode(vector: dict, name: str) -> bytes:
    return base64.b64decode(vector[f"{name}_base64"], validate=True)


def signer(number: int):
    """`ed25519(message)` of a fixed key."""
    key = SigningKey(bytes([number]) * 32)
    return lambda message: key.sign(message).signature


def verifier_key(number: int, name: str = ORIGIN, kind: int = ED25519) -> VerifierKey:
    return VerifierKey(name, kind, bytes(SigningKey(bytes([number]) * 32).verify_key))


LOG = verifier_key(1)
WITNESS = verifier_key(10, "witness.example/w", COSIGNATURE_V1)


def signed(checkpoint: Checkpoint) -> SignedCheckpoint:
    return SignedCheckpoint(checkpoint, (sign(checkpoint.encode(), LOG, signer(1)),))


def entries(count: int, start: int = 0) -> list[bytes]:
    return [f"entri {number}".encode() for number in range(start, start + count)]


def grown(*counts: int) -> tuple[RightEdge, dict[str, bytes]]:
    """A log after appends of so many entries each, and all its files."""
    edge, files = RightEdge(), {}
    for count in counts:
        edge, new = edge.append(entries(count, edge.size))
        files.update(new)
    return edge, files


def naive_root(hashes: list[bytes]) -> bytes:
    """MTH as RFC 6962, section 2.1, writes it down, from leaf hashes."""
    if len(hashes) <= 1:
        return hashes[0] if hashes else hashlib.sha256(b"").digest()
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return hashlib.sha256(b"\x01" + naive_root(hashes[:split]) + naive_root(hashes[split:])).digest()
