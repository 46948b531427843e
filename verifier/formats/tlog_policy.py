"""Trust policies: which logs we accept, which witnesses we know, and how many of them must have seen a checkpoint.

Format: C2SP tlog-policy (https://c2sp.org/tlog-policy). Names are opaque octets there; here they are text in which
octets that are not UTF-8 are surrogate escapes.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self

from verifier import limits
from verifier.errors import FormatError, VerificationError
from verifier.formats.checkpoint import SignedCheckpoint, check_log_signature
from verifier.formats.cosignature import cosigned_at
from verifier.formats.note import COSIGNATURE_V1, ED25519, VerifierKey

__all__ = ["Group", "Log", "Policy", "Witness"]

NONE = "none"
_CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_THRESHOLD = re.compile(r"[1-9][0-9]{0,3}")


@dataclass(frozen=True)
class Log:
    """A log: its key, whose name is the log's origin, and where it is read."""

    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True)
class Witness:
    """A witness: its `name` in this policy, its key, and where it is asked."""

    name: str
    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True)
class Group:
    """Has seen a checkpoint when at least `threshold` of its `members` (witnesses or groups) have."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """A whole policy. `groups` come after what they name; `quorum` is None where no cosignature is required."""

    logs: tuple[Log, ...]
    witnesses: tuple[Witness, ...]
    groups: tuple[Group, ...]
    quorum: str | None

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a policy file; FormatError, with the line's number, for what the specification does not allow."""
        if len(data) > limits.LOG_POLICY_FILE or _CONTROL.search(data) or (data and not data.endswith(b"\n")):
            raise FormatError(
                f"a policy must be at most {limits.LOG_POLICY_FILE} bytes of lines, each ended by LF, without control characters"
            )
        reader = _Reader()
        for number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), start=1):
            words = re.split(r"[ \t]+", line.strip(" \t"))
            if words[0] and not words[0].startswith("#"):
                try:
                    reader.take(words)
                except FormatError as error:
                    raise FormatError(f"the policy's line {number}: {error}") from None
        if reader.quorum is None:
            raise FormatError("a policy must have a line “quorum”; where no witness is asked for: quorum none")
        quorum = None if reader.quorum == NONE else reader.quorum
        return cls(tuple(reader.logs), tuple(reader.witnesses), tuple(reader.groups), quorum)

    def encode(self) -> bytes:
        """The policy without comments, in our own spelling."""
        lines = [
            *(f"log {log.key.encode()} {log.url or ''}" for log in self.logs),
            *(f"witness {one.name} {one.key.encode()} {one.url or ''}" for one in self.witnesses),
            *(f"group {group.name} {group.threshold} {' '.join(group.members)}" for group in self.groups),
            f"quorum {self.quorum or NONE}",
        ]
        return "".join(f"{line.rstrip(' ')}\n" for line in lines).encode("utf-8", "surrogateescape")

    def holds(self, witnessed: Collection[str]) -> bool:
        """Whether the witnesses named in `witnessed` are a quorum."""
        seen = {witness.name for witness in self.witnesses} & set(witnessed)
        for group in self.groups:
            if len(seen & set(group.members)) >= group.threshold:
                seen.add(group.name)
        return self.quorum is None or self.quorum in seen

    def witnessed(self, signed: SignedCheckpoint) -> Mapping[str, int]:
        """Which witnesses cosigned, and when (Unix seconds, as each says).

        VerificationError unless a log of this policy signed the checkpoint, and every signature by a known key holds.
        """
        origin = signed.checkpoint.origin
        logs = [log for log in self.logs if log.key.name == origin and signed.note.lines_of(log.key)]
        if not logs:
            raise VerificationError(f"the checkpoint of {origin} is not signed by any log that the policy knows")
        for log in logs:
            check_log_signature(signed, log.key)
        times = {witness.name: cosigned_at(signed, witness.key) for witness in self.witnesses}
        return {name: time for name, time in times.items() if time is not None}

    def check(self, signed: SignedCheckpoint) -> Mapping[str, int]:
        """As `witnessed`; VerificationError also when those witnesses are not a quorum."""
        times = self.witnessed(signed)
        if not self.holds(times):
            raise VerificationError(
                f"too few witnesses saw this checkpoint of {signed.checkpoint.origin}: {', '.join(times) or 'none'}; "
                "others may have been shown another one"
            )
        return times


class _Reader:
    """Takes a policy line by line; a line may only name what stands above it."""

    def __init__(self) -> None:
        self.logs: list[Log] = []
        self.witnesses: list[Witness] = []
        self.groups: list[Group] = []
        self.quorum: str | None = None
        self._free: dict[str, bool] = {}  # every name so far, and whether no group has it as a member yet

    def take(self, words: list[str]) -> None:
        match words:
            case ["log", key, *url] if len(url) <= 1:
                self.logs.append(Log(self._key(key, COSIGNATURE_V1), *url))
            case ["witness", name, key, *url] if len(url) <= 1:
                self._define(name)
                self.witnesses.append(Witness(name, self._key(key, ED25519), *url))
            case ["group", name, threshold, *members] if members:
                self._group(name, threshold, members)
            case ["quorum", name] if self.quorum is None:
                if name != NONE and name not in self._free:
                    raise FormatError(f"the quorum {name} is not defined above")
                self.quorum = name
            case _:
                raise FormatError("must be a log, a witness, a group or, once, the quorum, with what belongs to it")

    def _key(self, text: str, other_role: int) -> VerifierKey:
        key = VerifierKey.parse(text)
        if key.kind == other_role:
            raise FormatError(f"{key.name} has a key of type {key.kind:#04x}, which is not for this")
        # Under two names one key would count twice; a log that is its own witness witnesses nothing.
        if key.key in {*(log.key.key for log in self.logs), *(witness.key.key for witness in self.witnesses)}:
            raise FormatError(f"the public key of {key.name} is in the policy already")
        self._cap(len(self.logs), len(self.witnesses))
        return key

    def _define(self, name: str) -> None:
        if name == NONE or name in self._free:
            raise FormatError(f"the name {name} is taken")
        self._free[name] = True

    def _group(self, name: str, threshold: str, members: list[str]) -> None:
        for member in members:
            if not self._free.get(member, False):
                raise FormatError(f"{member} is not defined above, or is a member already")
            self._free[member] = False
        self._define(name)
        self._cap(len(self.groups))
        count = {"all": len(members), "any": 1}.get(threshold)
        if count is None and _THRESHOLD.fullmatch(threshold):
            count = int(threshold)
        if count is None or not 1 <= count <= len(members):
            raise FormatError(f"the group {name} must need all, any, or from 1 to {len(members)} of its members")
        self.groups.append(Group(name, count, tuple(members)))

    def _cap(self, *counts: int) -> None:
        if max(counts) >= limits.LOG_POLICY_COUNT:
            raise FormatError(f"a policy has at most {limits.LOG_POLICY_COUNT} lines of a kind")
