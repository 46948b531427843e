"""A release into the log and past the witnesses, up to the proof that every client asks for."""

from builder.ledger import Ledger
from publish.errors import PendingError
from publish.signing.repository import RoleFile
from publish.translog.entries import release_entry
from publish.translog.log import Log
from publish.translog.witnesses import Asked, ask
from verifier.errors import VerifierError
from verifier.formats.tlog_policy import Policy
from verifier.log import check_proof

__all__ = ["ask_witnesses", "log_release"]


def log_release(log: Log, ledger: Ledger, snapshot: RoleFile, policy: Policy, seconds: float) -> tuple[bytes, Asked]:
    """Log the release of `snapshot` with all that came before it; its proof, by the checkpoint that witnesses have cosigned.

    What was done before a stop is not done again: a proof that was shown once is shown again.

    Raises:
        PendingError: too few witnesses have cosigned within `seconds`. The release is logged, and must not be public yet.
        LogError: it cannot be logged without forking the log.
    """
    log.append(ledger, snapshot)
    entry = release_entry(snapshot)
    asked = ask_witnesses(log, policy, seconds)
    try:
        data = log.proof_file(entry).read_bytes()
        check_proof(data, entry, policy)
    except (FileNotFoundError, VerifierError):
        cosigned = policy.witnessed(asked.signed)
        if not policy.holds(cosigned):
            told = "; ".join(f"{name}: {reason}" for name, reason in asked.failed.items())
            seen = ", ".join(cosigned) or "none"
            raise PendingError(
                f"release {snapshot.version} waits for witnesses: {seen} cosigned, quorum {policy.quorum}"
                + (f" ({told})" if told else "")
                + "; publish again, which asks them once more"
            ) from None
        data = log.prove(log.release_index(), asked.signed).encode()
        check_proof(data, entry, policy)
        log.keep_proof(entry, data)
    return data, asked


def ask_witnesses(log: Log, policy: Policy, seconds: float) -> Asked:
    """Have the newest checkpoint cosigned by all who have not yet, and keep what they gave."""
    asked = ask(policy, log.cosigned, log.node, log.witness_sizes(), seconds)
    log.keep(asked.signed, asked.sizes)
    return asked
