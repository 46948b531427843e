"""Cosignatures: a witness says that it saw this checkpoint follow all that it saw before of the same log.

Format: C2SP tlog-cosignature (https://c2sp.org/tlog-cosignature), the Ed25519 type, cosignature/v1.
"""

import struct
from collections.abc import Callable

from verifier.errors import FormatError, VerificationError
from verifier.formats.checkpoint import Checkpoint, SignedCheckpoint
from verifier.formats.note import COSIGNATURE_V1, SignatureLine, VerifierKey, check_ed25519

__all__ = ["cosign", "cosigned_at"]

_TIME = struct.Struct(">Q")


def _message(checkpoint: Checkpoint, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{checkpoint.encode()}".encode()


def cosign(checkpoint: Checkpoint, key: VerifierKey, time: int, ed25519: Callable[[bytes], bytes]) -> SignatureLine:
    """The witness's line at `time` (Unix seconds); `ed25519(message)` signs with the secret half of `key`.

    To be called only after consistency with every earlier checkpoint was proved and this one is stored durably.
    """
    if key.kind != COSIGNATURE_V1 or not 0 < time < 2**63:
        raise FormatError(f"{key.name} must have a key of type {COSIGNATURE_V1:#04x} and a time after 1970 to cosign")
    return SignatureLine(key.name, key.key_id, _TIME.pack(time) + ed25519(_message(checkpoint, time)))


def cosigned_at(signed: SignedCheckpoint, key: VerifierKey) -> int | None:
    """When `key` last cosigned the checkpoint (Unix seconds, as the witness says); None if it did not.

    A line of its that does not hold spoils the whole checkpoint: VerificationError. A key of a type that we cannot
    verify never cosigned.
    """
    if key.kind != COSIGNATURE_V1:
        return None
    times = []
    for line in signed.note.lines_of(key):
        if len(line.signature) <= _TIME.size:
            raise VerificationError(f"a cosignature by {key.name} is too short")
        (time,) = _TIME.unpack_from(line.signature)
        if time >= 2**63:
            raise VerificationError(f"a cosignature by {key.name} has a time beyond 2^63 - 1")
        check_ed25519(key, _message(signed.checkpoint, time), line.signature[_TIME.size :])
        times.append(time)
    return max(times, default=None)
