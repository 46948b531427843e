"""A second signer's ledger: it follows the publisher's, as far as that goes on from it and every rule holds here, too.

Nothing is taken over on trust: packages are held against their names and judged again, content and templates against those of this machine.
"""

import hashlib
import tempfile
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from builder.errors import BuilderError
from builder.hashing import input_hash
from builder.inputs import KINDS, archive_name, archive_names, keep_archive, read_archive
from builder.ledger import Cut, Ledger, PackageRecord, Record
from builder.recap import COVER, SIGNATURE, Package, parse_cover, parse_package
from publish.accepted import objections_again
from publish.errors import PublishError, SigningError
from publish.release.make import cut_inputs
from publish.signing.offline import Trust
from publish.targets import Target
from publish.workspace import Workspace

__all__ = ["Follower"]

# A clock may be a little wrong; a cut from tomorrow would be good for longer than anybody meant.
AHEAD = timedelta(minutes=10)
MEND = {
    "definition": "compare content/election.toml, areas.csv and map.topojson with the publisher's, and take over what you agree with",
    "trust": "copy what the offline keys have signed from the publisher's keys/ (metadata, trust, public, minisign.json)",
    "builder": "install the same version of terbit",
    "results": "install the same version of terbit",
}


class Follower:
    """One workspace that follows another; `places` have what is missing here, the exchange first."""

    def __init__(self, workspace: Workspace, trust: Trust, places: Sequence[Target], now: datetime) -> None:
        self.workspace, self.trust, self.places, self.now = workspace, trust, places, now

    def follow(self, data: bytes, release: int) -> list[str]:
        """Take over the records of `data` that are new here, the last one being the cut of `release`. What speaks against it, nothing being taken over then.

        Raises:
            SigningError: the other ledger does not continue this one.
        """
        ledger = self.workspace.ledger
        with ledger.lock():
            theirs = _read_ledger(data)
            records = self._new(ledger, theirs)
            if not theirs.cuts or theirs.records[-1] != theirs.cuts[-1] or theirs.cuts[-1].release != release:
                raise SigningError(f"the draft's records do not end with the cut of release {release}")
            new = [record for record in records if isinstance(record, PackageRecord)]
            packages = [self._package(record, theirs.withheld(record.package)) for record in new]
            problems = [*self._cut_problems(theirs.cuts[-1])]
            problems += self._earlier_cut_problems([record for record in records[:-1] if isinstance(record, Cut)])
            known, rows = len(ledger.packages), self.workspace.rows
            problems += objections_again(self.workspace, theirs.cuts, new, packages, rows, known)
            if not problems:
                self._keep_inputs(theirs.cuts)
                ledger.follow(records, packages)
                if packages:
                    self.workspace.save_rows()
        return problems

    def _new(self, ours: Ledger, theirs: Ledger) -> Sequence[Record]:
        count = len(ours.records)
        if theirs.records[:count] != ours.records:
            same = next(
                (n for n, (a, b) in enumerate(zip(ours.records, theirs.records, strict=False), 1) if a != b), None
            )
            where = (
                f"record {same} is another one"
                if same
                else f"it has {len(theirs.records)} records, and this one {count}"
            )
            raise SigningError(
                f"the publisher's ledger does not continue this one: {where}. An old copy, or a past that was rewritten: sign nothing, and find out which"
            )
        return theirs.records[count:]

    def _cut_problems(self, cut: Cut) -> Iterator[str]:
        """What of the inputs is not what lies here."""
        if datetime.fromisoformat(cut.time) > self.now + AHEAD:
            yield f"the cut is of {cut.time}, which is still to come"
        for name, value in cut_inputs(self.workspace, self.trust.sha256).items():
            if getattr(cut, name) == value or name == "through":
                continue
            if name in KINDS:
                yield from self._archive_problems(name, getattr(cut, name))
            else:
                yield f"{name}: theirs {getattr(cut, name)}, ours {value}: {MEND[name]}"

    def _earlier_cut_problems(self, cuts: Sequence[Cut]) -> Iterator[str]:
        """Content and templates of cuts that were never signed for: the release lists their archives, too."""
        own = {archive_name(kind, input_hash(files)) for kind, files in self.workspace.inputs.archived.items()}
        kept = self.workspace.ledger.directory / "inputs"
        for name, release in archive_names(cuts).items():
            if name not in own and not (kept / name).exists():
                yield (
                    f"inputs/{name}: the publisher's cut {release} was of this, which is not what lies here, and the release would publish it: "
                    f"read it, and if you agree with it, put it into {kept}"
                )

    def _archive_problems(self, kind: str, sha256: str) -> Iterator[str]:
        name = archive_name(kind, sha256)
        theirs, ours = read_archive(self._read(f"inputs/{name}"), sha256, name), self.workspace.inputs.archived[kind]
        for path in sorted(theirs.keys() | ours.keys()):
            if theirs.get(path) != ours.get(path):
                told = (
                    hashlib.sha256(files[path]).hexdigest() if path in files else "none" for files in (theirs, ours)
                )
                yield "{} {}: theirs {}, ours {}: take it over if you agree with it".format(kind, path, *told)

    def _keep_inputs(self, cuts: Sequence[Cut]) -> None:
        directory = self.workspace.ledger.directory
        for kind, files in self.workspace.inputs.archived.items():
            keep_archive(directory, kind, files)
        for name in archive_names(cuts):
            if not (directory / "inputs" / name).exists():
                sha256, kind, _ = name.split(".")
                keep_archive(directory, kind, read_archive(self._read(f"inputs/{name}"), sha256, name))

    def _package(self, record: PackageRecord, withheld: Collection[str]) -> Package:
        """A package from wherever it is to be had, every byte held against its name; withheld scans are left out."""
        folder = f"packages/{record.package}"

        def read(name: str, cap: int) -> bytes:
            return self._read(f"{folder}/{name}", cap)

        cover = self._read(f"{folder}/{COVER}")
        if hashlib.sha256(cover).hexdigest() != record.package:
            raise PublishError(
                f"{folder}/{COVER} is not the cover that it is named by; the publisher has to share it again"
            )
        told = parse_cover(cover, folder)
        scans = {scan.file for scan in told.scans if scan.sha256 not in withheld}
        names = {COVER, told.rows.file, *scans, *([SIGNATURE] if record.signature else [])}
        try:
            return parse_package(names, read, folder, withheld)
        except BuilderError as error:
            raise PublishError(f"{folder} is not what it is named by: {error}") from None

    def _read(self, path: str, cap: int = 1 << 40) -> bytes:
        for place in self.places:
            if (seen := place.read(path)) is not None and len(seen.data) <= cap:
                return seen.data
        raise PublishError(f"{path} is at none of {', '.join(place.name for place in self.places)}")


def _read_ledger(data: bytes) -> Ledger:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "records.jsonl").write_bytes(data)
        return Ledger(Path(folder))
