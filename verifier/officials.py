"""Officials' signatures on recap packages: whether a key that is enrolled for an area signed a cover in its time.

Rules: docs/formats.md, "Officials". What the area covers is not judged here: that takes the tree of areas.
"""

from dataclasses import dataclass
from datetime import datetime

from verifier.errors import FormatError, VerifierError
from verifier.formats.allowed_signers import AllowedSigners
from verifier.formats.sshsig import SshSignature

__all__ = ["SIGNERS_PATH", "CheckedSignature", "check_signature", "namespace", "parse_allowed_signers"]


SIGNERS_PATH = "trust/allowed_signers"  # a TUF target of the role trust


@dataclass(frozen=True)
class CheckedSignature:
    """What the check of a signature found: `rule` is None where it counts, else the code of the rule it breaks.

    `signer` is the SHA-256 of the key's blob, where the signature holds and `allowed_signers` names the key for any area
    and time; a stranger's key is nobody's name. `is_current`: it names that key for some area at the time of the check.
    """

    signer: str | None
    rule: str | None = None
    problem: str = ""
    is_current: bool = False


def namespace(election: str) -> str:
    """What officials of an election sign for: a signature made for anything else is none on a package."""
    return f"terbit-recap@{election}"


def parse_allowed_signers(data: bytes, election: str) -> AllowedSigners:
    """`allowed_signers` of an election; FormatError, with the line's number, for what could never count."""
    allowed = AllowedSigners.parse(data)
    for signer in allowed.signers:
        if signer.namespaces != (namespace(election),):
            raise FormatError(
                f'allowed_signers: the line of {",".join(signer.areas)} must have namespaces="{namespace(election)}"'
            )
    return allowed


def check_signature(
    cover: bytes, signature: bytes, election: str, area: str, *, allowed: AllowedSigners, time: datetime
) -> CheckedSignature:
    """Check `recap.toml.sig` over the bytes of `recap.toml`, said to be by an official of `area`, at `time`."""
    try:
        found = SshSignature.parse(signature)
        found.check(cover, namespace(election))
    except VerifierError as error:
        return CheckedSignature(None, "signature-bad", str(error))
    named, fingerprint = allowed.of_key(found.key), found.key.fingerprint
    signer = found.key.sha256 if named else None
    current = any(line.is_valid(time) for line in named)
    lines = [line for line in named if area in line.areas and namespace(election) in line.namespaces]
    if not lines:
        return CheckedSignature(
            signer,
            "signature-unknown",
            f"allowed_signers has no line for key {fingerprint} and area {area!r}",
            current,
        )
    if not any(line.is_valid(time) for line in lines):
        return CheckedSignature(
            signer,
            "signature-expired",
            f"key {fingerprint} does not count for area {area!r} at {time:%Y-%m-%d %H:%M} UTC",
            current,
        )
    return CheckedSignature(signer, is_current=current)
