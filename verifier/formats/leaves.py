"""The log's entries: typed leaves and their one canonical text each.

Format: docs/formats.md, "Log", "Entries". Hashes, numbers and codes only, so that what they stand for can be withheld.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, NamedTuple, get_type_hints

from verifier import limits
from verifier.errors import FormatError
from verifier.formats.encoding import decode_decimal

__all__ = ["CHANGED", "FULL", "Inputs", "Leaf", "Package", "Redacted", "Refused", "Release", "Root", "parse_leaf"]

NONE = "none"
CHANGED, FULL = "changed", "full"


class _Line(NamedTuple):
    """How a field's value is spelt, and how it is read."""

    pattern: str
    read: Callable[[str], Any] = str


def _text_or_none(text: str) -> str | None:
    return None if text == NONE else text


def _number(text: str) -> int:
    return decode_decimal(text, "a log entry's number")


_HASH = r"[0-9a-f]{64}"
_CODE = r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*"
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"

Hash = Annotated[str, _Line(_HASH)]
HashOrNone = Annotated[str | None, _Line(rf"{_HASH}|{NONE}", _text_or_none)]
Number = Annotated[int, _Line(r"0|[1-9][0-9]{0,18}", _number)]
Positive = Annotated[int, _Line(r"[1-9][0-9]{0,18}", _number)]
Codes = Annotated[tuple[str, ...], _Line(rf"{_CODE}(?: {_CODE})*", lambda text: tuple(text.split(" ")))]
Time = Annotated[str, _Line(_TIME)]
TimeOrNone = Annotated[str | None, _Line(rf"{_TIME}|{NONE}", _text_or_none)]
Packs = Annotated[str, _Line(f"{CHANGED}|{FULL}")]
Version = Annotated[str, _Line(r"[0-9A-Za-z.+-]{1,64}")]
SnapshotName = Annotated[str, _Line(r"[1-9][0-9]{0,18}\.snapshot\.json")]
RootName = Annotated[str, _Line(r"[1-9][0-9]{0,18}\.root\.json")]


@dataclass(frozen=True)
class Leaf:
    """One log entry. A kind's fields, in their order, are the entry's lines after its first."""

    KIND: ClassVar[str]
    LINES: ClassVar[dict[str, _Line]]

    def __init_subclass__(cls) -> None:
        hints = get_type_hints(cls, include_extras=True)
        cls.LINES = {name: hint.__metadata__[0] for name, hint in hints.items() if hasattr(hint, "__metadata__")}

    def __post_init__(self) -> None:
        for name, line in self.LINES.items():
            if re.fullmatch(line.pattern, _spell(getattr(self, name))) is None:
                raise FormatError(f"the {name} of a log entry “{self.KIND}” is not what the format says")
        if len(self.encode()) > limits.LOG_ENTRY:
            raise FormatError(f"a log entry has at most {limits.LOG_ENTRY} bytes")

    def encode(self) -> bytes:
        """The entry's bytes."""
        lines = [f"terbit-{self.KIND}-1", *(f"{name} {_spell(getattr(self, name))}" for name in self.LINES)]
        return "".join(f"{line}\n" for line in lines).encode("ascii")


def _check_time(time: str | None) -> None:
    try:
        datetime.fromisoformat(time or "1970-01-01T00:00:00Z")
    except ValueError:
        raise FormatError("a log entry's time is not in the calendar") from None


def _spell(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(value)
    return NONE if value is None else str(value)


@dataclass(frozen=True)
class Package(Leaf):
    """A package was accepted: its name, the hashes of its signature and signer, and when it was judged (None: the operator vouches)."""

    KIND = "package"
    package: Hash
    signature: HashOrNone
    signer: HashOrNone
    received: TimeOrNone = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_time(self.received)


@dataclass(frozen=True)
class Refused(Leaf):
    """A package was refused: its hash, those of its signature and (if that verifies) its signer, the rules it broke."""

    KIND = "refused"
    package: Hash
    signature: HashOrNone
    signer: HashOrNone
    rules: Codes

    def __post_init__(self) -> None:
        super().__post_init__()
        if list(self.rules) != sorted(set(self.rules)) or len(self.rules) > limits.LOG_RULES_COUNT:
            raise FormatError(f"a log entry's rules must be sorted, each once, at most {limits.LOG_RULES_COUNT}")


@dataclass(frozen=True)
class Inputs(Leaf):
    """A cut was made: all that release `release` is a function of, beside the log's first `packages` packages. `packs` tells what its packs hold."""

    KIND = "inputs"
    release: Positive
    time: Time
    packages: Number
    definition: Hash
    content: Hash
    templates: Hash
    trust: Hash
    signers: HashOrNone
    builder: Version
    results: Number
    packs: Packs = CHANGED

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_time(self.time)


@dataclass(frozen=True)
class Release(Leaf):
    """A release was signed: its snapshot's name `<release>.snapshot.json`, length in bytes and SHA-256."""

    KIND = "release"
    file: SnapshotName
    length: Number
    sha256: Hash


@dataclass(frozen=True)
class Root(Leaf):
    """A root was put in force: its name `<version>.root.json`, length in bytes and SHA-256."""

    KIND = "root"
    file: RootName
    length: Number
    sha256: Hash


@dataclass(frozen=True)
class Redacted(Leaf):
    """A file of a package is withheld: hashes of the package, the file, and the text of the order that demands it."""

    KIND = "redacted"
    package: Hash
    file: Hash
    authority: Hash


_KINDS: dict[str, type[Leaf]] = {
    f"terbit-{kind.KIND}-1": kind for kind in (Package, Refused, Inputs, Release, Root, Redacted)
}


def parse_leaf(data: bytes) -> Leaf:
    """The leaf whose bytes are exactly `data`; FormatError for anything else, an unknown kind or version included."""
    if len(data) > limits.LOG_ENTRY or not data.isascii():
        raise FormatError(f"a log entry must be ASCII text of at most {limits.LOG_ENTRY} bytes")
    first, *rest = data.decode("ascii").split("\n")
    kind = _KINDS.get(first)
    if kind is None:
        raise FormatError("a log entry is of a kind or version that this program does not know; a newer one may")
    if len(rest) != len(kind.LINES) + 1:
        raise FormatError(
            f"a log entry “{kind.KIND}” must have {len(kind.LINES)} lines after its first, each ended by LF"
        )
    leaf = kind(*(line.read(text.partition(" ")[2]) for line, text in zip(kind.LINES.values(), rest, strict=False)))
    if leaf.encode() != data:
        raise FormatError(f"a log entry “{kind.KIND}” is not in its canonical form")
    return leaf
