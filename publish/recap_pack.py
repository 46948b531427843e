"""An official's hand-in: rows, scans and a signature to one package that intake takes, or the reason why it would not.

Format: docs/formats.md, "Recap package", "Officials". `ssh-keygen` signs, so that agents and hardware keys do.
"""

import hashlib
import io
import subprocess
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from builder.areas import path_name
from builder.election import Definition
from builder.errors import PackageError
from builder.importers.changes import WITHDRAWAL
from builder.importers.delivery import import_results
from builder.importers.source import ResultsMap
from builder.intake import Broken, check_cover, judge
from builder.officials import check_scope
from builder.recap import (
    COVER,
    SIGNATURE,
    Attestation,
    Cover,
    NamedFile,
    Package,
    RevisionReason,
    package_files,
    parse_cover,
    read_package,
)
from builder.results import scan_subject
from builder.rows import Rows, package_text, typed_rows
from builder.rules import flag_rules
from builder.site import packaged_templates
from builder.tally import judged_recaps, judged_stations, row_findings
from builder.templates import read_templates, read_texts
from builder.thumbnails import SUFFIX, is_thumbnail, make_thumbnail, may_have_thumbnail
from publish.errors import PublishError
from verifier.formats.sshsig import SshSignature
from verifier.officials import check_signature, namespace, parse_allowed_signers

__all__ = ["HandIn", "findings", "make_package", "mapped_rows", "scan_problems", "sign_package", "zip_package"]

ROWS = "rows.csv"
FILE_NAME = 98  # characters, as builder.recap.FileName has it
# What only the ledger can tell, which an official does not have.
OF_THE_LEDGER = {"wrong-revision", "withdrawn-unknown"}
EARLIEST = (1980, 1, 1, 0, 0, 0)  # zip knows no earlier time; a package is a function of what is in it


@dataclass(frozen=True)
class HandIn:
    """What an official says of his rows, for `area`; `by` is his own area, that one or one above it."""

    contest: str
    series: Literal["count", "recap"]
    area: str
    by: str
    form: str = ""
    document: str = ""
    reason: str | None = None
    note: str = ""
    scans: Mapping[str, bytes] = field(default_factory=dict)


def make_package(rows: bytes, hand_in: HandIn, definition: Definition) -> Package:
    """The package, not yet signed, with a thumbnail of each scan that is a picture. PackageError, with every rule that it breaks, for what intake would refuse whatever it knows already, and for other rows than withdrawn ones with the reason of these."""
    scans = {**hand_in.scans, **_thumbnails(hand_in.scans)}
    cover = Cover(
        format="terbit-recap-1",
        election=definition.election.id,
        contest=hand_in.contest,
        series=hand_in.series,
        tier=_tier(hand_in.area, definition),
        area=hand_in.area,
        form=hand_in.form,
        document=hand_in.document,
        rows=_named(ROWS, rows),
        attestation=Attestation("official", hand_in.by),
        revision=RevisionReason(hand_in.reason, hand_in.note) if hand_in.reason else None,
        scans=tuple(_named(name, data) for name, data in scans.items()),
    )
    files = package_files(cover, rows, scans)
    package = Package(parse_cover(files[COVER], COVER), files, "package")
    broken = check_cover(package, definition) or check_scope(package, definition) or _broken_rows(package, definition)
    if broken:
        raise PackageError("; ".join(map(str, broken)))
    contest = definition.election.contest(hand_in.contest)
    if (
        hand_in.reason == WITHDRAWAL
        and contest
        and package_text([(1, package)], contest)["state"].ne_missing("withdrawn").any()
    ):
        problem = "is not for rows that have figures, since the public would read it beside them: hand these in as another package, with the reason of the change"
        raise PackageError(problem, field="revision.reason", rule="withdrawal")
    return package


def findings(package: Package, definition: Definition) -> list[str]:
    """What the public would see beside the rows of a package that `make_package` made, in words: intake takes it, and somebody may have mistyped."""
    contest = definition.election.contest(package.cover.contest)
    if contest is None:
        return []
    recap = package.cover.series == "recap"
    rows = typed_rows(package_text([(1, package)], contest), contest, definition)
    judged = judged_recaps(rows, contest) if recap else judged_stations(rows, contest, definition)
    found = row_findings(judged, flag_rules(contest, recap=recap)).sort("area", "station", "rule")
    words = read_texts(read_templates(packaged_templates()), "en")["rules"]
    return [
        f"{definition.areas.codes[area]}, {f'station {station}' if station else 'recap'}: {words[rule]['sentence'].format(left=left, right=right)} [{rule}]"
        for area, station, rule, left, right in found.select("area", "station", "rule", "left", "right").iter_rows()
    ]


def scan_problems(package: Package) -> list[str]:
    """Scans of a package that `make_package` made that no page will show as their sender means it, in words: intake takes them."""
    subjects = [line.split(",", 2)[:2] for line in package.rows.decode().splitlines()[1:]]
    areas = {path_name(area) for area, _ in subjects}
    names = {scan.file for scan in package.cover.scans}
    found = []
    for name in sorted(name for name in names if not is_thumbnail(name)):
        area, station = scan_subject(name)
        if area not in areas:
            found.append(
                f"{name}: no page lists it, for its name does not begin with the code of an area in the rows; name it <area>_<station>.jpg or <area>.pdf"
            )
        elif (
            package.cover.series == "count"
            and station
            and station not in {one for code, one in subjects if path_name(code) == area}
        ):
            found.append(f"{name}: the rows have no station {station!r} of {area}")
        if name.endswith(".pdf") and b"%PDF" not in package.files[name][:1024]:
            found.append(f"{name}: is no PDF by its content; is it what its name says?")
        if may_have_thumbnail(name) and f"{name}{SUFFIX}" not in names:
            found.append(f"{name}: cannot be read as a picture, so pages show no thumbnail; is it what its name says?")
    return found


def mapped_rows(path: Path, map_: ResultsMap, hand_in: HandIn, definition: Definition) -> bytes:
    """`rows.csv` of what a map reads in somebody's CSV, as first revisions.

    Raises:
        ImporterError, PackageError: it cannot be read, has rows that cannot be taken, or none or others than those of the area.
    """
    changes = {"contest": hand_in.contest, "series": hand_in.series, "tier": _tier(hand_in.area, definition)}
    map_ = msgspec.structs.replace(map_, **changes)
    with tempfile.TemporaryDirectory() as folder:
        report = import_results(path, map_, definition, {}, out=Path(folder) / "out")
        if report.rejected:
            raise PackageError("; ".join(report.problems), file=path, rule="rejected")
        packages = [read_package(found) for found in report.packages]
    if [package.cover.area for package in packages] != [hand_in.area]:
        found = ", ".join(package.cover.area for package in packages[:5]) or "none"
        raise PackageError(
            f"must have rows of area {hand_in.area} alone; it has those of {found}", file=path, rule="area"
        )
    return packages[0].rows


def sign_package(
    package: Package, key: Path, definition: Definition, allowed: bytes | None, now: datetime
) -> dict[str, bytes]:
    """All files of the package, signed with `key` (a key file, or a public key whose secret an agent or a hardware key has).

    Raises:
        PublishError: ssh-keygen did not sign.
        FormatError, VerificationError, PackageError: intake would not take the signature; `allowed` is allowed_signers, if it is known.
    """
    cover, election = package.files[COVER], definition.election.id
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / COVER
        path.write_bytes(cover)
        command = ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace(election), "-f", str(key), str(path)]
        try:
            done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)  # noqa: S603
        except OSError as error:
            raise PublishError(f"ssh-keygen cannot be run: {error.strerror}; install OpenSSH") from error
        if done.returncode != 0 or not (signed := path.with_name(SIGNATURE)).exists():
            raise PublishError(
                f"ssh-keygen did not sign with {key}; is it an SSH secret key, or the .pub of one that an agent holds, and its passphrase right?"
            )
        signature = signed.read_bytes()
    SshSignature.parse(signature).check(cover, namespace(election))
    if allowed is not None:
        signers = parse_allowed_signers(allowed, election)
        found = check_signature(cover, signature, election, package.cover.attestation.by, allowed=signers, time=now)
        if found.rule is not None:
            raise PackageError(found.problem, rule=found.rule)
    return {**package.files, SIGNATURE: signature}


def zip_package(files: Mapping[str, bytes]) -> bytes:
    """The package as one zip, the same for the same files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, EARLIEST), data, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _tier(area: str, definition: Definition) -> str:
    row = definition.areas.index.get(area)
    if row is None:
        raise PackageError(f"area {area!r} is not in areas.csv", rule="unknown-area")
    return definition.election.levels[definition.areas.levels[row]].id


def _thumbnails(scans: Mapping[str, bytes]) -> dict[str, bytes]:
    """Those that can be made; what was handed in under such a name goes before."""
    made = {}
    for name, scan in scans.items():
        small = f"{name}{SUFFIX}"
        if (
            not is_thumbnail(name)
            and small not in scans
            and len(small) <= FILE_NAME
            and (data := make_thumbnail(name, scan))
        ):
            made[small] = data
    return made


def _named(name: str, data: bytes) -> NamedFile:
    return NamedFile(name, hashlib.sha256(data).hexdigest(), len(data))


def _broken_rows(package: Package, definition: Definition) -> Sequence[Broken]:
    rows = {contest.id: Rows(contest) for contest in definition.election.contests}
    (verdict,) = judge([package], rows, definition, 0)
    return [one for one in verdict.broken if one.rule not in OF_THE_LEDGER]
