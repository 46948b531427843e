"""The minisign signature of one results file, and the keys that may have made it (docs/formats.md, "Signature of one
results file"). The key signs the bytes and the trusted comment; the comment must say what the JSON says, so that a
valid file cannot stand in for another area, election or release."""

import hashlib
from dataclasses import dataclass
from typing import Self

import msgspec

from verifier.errors import FormatError, VerificationError
from verifier.formats import strict_json
from verifier.formats.minisign import PublicKey, Signature, TrustedComment, verify

__all__ = ["MinisignKeys", "check_results", "read_signature", "results_path"]

RESULTS_FORMAT = "terbit-results-1"
KEYS_FORMAT = "terbit-minisign-1"


class _KeyEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    first: int = msgspec.field(name="from")
    last: int | None = msgspec.field(name="to")
    public: str


class _KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    keys: list[_KeyEntry]


class _ResultsHead(msgspec.Struct, frozen=True):
    """The part of a results file that its trusted comment repeats."""

    format: str
    election: str
    path: str
    release: int


@dataclass(frozen=True)
class MinisignKeys:
    """Which key signs the files of which releases: (first, last or None, key), the ranges apart from each other."""

    ranges: tuple[tuple[int, int | None, PublicKey], ...]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read `trust/minisign.json`; FormatError if it is anything but that."""
        what = "trust/minisign.json"
        try:
            file = msgspec.convert(strict_json.loads(data, what), _KeyFile)
        except msgspec.ValidationError as error:
            raise FormatError(f"{what}: {error}") from None
        if file.format != KEYS_FORMAT:
            raise FormatError(f"{what} has format {file.format!r}; this version reads {KEYS_FORMAT}")
        return cls(tuple((entry.first, entry.last, PublicKey.parse(entry.public)) for entry in file.keys))

    def for_release(self, release: int) -> PublicKey:
        """The key for the files of `release`; VerificationError if none, or more than one, is appointed."""
        keys = [key for first, last, key in self.ranges if first <= release and (last is None or release <= last)]
        if len(keys) != 1:
            raise VerificationError(f"trust/minisign.json names {len(keys)} keys for release {release}, expected one")
        return keys[0]


def read_signature(data: bytes) -> tuple[Signature, TrustedComment]:
    """Parse a `.minisig` and its trusted comment. Nothing is verified yet, the comment's words included."""
    signature = Signature.parse(data)
    return signature, TrustedComment.parse(signature.trusted_comment)


def check_results(data: bytes, signature: Signature, comment: TrustedComment, key: PublicKey) -> None:
    """Return if `key` signed `data`, and the trusted comment says what the JSON in it says.

    VerificationError where they differ, FormatError if a correctly signed file is not a results file.
    """
    verify(key, data, signature)
    head = _read_head(data)
    for name, signed, written in (
        ("sha256", comment.sha256, hashlib.sha256(data).hexdigest()),
        ("file", comment.file, head.path),
        ("election", comment.election, head.election),
        ("release", comment.release, head.release),
    ):
        if signed != written:
            raise VerificationError(f"its signature is for {name} {signed}, but the file says {written}")


def results_path(data: bytes) -> str:
    """The path that a results file, whose bytes are not verified, says it has; FormatError if it is none."""
    return _read_head(data).path


def _read_head(data: bytes) -> _ResultsHead:
    try:
        head = msgspec.convert(strict_json.loads(data, "the results file"), _ResultsHead)
    except msgspec.ValidationError as error:
        raise FormatError(f"the results file: {error}") from None
    if head.format != RESULTS_FORMAT:
        raise FormatError(f"the results file has format {head.format!r}; this version reads {RESULTS_FORMAT}")
    return head
