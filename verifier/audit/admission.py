"""Whether a package that a ledger has accepted was one to accept: who vouched for it, and whether he may.

Rules: docs/formats.md, "Officials". For auditors and second signers: intake's own judgement is asked for nothing.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial

from builder.election import Definition
from builder.intake import check_cover
from builder.ledger import PackageRecord
from builder.officials import Admission
from builder.recap import COVER, Package
from verifier.formats.allowed_signers import AllowedSigners
from verifier.officials import check_signature

__all__ = ["objections"]


def objections(
    package: Package, record: PackageRecord, definition: Definition, allowed: Sequence[AllowedSigners]
) -> Iterator[str]:
    """What speaks against a package beside its rows. It stands if it does under one of the files `allowed`, which were in force around its time."""
    cover, signature = package.cover, package.signature
    if (record.contest, record.series) != (cover.contest, cover.series):
        yield "the ledger says that it has figures of another contest or series"
    if record.signature != (hashlib.sha256(signature).hexdigest() if signature is not None else None):
        yield "recap.toml.sig is not the signature that was accepted"
        return
    if broken := check_cover(package, definition):
        yield str(broken[0])
        return
    if cover.attestation.kind == "operator":
        if record.signer is not None or record.received is not None:
            yield "the operator vouches for it, and the ledger names a signer"
        return
    if signature is None or record.received is None:
        yield "no official signed it"
        return
    time = datetime.strptime(record.received, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    found = []
    for one in allowed:
        check = partial(check_signature, allowed=one, time=time)
        broken = Admission(check).judge(package, definition, in_inbox=False)
        signer = check(package.files[COVER], signature, definition.election.id, cover.attestation.by).signer
        if not broken and signer == record.signer:
            return
        found.append(str(broken[0]) if broken else "another key signed it than the ledger names")
    yield found[0] if found else "no official is enrolled"
