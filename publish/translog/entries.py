"""Which entry of the log each record of the ledger becomes (docs/formats.md, "Log", "Entries"). Pure."""

from builder.ledger import Cut, PackageRecord, Record, RedactedRecord, RefusedRecord
from publish.signing.repository import RoleFile
from verifier.formats import leaves

__all__ = ["entry", "release_entry"]


def entry(record: Record) -> bytes:
    """The log's entry for a ledger's record; every record has exactly one."""
    match record:
        case PackageRecord():
            return leaves.Package(record.package, record.signature, record.signer, record.received).encode()
        case RefusedRecord():
            return leaves.Refused(record.package, record.signature, record.signer, record.rules).encode()
        case RedactedRecord():
            return leaves.Redacted(record.package, record.file, record.authority).encode()
        case Cut():
            return leaves.Inputs(
                record.release, record.time, record.through, record.definition, record.content, record.templates,
                record.trust, record.signers, record.builder, record.results, leaves.FULL if record.full else leaves.CHANGED,
            ).encode()  # fmt: skip
        case _:
            return leaves.Root(record.file, record.length, record.sha256).encode()


def release_entry(snapshot: RoleFile) -> leaves.Release:
    """The entry of the release whose snapshot this is."""
    return leaves.Release(f"{snapshot.version}.snapshot.json", snapshot.length, snapshot.sha256)
