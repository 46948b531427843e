"""Single fields of TUF metadata (TUF specification 1.0, 4) that was verified when it came, or that we signed ourselves.

Nothing is verified here, and python-tuf is not needed: it would check the whole document again.
"""

import msgspec

from verifier.errors import FormatError

__all__ = ["SignedFields", "listed_targets", "signed_fields"]


class _Hashes(msgspec.Struct, frozen=True):
    sha256: str


class _TargetFile(msgspec.Struct, frozen=True):
    length: int
    hashes: _Hashes


class _MetaFile(msgspec.Struct, frozen=True):
    version: int


class SignedFields(msgspec.Struct, frozen=True):
    """`targets` of a role that lists files, by path; `meta` of a snapshot or timestamp, by file name; `expires` as `2026-11-21T05:00:00Z`."""

    version: int
    expires: str
    targets: dict[str, _TargetFile] = {}
    meta: dict[str, _MetaFile] = {}


class _Metadata(msgspec.Struct, frozen=True):
    signed: SignedFields


_decode = msgspec.json.Decoder(_Metadata).decode


def signed_fields(data: bytes) -> SignedFields:
    """The signed part of any metadata. FormatError if it is none."""
    try:
        return _decode(data).signed
    except (ValueError, RecursionError) as error:
        raise FormatError(f"this is no TUF metadata: {error}") from None


def listed_targets(data: bytes) -> dict[str, tuple[int, str]]:
    """Length and SHA-256 of each file that a role lists, by path. FormatError if it is no metadata."""
    return {path: (one.length, one.hashes.sha256) for path, one in signed_fields(data).targets.items()}
