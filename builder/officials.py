"""Who vouches for a package: an official by his signature, within his area, or the operator.

Rules: docs/formats.md, "Officials". Nothing here knows keys: what a signature is worth, the function that is passed in finds out.
"""

import base64
from dataclasses import dataclass
from typing import Protocol

from builder.election import Definition
from builder.intake import Broken
from builder.recap import COVER, SIGNATURE, Package

__all__ = ["Admission", "CheckSignature", "CheckedSignature", "check_scope", "fingerprint"]


class CheckedSignature(Protocol):
    """What was found: the rule that the signature breaks, if any; the SHA-256 of its key, if it is an enrolled one that made it, and whether that one
    counts now for any area."""

    @property
    def signer(self) -> str | None: ...
    @property
    def rule(self) -> str | None: ...
    @property
    def problem(self) -> str: ...
    @property
    def is_current(self) -> bool: ...


class CheckSignature(Protocol):
    """Checks a signature over the bytes of a cover, said to be by an official of `area`, at the time of intake."""

    def __call__(self, cover: bytes, signature: bytes, election: str, area: str) -> CheckedSignature: ...


@dataclass(frozen=True)
class Admission:
    """Whose packages a run of intake takes.

    `check` is None in an election without officials. `attested`: the operator vouches for the unsigned packages that he names.
    """

    check: CheckSignature | None = None
    attested: bool = False

    def judge(self, package: Package, definition: Definition, *, in_inbox: bool) -> tuple[Broken, ...]:
        """What refuses a package whose cover is sound; nothing if somebody vouches for it who may."""
        if package.cover.attestation.kind == "operator":
            return self._judge_operator(package, in_inbox)
        return self._judge_official(package, definition)

    def _judge_operator(self, package: Package, in_inbox: bool) -> tuple[Broken, ...]:
        if package.signature is not None:
            problem = "stands in a signed cover; an official's says 'official', and his area"
            return _broken("signature-unwanted", "kind", "operator", problem)
        # Strangers can write into the inbox: what lies there is nobody's word.
        if self.check is not None and (in_inbox or not self.attested):
            mend = "the operator hands in his own from elsewhere than the inbox, with --attest"
            return _broken("signature-missing", "kind", "operator", f"does not do where officials sign; {mend}")
        return ()

    def _judge_official(self, package: Package, definition: Definition) -> tuple[Broken, ...]:
        by, signature = package.cover.attestation.by, package.signature
        if signature is None:
            return _broken("signature-missing", "kind", "official", f"needs {SIGNATURE}; see: terbit recap pack")
        if self.check is None:
            return _broken("signature-unknown", "by", by, "is nobody here: this election has no allowed_signers")
        found = self.check(package.files[COVER], signature, definition.election.id, by)
        if found.rule is not None:
            return (Broken(found.rule, None, None, None, found.problem, file=SIGNATURE),)
        return check_scope(package, definition)

    def signer(self, cover: bytes | None, signature: bytes | None, election: str) -> tuple[str | None, bool]:
        """SHA-256 of the enrolled key that signed a cover, for whatever area and time, None if none did; and whether it counts now for any area."""
        if self.check is None or cover is None or signature is None:
            return None, False
        found = self.check(cover, signature, election, "")
        return found.signer, found.is_current


def check_scope(package: Package, definition: Definition) -> tuple[Broken, ...]:
    """Whether the cover's area is its official's or lies beneath it: by the tree, never by how a code begins."""
    areas, by, area = definition.areas, package.cover.attestation.by, package.cover.area
    own = areas.index.get(by)
    if own is None:
        return _broken("signature-scope", "by", by, "is not in areas.csv")
    if not own <= areas.index[area] < areas.ends[own]:
        return _broken("signature-scope", "area", area, f"does not lie in the area of its official, {by!r}")
    return ()


def fingerprint(signer: str) -> str:
    """A key as `ssh-keygen -l` shows it, from the hexadecimal SHA-256 of its blob."""
    return "SHA256:" + base64.b64encode(bytes.fromhex(signer)).decode("ascii").rstrip("=")


def _broken(rule: str, field: str, value: str, problem: str) -> tuple[Broken, ...]:
    return (Broken(rule, field, None, value[:60], problem),)
