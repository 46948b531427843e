"""`allowed_signers`: which officials' keys speak for which areas, when.

Source: ssh-keygen(1), "ALLOWED SIGNERS"; narrower than OpenSSH: docs/formats.md, "Officials".
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Self

from verifier import limits
from verifier.errors import FormatError
from verifier.formats.encoding import decode_text
from verifier.formats.sshsig import SshKey

__all__ = ["AllowedSigner", "AllowedSigners"]

_AREA = re.compile(r"-?[0-9a-z]{1,20}")
_NAMESPACES = re.compile(r"[0-9A-Za-z@._-]{1,128}(,[0-9A-Za-z@._-]{1,128}){0,7}")
_LINE = re.compile(
    r'(?P<areas>[^ ]+) namespaces="(?P<namespaces>[^" ]+)"'
    r'(?:,valid-after="(?P<after>[^" ]+)")?(?:,valid-before="(?P<before>[^" ]+)")?'
    r" (?P<kind>[^ ]+) (?P<key>[^ ]+)(?: (?P<comment>.+))?"
)
_TIME = re.compile(r"[1-9][0-9]{13}Z")


@dataclass(frozen=True)
class AllowedSigner:
    """One line: `key` speaks for each of `areas`, in `namespaces`, from `after` to `before`, both included (None: no bound)."""

    areas: tuple[str, ...]
    namespaces: tuple[str, ...]
    after: datetime | None
    before: datetime | None
    key: SshKey
    comment: str = ""

    def __post_init__(self) -> None:
        if any(_AREA.fullmatch(area) is None for area in self.areas):
            raise FormatError("principals are area codes, separated by commas, without wildcards")
        if len({*self.areas}) != len(self.areas) or not 1 <= len(self.areas) <= limits.ALLOWED_SIGNERS_AREAS_COUNT:
            raise FormatError(f"principals are 1 to {limits.ALLOWED_SIGNERS_AREAS_COUNT} area codes, each once")
        if _NAMESPACES.fullmatch(",".join(self.namespaces)) is None:
            raise FormatError("namespaces are names separated by commas, without wildcards")
        if self.after and self.before and self.after > self.before:
            raise FormatError("valid-after lies after valid-before: this key is never valid")

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read a line as `encode` spells it; FormatError for anything else."""
        found = _LINE.fullmatch(line)
        if found is None:
            raise FormatError(
                'must be: AREA[,AREA…] namespaces="…"[,valid-after="…"][,valid-before="…"] TYPE KEY [COMMENT], one space between'
            )
        areas, namespaces = found["areas"].split(","), found["namespaces"].split(",")
        key = SshKey.parse_text(found["kind"], found["key"])
        times = (_parse_time(found["after"]), _parse_time(found["before"]))
        return cls(tuple(areas), tuple(namespaces), *times, key, found["comment"] or "")

    def encode(self) -> str:
        """The line, without LF."""
        options = [f'namespaces="{",".join(self.namespaces)}"']
        options += [f'valid-after="{_spell_time(self.after)}"'] if self.after else []
        options += [f'valid-before="{_spell_time(self.before)}"'] if self.before else []
        words = [",".join(self.areas), ",".join(options), self.key.kind, self.key.text]
        return " ".join([*words, self.comment] if self.comment else words)

    def is_valid(self, time: datetime) -> bool:
        """Whether the key counts at `time`; as in OpenSSH, both bounds still do."""
        return not (self.after and time < self.after) and not (self.before and time > self.before)


@dataclass(frozen=True)
class AllowedSigners:
    """The whole file, in its order. A key may stand in several lines, for other areas or times."""

    signers: tuple[AllowedSigner, ...]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read the file; empty lines and those that begin with `#` count for nothing. FormatError, with the line's number."""
        text = decode_text(data, limits.ALLOWED_SIGNERS_FILE, "allowed_signers")
        if text and not text.endswith("\n"):
            raise FormatError("allowed_signers: the last line has no LF; the file may be cut off")
        return cls(tuple(_parse_lines(text)))

    def encode(self) -> bytes:
        return "".join(f"{signer.encode()}\n" for signer in self.signers).encode()

    def of_key(self, key: SshKey) -> tuple[AllowedSigner, ...]:
        """The lines that name a key."""
        return self._by_key.get(key, ())

    @cached_property
    def _by_key(self) -> dict[SshKey, tuple[AllowedSigner, ...]]:
        found: dict[SshKey, list[AllowedSigner]] = {}
        for signer in self.signers:
            found.setdefault(signer.key, []).append(signer)
        return {key: tuple(lines) for key, lines in found.items()}


def _parse_lines(text: str) -> Iterator[AllowedSigner]:
    seen: set[str] = set()
    for number, line in enumerate(text.split("\n"), 1):
        if not line or line.startswith("#"):
            continue
        if line in seen:
            raise FormatError(f"allowed_signers, line {number}: stands on an earlier line too")
        seen.add(line)
        try:
            signer = AllowedSigner.parse(line)
        except FormatError as error:
            raise FormatError(f"allowed_signers, line {number}: {error}") from None
        yield signer


def _parse_time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        if _TIME.fullmatch(text):
            return datetime.fromisoformat(f"{text[:8]}T{text[8:]}")
    except ValueError:
        pass
    raise FormatError(f"{text[:30]!r} is not a time of the form 20290214000000Z (UTC)")


def _spell_time(time: datetime) -> str:
    return f"{time:%Y%m%d%H%M%SZ}"
