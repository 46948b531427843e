"""The inbox: packages found on disk, judged, and either taken into the ledger or set aside with a report."""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from builder import durable, limits
from builder.election import Definition
from builder.errors import PackageError
from builder.intake import Broken, Verdict, check_cover, judge
from builder.ledger import Ledger
from builder.officials import Admission
from builder.recap import Package, read_package
from builder.refusals import Refusals, Refused
from builder.rows import Rows

__all__ = ["IntakeReport", "find_packages", "find_strays", "packages_in", "take_in"]

# Packages are judged together up to this many bytes of rows: enough for columns to pay, little enough for a small machine.
BATCH_BYTES = 12_000_000
# What is no whole package and was changed so shortly ago may still be on its way into the inbox.
ARRIVAL_SECONDS = 120
ANYONE = Admission()
REFUSED = "refused"
TAKEN = ".taken-"


@dataclass
class IntakeReport:
    """What became of each package, by the place where it was found."""

    accepted: dict[str, str] = field(default_factory=dict)
    known: dict[str, str] = field(default_factory=dict)
    refused: dict[str, tuple[str, ...]] = field(default_factory=dict)
    aside: dict[str, Path] = field(default_factory=dict)  # where each refused one lies now
    waiting: dict[str, str] = field(default_factory=dict)  # what may still arrive, and what is wrong with it so far
    stuck: dict[str, str] = field(default_factory=dict)  # what could not be moved or removed, and why
    rows: int = 0
    unrecorded: int = 0  # refusals beyond what one run writes into the ledger


def find_packages(path: Path) -> list[Path]:
    """Packages at `path`: itself (a zip, or a folder with recap.toml), or those directly in that folder, by name."""
    if not path.exists():
        raise PackageError("is not there", file=path, rule="readable")
    return packages_in(path) if path.is_dir() and not _has_cover(path) else [path]


def packages_in(folder: Path) -> list[Path]:
    """Packages directly in `folder`, by name; a cover beside them does not make it one: a stranger may have put it there."""
    return sorted(entry for entry in folder.iterdir() if _is_package(entry))


def _is_package(entry: Path) -> bool:
    return _is_looked_at(entry) and (entry.suffix == ".zip" or _has_cover(entry))


def _is_looked_at(entry: Path) -> bool:
    """Whether the name is not one for what is not finished, or ours."""
    return not entry.name.startswith(".") and entry.suffix != ".part" and entry.name != REFUSED


def _has_cover(entry: Path) -> bool:
    return os.path.exists(entry / "recap.toml")  # false too where we may not look, or the name is too long


def find_strays(inbox: Path) -> list[Path]:
    """What lies in the inbox and is no package, though somebody may have meant it: a bare CSV, a folder without cover."""
    entries = inbox.iterdir() if inbox.is_dir() else ()
    return sorted(entry for entry in entries if _is_looked_at(entry) and not _is_package(entry))


def take_in(
    paths: Sequence[Path],
    inbox: Path,
    ledger: Ledger,
    rows: dict[str, Rows],
    definition: Definition,
    advance: Callable[[int], None],
    now: float,
    admission: Admission = ANYONE,
) -> IntakeReport:
    """Judge the packages at `paths` and append the accepted ones; `rows` are folded along. Holds the ledger's lock.

    A package is refused whole: the ledger says so, it goes to `inbox/refused/` with its report, and nothing else changes. What lay in the inbox
    and was accepted is removed there, since the ledger has every byte of it. What lies in the inbox and cannot be read, or is not yet signed, stays
    there as long as it was changed shortly before `now` (Unix time, seconds). No package and no right of another account stops the others.
    """
    report = IntakeReport()
    received = datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with ledger.lock():
        refusals = Refusals(ledger, admission, definition.election.id)
        for left in inbox.glob(f"{TAKEN}*"):
            _remove(left, report)
        for batch in _batches(paths):
            packages: list[Package] = []
            refused: list[Refused] = []
            for path, package in batch:
                if isinstance(package, PackageError):
                    broken: tuple[Broken, ...] = (Broken.of(package, str(path)),)
                elif package.name in ledger or package.name in [other.name for other in packages]:
                    report.known[_text(path)] = package.name
                    _clear(path, package, inbox, report)
                    continue
                elif not (broken := _check(path, package, inbox, admission, definition)):
                    packages.append(package)
                    continue
                if _may_be_unfinished(path, package, broken, inbox, now):
                    report.waiting[_text(path)] = str(broken[0])
                else:
                    refused.append((path, broken))
            verdicts = judge(packages, rows, definition, len(ledger.packages))
            accepted = [verdict for verdict in verdicts if not verdict.broken]
            refused += [(Path(verdict.package.source), verdict.broken) for verdict in verdicts if verdict.broken]
            ledger.add_packages([(one.package, one.rows) for one in accepted], refusals.signers(accepted), received)
            # Before they are moved away: a stop must not lose a refusal.
            ledger.add(refusals.records(refused))
            for path, broken in refused:
                _refuse(path, broken, inbox, report)
            for verdict in accepted:
                _settle(verdict, inbox, report)
            advance(len(batch))
    report.unrecorded = refusals.unrecorded
    return report


def _check(
    path: Path, package: Package, inbox: Path, admission: Admission, definition: Definition
) -> tuple[Broken, ...]:
    in_inbox = path.resolve().is_relative_to(inbox.resolve())
    return check_cover(package, definition) or admission.judge(package, definition, in_inbox=in_inbox)


def _may_be_unfinished(
    path: Path, package: Package | PackageError, broken: tuple[Broken, ...], inbox: Path, now: float
) -> bool:
    unfinished = isinstance(package, PackageError) or (
        broken[0].rule == "signature-missing" and package.cover.attestation.kind == "official"
    )
    return unfinished and path.parent == inbox and _may_still_arrive(path, now)


def _batches(paths: Sequence[Path]) -> Iterator[list[tuple[Path, Package | PackageError]]]:
    batch: list[tuple[Path, Package | PackageError]] = []
    size = 0
    for path in paths:
        try:
            package = read_package(path)
            size += sum(len(data) for data in package.files.values())
            batch.append((path, package))
        except PackageError as error:
            batch.append((path, error))
        except Exception as error:  # whatever a stranger's bytes make a library raise, the others are judged
            problem = f"cannot be read: {type(error).__name__}: {error}"[: limits.TEXT_CHARACTERS]
            batch.append((path, PackageError(problem, file=path, rule="readable")))
        if size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _settle(verdict: Verdict, inbox: Path, report: IntakeReport) -> None:
    path = Path(verdict.package.source)
    report.accepted[_text(path)] = verdict.package.name
    report.rows += verdict.rows
    _clear(path, verdict.package, inbox, report)


def _refuse(path: Path, broken: tuple[Broken, ...], inbox: Path, report: IntakeReport) -> None:
    lines = tuple(_text(one) for one in broken)
    report.refused[_text(path)] = lines
    rules = [{"rule": one.rule, "what": line} for one, line in zip(broken, lines, strict=True)]
    told = msgspec.json.encode({"package": _text(path.name), "refused": rules})
    try:
        report.aside[_text(path)] = place = _set_aside(path, inbox)
        durable.write_file(inbox / REFUSED / f"{place.name}.report.json", msgspec.json.format(told, indent=1) + b"\n")
    except OSError as error:
        report.aside.setdefault(_text(path), path)
        report.stuck[_text(path)] = f"cannot be moved to {REFUSED}: {error.strerror or error}"


def _set_aside(path: Path, inbox: Path) -> Path:
    """Move what lies in the inbox, or copy what does not, to `refused`; returns its new place."""
    refused = inbox / REFUSED
    refused.mkdir(parents=True, exist_ok=True)
    # Strangers choose names: one that is too long for `.report.json`, or no text, is not kept.
    name = path.name if path.name.isprintable() and len(path.name.encode()) <= 200 else f"package{path.suffix[:4]}"
    places = (refused / (name if number == 1 else f"{name}.{number}") for number in itertools.count(1))
    place = next(place for place in places if not os.path.lexists(place))
    if path.parent == inbox:
        path.rename(place)
    elif inbox.is_relative_to(path):
        raise OSError("the inbox lies in it")
    elif path.is_dir():
        shutil.copytree(path, place, symlinks=True)
    else:
        shutil.copy2(path, place, follow_symlinks=False)
    return place


def _may_still_arrive(path: Path, now: float) -> bool:
    """Whether it was written to shortly ago, by the time that the system keeps: who uploads can set the other one."""
    try:
        inside = itertools.islice(path.iterdir(), limits.ARCHIVE_MEMBERS_COUNT) if path.is_dir() else ()
        changes = [entry.lstat().st_ctime for entry in (path, *inside)]
    except OSError:
        return False
    return any(abs(now - change) < ARRIVAL_SECONDS for change in changes)


def _clear(path: Path, package: Package, inbox: Path, report: IntakeReport) -> None:
    """Take away what the ledger has. Out of sight in one step first: half a package must never be found and judged."""
    if path.parent != inbox:
        return
    taken = inbox / f"{TAKEN}{package.name}"
    try:
        path.rename(taken)
    except OSError as error:
        report.stuck[_text(path)] = f"is in the ledger, but cannot be removed: {error.strerror}"
    else:
        _remove(taken, report)


def _remove(taken: Path, report: IntakeReport) -> None:
    """Another account's folder may be one that we can rename but not empty: the operator is told, nothing stops."""
    try:
        shutil.rmtree(taken) if taken.is_dir() and not taken.is_symlink() else taken.unlink()
    except OSError as error:
        report.stuck[_text(taken)] = f"is in the ledger, but cannot be removed: {error.strerror}"


def _text(value: object) -> str:
    """A path or message as text that can be encoded: a file's name need not be."""
    return str(value).encode("utf-8", "backslashreplace").decode()
