"""The ledger: packages accepted and refused, roots put in force and cuts made, in order, append-only and durable.

Format: docs/formats.md, "Ledger". A package's folder is on disk before its record; a record counts from the moment its LF is durable. A
stop at any write leaves at most a folder or a torn last line that nothing refers to, and the next run writes the same bytes again.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

import msgspec

from builder import durable
from builder.errors import LedgerError, PackageError
from builder.recap import Cover, Package, parse_cover, read_package

__all__ = ["Cut", "Ledger", "PackageRecord", "Record", "RedactedRecord", "RefusedRecord", "RootRecord"]

RESTORE = "restore the ledger from your backup, or move it away and rebuild it from what is public: terbit recover URL"
GENESIS = b"0" * 64

Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Number = Annotated[int, msgspec.Meta(ge=0)]
Time = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")]


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="type"):
    pass


class PackageRecord(_Record, frozen=True, tag="package"):
    """A package accepted whole. `signature` hashes its recap.toml.sig, `signer` the key's blob, `received` is when it was judged; None: the operator vouches."""

    package: Sha256
    contest: str
    series: Literal["count", "recap"]
    rows: Number
    signature: Sha256 | None = None
    signer: Sha256 | None = None
    received: Time | None = None


class RefusedRecord(_Record, frozen=True, tag="refused"):
    """A package refused whole, with the codes of the rules that it broke, sorted: nobody can say that it never came."""

    package: Sha256
    rules: tuple[str, ...]
    signature: Sha256 | None = None
    signer: Sha256 | None = None


class RootRecord(_Record, frozen=True, tag="root"):
    """A root of trust put in force: its file's name `<version>.root.json`, length in bytes, hash."""

    file: Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]{0,8}\.root\.json\Z")]
    length: Number
    sha256: Sha256


class RedactedRecord(_Record, frozen=True, tag="redacted"):
    """A file of an accepted package is withheld, by the order whose text `authority` hashes."""

    package: Sha256
    file: Sha256
    authority: Sha256


class Cut(_Record, frozen=True, tag="cut"):
    """The decision to make release `release` of packages 1 to `through`, at `time` (UTC, seconds). `full`: with packs of every file, too."""

    release: Annotated[int, msgspec.Meta(ge=1)]
    time: Time
    through: Number
    definition: Sha256
    content: Sha256
    templates: Sha256
    trust: Sha256
    builder: str
    results: Number
    signers: Sha256 | None = None
    full: bool = False


Record = PackageRecord | RefusedRecord | RootRecord | RedactedRecord | Cut

_encoder = msgspec.json.Encoder(order="sorted")
_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


class Ledger:
    """The ledger in one directory. Appending needs the `lock`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "records.jsonl"
        self.records: list[Record] = []
        self.packages: list[PackageRecord] = []
        self.cuts: list[Cut] = []
        # By package and file, as hashes: the order that withholds it, and the first release that tells so.
        self.redacted: dict[str, dict[str, tuple[str, int]]] = {}
        self._names: set[str] = set()
        self._chain: list[str] = []
        self._ends: list[str] = []
        self._last = GENESIS
        self._load()

    def __contains__(self, package: str) -> bool:
        return package in self._names

    def chain(self, count: int) -> str:
        """Hash of the record of package `count` (from 1), and by the chain of all before it; zeros for 0."""
        return self._chain[count - 1] if count else GENESIS.decode()

    def withheld(self, package: str, release: int | None = None) -> dict[str, str]:
        """The files of a package that are withheld as `release` says, or by now, and the orders for it: hash by hash."""
        return {
            file: order
            for file, (order, first) in self.redacted.get(package, {}).items()
            if release is None or first <= release
        }

    @property
    def has_untold_orders(self) -> bool:
        """True if some file is withheld of which no cut tells yet."""
        return any(first > len(self.cuts) for files in self.redacted.values() for _, first in files.values())

    @property
    def end(self) -> str:
        """Hash of the last record, and by the chain of all before it; zeros for an empty ledger."""
        return self._last.decode()

    def end_at(self, count: int) -> str:
        """The same for the first `count` records."""
        return self._ends[count - 1] if count else GENESIS.decode()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Only one process appends at a time; the second is told so at once."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise LedgerError(
                    "another terbit is writing to this ledger; wait for it to end", file=self.directory, rule="locked"
                ) from error
            self._load(repair=True)
            yield

    def add_packages(
        self,
        accepted: Sequence[tuple[Package, int]],
        signers: Mapping[str, str] = MappingProxyType({}),
        received: str = "",
    ) -> None:
        """Append packages with their numbers of rows. A stop midway keeps the first ones, each whole.

        `signers` has the hashes of the keys that signed some of them, by their names, `received` the time.
        """
        if not accepted:
            return
        if signers:  # an auditor finds `received` between two cuts
            self._check_clock(received)
        self._keep(package for package, _ in accepted)
        self._append([_record(package, rows, signers.get(package.name), received) for package, rows in accepted])

    def follow(self, records: Sequence[Record], packages: Sequence[Package]) -> None:
        """Append what another copy of this ledger has beyond this one; `packages` are those of its package records, as far as they are not here.

        Raises:
            LedgerError: that copy could not have come about: nothing was appended.
        """
        count, cuts = len(self.packages), self.cuts[-1:]
        for record in records:
            if isinstance(record, PackageRecord):
                count += 1
            elif isinstance(record, Cut):
                last = cuts[-1] if cuts else None
                if record.through != count or record.release != (last.release if last else 0) + 1:
                    raise LedgerError(
                        f"cut {record.release} does not follow from what comes before it", file=self.path, rule="cut"
                    )
                if last and record.time < last.time:
                    raise LedgerError(
                        f"cut {record.release} is older than the one before it", file=self.path, rule="clock"
                    )
                cuts.append(record)
        if packages:
            self._keep(packages)
        if records:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._append(records)

    def _keep(self, packages: Iterable[Package]) -> None:
        root = self.directory / "packages"
        root.mkdir(parents=True, exist_ok=True)
        for package in packages:
            durable.write_directory(root / package.name, package.files)
        os.sync()  # one for all folders: their records may only follow when every byte of them would survive a power cut

    def add_cut(self, cut: Cut) -> None:
        """Append a cut. Its release number is used up from here on."""
        last = self.cuts[-1] if self.cuts else None
        if cut.release != (last.release if last else 0) + 1 or cut.through != len(self.packages):
            raise AssertionError("a cut has the next number and takes every package")
        self._check_clock(cut.time)
        self._append([cut])

    def _check_clock(self, now: str) -> None:
        if self.cuts and now < self.cuts[-1].time:
            raise LedgerError(
                f"the clock says {now}, before the last cut at {self.cuts[-1].time}; set the clock right",
                file=self.path,
                rule="clock",
            )

    def add(self, records: Sequence[RefusedRecord | RootRecord | RedactedRecord]) -> None:
        """Append what changes no figure."""
        if records:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._append(records)

    def read(self, record: PackageRecord) -> Package:
        """An accepted package, every hash checked again; of its withheld scans those that are still there."""
        folder = self.directory / "packages" / record.package
        try:
            package = read_package(folder, self.withheld(record.package))
        except PackageError as error:
            raise LedgerError(
                f"an accepted package was damaged: {error}; {RESTORE}", file=folder, rule="package"
            ) from error
        if package.name != record.package:
            raise LedgerError(
                f"an accepted package was changed: its cover has another sha256; {RESTORE}", file=folder, rule="package"
            )
        if _signature_hash(package) != record.signature:
            raise LedgerError(
                f"an accepted package was changed: not the recap.toml.sig that was accepted; {RESTORE}",
                file=folder,
                rule="package",
            )
        return package

    def read_cover(self, record: PackageRecord) -> Cover:
        """Cover of an accepted package, its hash checked again."""
        path = self.directory / "packages" / record.package / "recap.toml"
        try:
            data = path.read_bytes()
        except OSError as error:
            raise LedgerError(
                f"an accepted package is gone: {error.strerror}; {RESTORE}", file=path, rule="package"
            ) from error
        if hashlib.sha256(data).hexdigest() != record.package:
            raise LedgerError(
                f"an accepted package was changed: its cover has another sha256; {RESTORE}", file=path, rule="package"
            )
        return parse_cover(data, str(path))

    def _append(self, records: Sequence[Record]) -> None:
        lines, last = [], self._last
        for record in records:
            lines.append(last + b" " + _encoder.encode(record))
            last = hashlib.sha256(lines[-1]).hexdigest().encode()
        durable.append_lines(self.path, b"".join(line + b"\n" for line in lines))
        for record, line in zip(records, lines, strict=True):
            self._take(record, line)

    def _take(self, record: Record, line: bytes) -> None:
        self._last = hashlib.sha256(line).hexdigest().encode()
        self._ends.append(self._last.decode())
        self.records.append(record)
        if isinstance(record, Cut):
            self.cuts.append(record)
        elif isinstance(record, RedactedRecord):
            self.redacted.setdefault(record.package, {}).setdefault(record.file, (record.authority, len(self.cuts) + 1))
        elif isinstance(record, PackageRecord):
            self.packages.append(record)
            self._names.add(record.package)
            self._chain.append(self._last.decode())

    def _load(self, *, repair: bool = False) -> None:
        self.records, self.packages, self.cuts, self._names, self._chain, self._last = [], [], [], set(), [], GENESIS
        self._ends, self.redacted = [], {}
        if not self.path.exists():
            return
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        for number, line in enumerate(data[:whole].splitlines(), 1):
            before, _, text = line.partition(b" ")
            if before != self._last:
                raise LedgerError(
                    f"the chain is broken: a line was changed, lost or added; {RESTORE}",
                    file=self.path,
                    line=number,
                    rule="chain",
                )
            try:
                record = _decoder.decode(text)
            except (ValueError, RecursionError) as error:
                raise LedgerError(
                    f"not a record of this version of terbit ({error}); go on with the version that wrote it, or {RESTORE}",
                    file=self.path,
                    line=number,
                    rule="record",
                ) from error
            if _encoder.encode(record) != text:
                raise LedgerError(
                    f"not written as this version of terbit writes it; go on with the version that wrote it, or {RESTORE}",
                    file=self.path,
                    line=number,
                    rule="canonical",
                )
            self._take(record, line)
        if repair and whole != len(data):
            # A torn last line was never committed: whoever wrote it did not hear "accepted". Only under the lock: it may be a write under way.
            with self.path.open("r+b") as file:
                file.truncate(whole)
                os.fsync(file.fileno())


def _record(package: Package, rows: int, signer: str | None, received: str) -> PackageRecord:
    record = PackageRecord(package.name, package.cover.contest, package.cover.series, rows)
    if signer is None:
        return record
    return msgspec.structs.replace(record, signature=_signature_hash(package), signer=signer, received=received)


def _signature_hash(package: Package) -> str | None:
    return None if package.signature is None else hashlib.sha256(package.signature).hexdigest()
