"""The ledger's records that follow from the log's entries (docs/formats.md, "Ledger", "Log")."""

from builder.ledger import Cut, PackageRecord
from builder.recap import Package
from verifier.formats import leaves

__all__ = ["cut_record", "package_record"]


def package_record(leaf: leaves.Package, package: Package) -> PackageRecord:
    """The record of a package: what its entry does not say, it says itself."""
    cover, rows = package.cover, package.rows.count(b"\n") - 1
    return PackageRecord(leaf.package, cover.contest, cover.series, rows, leaf.signature, leaf.signer, leaf.received)


def cut_record(leaf: leaves.Inputs) -> Cut:
    """The cut of a release."""
    return Cut(
        release=leaf.release,
        time=leaf.time,
        through=leaf.packages,
        definition=leaf.definition,
        content=leaf.content,
        templates=leaf.templates,
        trust=leaf.trust,
        signers=leaf.signers,
        builder=leaf.builder,
        results=leaf.results,
        full=leaf.packs == leaves.FULL,
    )
