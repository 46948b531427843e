"""Receipts: a log proof that a package came and what became of it, for whoever handed it in (docs/formats.md, "Receipt")."""

from publish.errors import LogError
from publish.translog.log import Log
from verifier.formats.leaves import Package, Refused, parse_leaf
from verifier.formats.tlog_proof import LogProof

__all__ = ["make_receipt"]


def make_receipt(log: Log, package: str) -> LogProof:
    """The proof of the last entry about the package of this hash, by the newest checkpoint; the entry itself is its `extra`.

    Raises:
        LogError: the log has none: it did not come, or was not logged yet.
    """
    found = None
    for index, entry in enumerate(log.entries()):
        leaf = parse_leaf(entry)
        if isinstance(leaf, Package | Refused) and leaf.package == package:
            found = index, entry
    if found is None:
        raise LogError(
            f"the log has no entry about package {package}: it has not come in, or waits for the next terbit publish"
        )
    index, entry = found
    proof = log.prove(index, log.cosigned)
    return LogProof(index, proof.hashes, proof.checkpoint, entry)
