"""Withholding a scan by an order: what goes into the ledger, and what of an accepted package stays public (docs/formats.md, "Withheld scans")."""

import hashlib
from collections.abc import Iterator

from builder import durable
from builder.ledger import Ledger, PackageRecord, RedactedRecord
from builder.recap import ORDER_SUFFIX
from builder.thumbnails import SUFFIX
from publish.errors import PublishError
from verifier import limits

__all__ = ["orders", "public_files", "redact"]

PLAIN = {"\n", "\t"}


def redact(ledger: Ledger, package: str, file: str, order: bytes) -> RedactedRecord:
    """Record in the locked `ledger` that the scan `file` of an accepted package is withheld by the text `order`, its thumbnail with it.

    After a stop, or for a scan that the same order withholds already, the same call does what is left to do.

    Raises:
        PublishError: there is no such scan, the order is no plain text, or another order withholds the scan.
    """
    _check_order(order)
    record = next((one for one in ledger.packages if one.package == package), None)
    if record is None:
        raise PublishError(f"the ledger has no accepted package {package}: give its whole hash, as pages name it")
    cover = ledger.read_cover(record)
    hashes = {scan.file: scan.sha256 for scan in cover.scans}
    sha256, thumbnail = hashes.get(file), hashes.get(f"{file}{SUFFIX}")
    if sha256 is None:
        known = ", ".join(scan.file for scan in cover.scans) or "it has none"
        raise PublishError(f"{file} is no scan of package {package} ({known}); nothing but scans can be withheld")
    if sha256 == cover.rows.sha256:
        raise PublishError(
            f"{file} has the very bytes of {cover.rows.file}: the rows stay public, or nobody could add them up"
        )
    authority = hashlib.sha256(order).hexdigest()
    before = ledger.withheld(package).get(sha256, authority)
    if before != authority:
        raise PublishError(f"{file} is withheld already, by the order {before}")
    # The text first: a record without it could not be published.
    durable.write_file(ledger.directory / "packages" / package / f"{authority}{ORDER_SUFFIX}", order)
    found = [RedactedRecord(package, one, authority) for one in dict.fromkeys([sha256, thumbnail]) if one]
    ledger.add([one for one in found if one.file not in ledger.withheld(package)])
    return found[0]


def public_files(ledger: Ledger, record: PackageRecord) -> Iterator[tuple[str, bytes]]:
    """The files of an accepted package that may be shown, as (path in the election's folder, bytes)."""
    package = ledger.read(record)
    withheld = ledger.withheld(record.package)
    hidden = {scan.file for scan in package.cover.scans if scan.sha256 in withheld}
    for name, data in package.files.items():
        if name not in hidden:
            yield f"packages/{record.package}/{name}", data


def orders(ledger: Ledger, release: int | None = None) -> dict[str, bytes]:
    """The orders by which scans are withheld, as `release` says, or by now: bytes by path in the election's folder.

    Raises:
        PublishError: one is no longer in the ledger.
    """
    found = {}
    named = {(package, order) for package in ledger.redacted for order in ledger.withheld(package, release).values()}
    for package, order in sorted(named):
        path = f"packages/{package}/{order}{ORDER_SUFFIX}"
        try:
            found[path] = (ledger.directory / path).read_bytes()
        except OSError as error:
            raise PublishError(
                f"{ledger.directory / path} cannot be read: {error.strerror}; restore it from your backup"
            ) from error
    return found


def _check_order(order: bytes) -> None:
    if not 0 < len(order) <= limits.ORDER_FILE:
        raise PublishError(
            f"the order has {len(order)} bytes; it is published as a text of at most {limits.ORDER_FILE}"
        )
    try:
        text = order.decode()
    except UnicodeDecodeError:
        raise PublishError("the order is no text in UTF-8; write down what it says, and of whom it is") from None
    if any(not one.isprintable() and one not in PLAIN for one in text):
        raise PublishError(
            "the order has control characters; it is published as plain text, with LF at the ends of lines"
        )
