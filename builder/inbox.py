"""The inbox: packages found on disk, judged, and either taken into the ledger or set aside with a report."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from builder import durable
from builder.election import Definition
from builder.errors import PackageError
from builder.intake import Broken, Verdict, judge
from builder.ledger import Ledger
from builder.recap import Package, read_package
from builder.rows import Rows

__all__ = ["IntakeReport", "find_packages", "find_strays", "take_in"]

# Packages are judged together up to this many bytes of rows: enough for columns to pay, little enough for a small machine.
BATCH_BYTES = 12_000_000
REFUSED = "refused"


@dataclass
class IntakeReport:
    """What became of each package, by the place where it was found."""

    accepted: dict[str, str] = field(default_factory=dict)
    known: dict[str, str] = field(default_factory=dict)
    refused: dict[str, tuple[str, ...]] = field(default_factory=dict)
    aside: dict[str, Path] = field(default_factory=dict)  # where each refused one lies now
    rows: int = 0


def find_packages(path: Path) -> list[Path]:
    """Packages at `path`: itself (a zip, or a folder with recap.toml), or those directly in that folder, by name."""
    if not path.exists():
        raise PackageError("is not there", file=path, rule="readable")
    if path.is_file() or (path / "recap.toml").exists():
        return [path]
    return sorted(entry for entry in path.iterdir() if _is_package(entry))


def _is_package(entry: Path) -> bool:
    return not entry.name.startswith(".") and (entry.suffix == ".zip" or (entry / "recap.toml").exists())


def find_strays(inbox: Path) -> list[Path]:
    """What lies in the inbox and is no package, though somebody may have meant it: a bare CSV, a folder without cover."""
    entries = inbox.iterdir() if inbox.is_dir() else ()
    return sorted(
        entry
        for entry in entries
        if not _is_package(entry) and not entry.name.startswith(".") and entry.name != REFUSED
    )


def take_in(
    paths: Sequence[Path],
    inbox: Path,
    ledger: Ledger,
    rows: dict[str, Rows],
    definition: Definition,
    advance: Callable[[int], None],
) -> IntakeReport:
    """Judge the packages at `paths` and append the accepted ones; `rows` are folded along. Holds the ledger's lock.

    A package is refused whole: it goes to `inbox/refused/` with its report and nothing else changes. What lay in the inbox and was accepted
    is removed there, since the ledger has every byte of it.
    """
    report = IntakeReport()
    with ledger.lock():
        for batch in _batches(paths):
            packages: list[Package] = []
            for path, package in batch:
                if isinstance(package, PackageError):
                    _refuse(path, (Broken.of(package, str(path)),), inbox, report)
                elif package.name in ledger or package.name in [other.name for other in packages]:
                    report.known[package.source] = package.name
                    _clear(path, inbox)
                else:
                    packages.append(package)
            verdicts = judge(packages, rows, definition, len(ledger.packages))
            ledger.add_packages([(verdict.package, verdict.rows) for verdict in verdicts if not verdict.broken])
            for verdict in verdicts:
                _settle(verdict, inbox, report)
            advance(len(batch))
    return report


def _batches(paths: Sequence[Path]) -> Iterator[list[tuple[Path, Package | PackageError]]]:
    batch: list[tuple[Path, Package | PackageError]] = []
    size = 0
    for path in paths:
        try:
            package = read_package(path)
            size += len(package.rows)
            batch.append((path, package))
        except PackageError as error:
            batch.append((path, error))
        if size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _settle(verdict: Verdict, inbox: Path, report: IntakeReport) -> None:
    path = Path(verdict.package.source)
    if verdict.broken:
        _refuse(path, verdict.broken, inbox, report)
    else:
        report.accepted[str(path)] = verdict.package.name
        report.rows += verdict.rows
        _clear(path, inbox)


def _refuse(path: Path, broken: tuple[Broken, ...], inbox: Path, report: IntakeReport) -> None:
    refused = inbox / REFUSED
    refused.mkdir(parents=True, exist_ok=True)
    place = next(
        place
        for place in (
            refused / (path.name if number == 1 else f"{path.name}.{number}") for number in range(1, 1_000_000)
        )
        if not place.exists()
    )
    if path.parent == inbox:
        path.rename(place)
    elif path.is_dir():
        shutil.copytree(path, place, symlinks=True)
    else:
        shutil.copy2(path, place, follow_symlinks=False)
    lines = tuple(str(one) for one in broken)
    told = {
        "package": path.name,
        "refused": [{"rule": one.rule, "what": line} for one, line in zip(broken, lines, strict=True)],
    }
    durable.write_file(
        refused / f"{place.name}.report.json", msgspec.json.format(msgspec.json.encode(told), indent=1) + b"\n"
    )
    report.refused[str(path)] = lines
    report.aside[str(path)] = place


def _clear(path: Path, inbox: Path) -> None:
    """Take away what the ledger has. Out of sight in one step first: half a package must never be found and judged."""
    if path.parent != inbox:
        return
    for left in inbox.glob(".taken-*"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    taken = inbox / f".taken-{path.name}"
    path.rename(taken)
    shutil.rmtree(taken) if taken.is_dir() else taken.unlink()
