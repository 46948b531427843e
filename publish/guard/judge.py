"""The guard's judgement: what stands at a place against what belongs there. Pure: no network, no disk, no clock.

What belongs there is what the last release signed. What else may stand there: superseded objects, which earlier metadata with our signatures lists, and
that metadata itself. Anything else was put there by somebody else.
"""

import hashlib
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from publish.signing.ours import signature_for, signed_by
from verifier.formats.minisign import PublicKey

__all__ = [
    "ALTERED",
    "Finding",
    "Listed",
    "Plan",
    "Right",
    "claimed",
    "exit_code",
    "harmless",
    "holds",
    "is_mended",
    "is_mutable",
    "plan",
]

Kind = Literal["object", "alias", "metadata", "package", "timestamp", "hint"]
What = Literal["altered", "deleted", "added", "withheld", "stale", "down", "unfinished"]
ALTERED = frozenset({"altered", "deleted", "added"})
MUTABLE = frozenset({"alias", "timestamp", "hint"})
MARKS = {  # our own, never read by the public; what they may hold, so that nobody else's page stands there
    ".terbit-probe": re.compile(rb"terbit\??\n"),
    ".terbit-lock": re.compile(
        rb'\{"owner":"(?:[^"<>\\]|\\.){1,5000}","run":"[0-9a-f]{1,64}","until":"[0-9TZ:.+-]{1,40}"\}'
    ),
}

_OBJECT = re.compile(r"targets/(?P<folder>(?:[^/]+/)*)(?P<sha256>[0-9a-f]{64})\.(?P<name>[^/]+)")
_METADATA = re.compile(r"metadata/(?P<version>[1-9][0-9]{0,15})\.[a-z0-9-]+\.json")
_ASIDE = re.compile(r"\.\./\.set-aside/(?:[a-z0-9-]+/)?(?P<sha256>[0-9a-f]{64})\.wrong")


class Right(NamedTuple):
    """The bytes that belong at a place: those of the signed file `file` of `role` with this hash, or (`signature`) its minisign signature."""

    kind: Kind
    sha256: str
    length: int
    file: str
    role: str = ""
    signature: bool = False


class Listed(NamedTuple):
    """A file as a place lists it. `tag` changes whenever the file is written, even with the same bytes."""

    length: int
    tag: str


class Finding(msgspec.Struct, frozen=True):
    """What was found `where` (a target's name or a public address), when it was `seen` (UTC), and what was `done` about it."""

    seen: str
    where: str
    path: str
    what: What
    detail: str
    done: str = ""
    sha256: str = ""

    def line(self) -> str:
        tail = f"; {self.done}" if self.done else ""
        return f"{self.seen} {self.what.upper()} {self.where} {self.path}: {self.detail}{tail}"


class Plan(NamedTuple):
    """What a listing leaves to do: what is missing, and what has to be read since nobody has looked at it after it was written."""

    missing: list[str]
    unread: list[str]


def plan(
    right: Mapping[str, Right],
    coming: Container[str],
    listed: Mapping[str, Listed],
    verified: Mapping[str, tuple[str, str]],
) -> Plan:
    """Compare a listing with what belongs there; `verified` has the tag and the hash under which each file was last found good."""
    missing = [path for path in right if path not in listed and path not in coming]
    unread = []
    for path, (_, tag) in listed.items():
        wanted, known = right.get(path), verified.get(path)
        if wanted is None and (match := _OBJECT.fullmatch(path)) and known == (tag, match["sha256"]):
            continue  # it belonged there until a later release superseded it
        if known != (tag, wanted.sha256 if wanted else ""):
            unread.append(path)
    return Plan(missing, unread)


def is_mutable(right: Right | None) -> bool:
    """True if a publisher replaces this, or may be about to make it: while one is at work nothing can be said about it."""
    return right is None or right.kind in MUTABLE


def holds(data: bytes, right: Right, keys: Sequence[PublicKey]) -> bool:
    """True if these are the right bytes."""
    if right.signature:
        return signature_for(data, right.file, keys) == right.sha256
    return len(data) == right.length and hashlib.sha256(data).hexdigest() == right.sha256


def claimed(path: str, sha256: str) -> tuple[str, str] | None:
    """The signed file that a superseded object with this hash says it is, with the hash: to be believed where signed metadata lists both."""
    if (match := _OBJECT.fullmatch(path)) is None or sha256 != match["sha256"]:
        return None
    return match["folder"] + match["name"], match["sha256"]


def harmless(path: str, data: bytes, keys: Sequence[PublicKey]) -> bool:
    """True if a file that the last release does not know proves itself: an earlier signature or metadata of ours, our own marks."""
    if match := _OBJECT.fullmatch(path):
        name = match["folder"] + match["name"]
        return name.endswith(".minisig") and signature_for(data, name.removesuffix(".minisig"), keys) == match["sha256"]
    if match := _METADATA.fullmatch(path):
        signed = signed_by(data, keys)
        return signed is not None and signed.version == int(match["version"])
    if match := _ASIDE.fullmatch(path):
        return hashlib.sha256(data).hexdigest() == match["sha256"]
    return path in MARKS and MARKS[path].fullmatch(data) is not None


def is_mended(finding: Finding) -> bool:
    """True if nothing of it is left."""
    return finding.done.startswith(("put back", "removed"))


def exit_code(findings: Iterable[Finding]) -> int:
    """0 nothing, 4 something is not what was published, 1 a place did not answer or a release is unfinished there, 5 only stale copies."""
    kinds = {finding.what for finding in findings}
    if kinds & ALTERED:
        return 4
    if kinds & {"down", "unfinished"}:
        return 1
    return 5 if "stale" in kinds else 0
