"""Officials: who is enrolled by the offline keys, whose packages intake takes, and what a change of enrolment says.

Rules: docs/formats.md, "Officials".
"""

from collections.abc import Iterator
from datetime import datetime
from functools import partial

from builder.officials import Admission, fingerprint
from builder.site import Inputs
from publish.errors import ConfigError, SigningError
from publish.signing.offline import Offline
from publish.workspace import Workspace
from verifier.errors import FormatError
from verifier.formats.allowed_signers import AllowedSigner, AllowedSigners
from verifier.officials import SIGNERS_PATH, check_signature, parse_allowed_signers

__all__ = ["admission", "check_removals", "enrolment_changes", "signed_enrolment", "trust_files"]


def trust_files(inputs: Inputs) -> dict[str, bytes]:
    """The files of `content/` that the offline keys sign: the definition's, and `allowed_signers` where there are officials.

    Raises:
        ConfigError: `allowed_signers` is not as it must be, or names an area that is none.
    """
    files, data = inputs.definition.files, inputs.allowed_signers
    if data is None:
        return files
    for area in (area for signer in _parse(inputs).signers for area in signer.areas):
        if area not in inputs.definition.areas.index:
            raise ConfigError(f"content: allowed_signers: area {area!r} is not in areas.csv [allowed-signers]")
    return {**files, "allowed_signers": data}


def check_removals(workspace: Workspace) -> None:
    """ConfigError if `allowed_signers` lacks a line by which a package was accepted: nobody could check that one any more."""
    enrolled = {(area, signer.key.sha256) for signer in _parse(workspace.inputs).signers for area in signer.areas}
    for record in workspace.ledger.packages:
        if record.signer is None:
            continue
        area = workspace.ledger.read_cover(record).attestation.by
        if (area, record.signer) not in enrolled:
            key = f"key {fingerprint(record.signer)} and area {area}"
            mend = "put it back, with a valid-before"
            raise ConfigError(
                f"content: allowed_signers: the line with {key} has signed package {record.package}; {mend} [allowed-signers]"
            )


def signed_enrolment(workspace: Workspace) -> bytes | None:
    """`allowed_signers` as the offline keys have signed it; None where they have signed none."""
    offline = Offline(workspace.keys)
    chain = offline.chain()
    return offline.trust_file(chain.trust, SIGNERS_PATH) if chain else None


def admission(workspace: Workspace, now: datetime, *, attested: bool = False) -> Admission:
    """Whose packages intake takes at time `now`; `attested`: the operator vouches for unsigned ones that he names.

    Raises:
        SigningError: `content/allowed_signers` is not what the offline keys have signed.
    """
    signed = signed_enrolment(workspace)
    if signed != workspace.inputs.allowed_signers:
        # Judged by the old file, a package could still be accepted from a key that is being taken out.
        mend = "run: terbit keys refresh, then terbit sign with offline keys"
        raise SigningError(
            f"content/allowed_signers is not what the offline keys signed, so nothing is taken in; {mend}"
        )
    if signed is None:
        return Admission()
    allowed = parse_allowed_signers(signed, workspace.definition.election.id)
    return Admission(partial(check_signature, allowed=allowed, time=now), attested)


def enrolment_changes(before: bytes | None, after: bytes | None) -> Iterator[str]:
    """What another `allowed_signers` changes, in plain words, line by line. FormatError if one is not as it must be."""
    old, new = (AllowedSigners.parse(data or b"").signers for data in (before, after))
    yield from (f"no longer enrolled: {_told(signer)}" for signer in old if signer not in new)
    yield from (f"enrolled: {_told(signer)}" for signer in new if signer not in old)


def _parse(inputs: Inputs) -> AllowedSigners:
    try:
        return parse_allowed_signers(inputs.allowed_signers or b"", inputs.definition.election.id)
    except FormatError as error:
        raise ConfigError(f"content: {error} [allowed-signers]") from None


def _told(signer: AllowedSigner) -> str:
    dates = [
        f"{word} {time:%Y-%m-%d %H:%M:%S} UTC"
        for word, time in (("from", signer.after), ("until", signer.before))
        if time
    ]
    words = [f"{signer.key.kind} {signer.key.fingerprint} for {', '.join(signer.areas)}", *dates]
    return " ".join([*words, f"({signer.comment})"] if signer.comment else words)
