"""Compare tallies with everything that a verified release says about their areas."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from verifier.compare.area import AreaReport, Difference, compare_area
from verifier.compare.tallies import OWN_ROW, Figures, Tallies
from verifier.errors import VerificationError, VerifierError
from verifier.fetcher import Fetcher, GaveUpError
from verifier.files import Failure, SignedFile, object_path
from verifier.receiver import check_sha256
from verifier.site import signed_file

if TYPE_CHECKING:
    from verifier.client import Client
    from verifier.compare.definition import Contest, Definition

__all__ = ["Batch", "BatchReport", "Comparison", "compare", "compare_batch"]

BATCH_SIZE = 256
DIFFERENT, NOT_COMPARED = 1, 2


@dataclass(frozen=True)
class Comparison:
    """Tallies of `contest` against `release`, signed as current until `expires`: `rows` of the tallies, how many of them
    were `compared`, in which `columns`; what is not the same; and the files that could not be compared."""

    contest: str
    release: int
    expires: datetime
    columns: tuple[str, ...]
    rows: int
    compared: int
    differences: tuple[Difference, ...]
    failures: tuple[Failure, ...]
    altered: bool

    @property
    def exit_code(self) -> int:
        """As `diff`: 0 all the same, 1 differences, 2 some could not be compared; 4 if files are not what was signed."""
        if self.failures:
            return VerificationError.exit_code if self.altered else NOT_COMPARED
        return DIFFERENT if self.differences else 0


@dataclass(frozen=True)
class Batch:
    """Results files to read and compare, each with its area's tallies."""

    fetcher: Fetcher
    files: Sequence[tuple[SignedFile, Mapping[str, Figures]]]
    columns: tuple[str, ...]
    missing: bool


@dataclass(frozen=True)
class BatchReport:
    reports: tuple[AreaReport, ...]
    failures: tuple[Failure, ...]
    altered: bool


def compare(
    client: Client,
    fetcher: Fetcher,
    executor: Executor,
    definition: Definition,
    contest: Contest,
    tallies: Tallies,
    *,
    missing: bool = False,
    progress: Callable[[int, int], None] = lambda done, known: None,
) -> Comparison:
    """Compare each row of `tallies` with the refreshed `client`'s release; files come from `fetcher`, on `executor`.

    Only files whose bytes are the signed ones count; one that is not stops nothing else. `missing`: also tell stations of
    the tallies' areas that the tallies leave out. VerifierError if signed metadata cannot be had or does not hold.
    """
    files, unlisted = _listed(client, definition, contest, tallies)
    starts = range(0, len(files), BATCH_SIZE)
    batches = [Batch(fetcher, files[start : start + BATCH_SIZE], tallies.columns, missing) for start in starts]
    compared, altered = 0, False
    failures: list[Failure] = []
    for number, done in enumerate(executor.map(compare_batch, batches), 1):
        for report in done.reports:
            compared += report.compared
            unlisted += report.differences
        failures += done.failures
        altered |= done.altered
        progress(min(number * BATCH_SIZE, len(files)), len(files))
    return Comparison(
        contest=contest.id,
        release=client.snapshot.version,
        expires=client.expires,
        columns=tallies.columns,
        rows=tallies.rows,
        compared=compared,
        differences=tuple(sorted(unlisted, key=lambda one: (one.page, one.area, *_numbers_first(one.station)))),
        failures=tuple(failures),
        altered=altered,
    )


def _numbers_first(station: str) -> tuple[int, str]:
    """2 before 10; the area's own row before its stations."""
    if station == OWN_ROW:
        return -1, station
    return (int(station) if station.isdecimal() and len(station) <= 16 else 10**16, station)


def _listed(
    client: Client, definition: Definition, contest: Contest, tallies: Tallies
) -> tuple[list[tuple[SignedFile, Mapping[str, Figures]]], list[Difference]]:
    """The results files of the tallies' areas, as the roles that may speak for them list them; rows of other areas."""
    wanted: dict[str, dict[str, str]] = {}
    unlisted: list[str] = []
    for area in tallies.areas:
        if area in definition.levels:
            role, path = definition.path(contest, area)
            wanted.setdefault(role, {})[path] = area
        else:
            unlisted.append(area)
    files: list[tuple[SignedFile, Mapping[str, Figures]]] = []
    for signed in client.walk(only={contest.group, *wanted}):
        paths = wanted.get(signed.name, {})
        listed = signed.targets.targets
        for path in [path for path in paths if path in listed]:
            files.append((signed_file(signed, path, listed[path], {}), tallies.areas[paths.pop(path)]))
    unlisted += [area for paths in wanted.values() for area in paths.values()]
    return files, [
        Difference("unlisted", area, "", station, "") for area in unlisted for station in tallies.areas[area]
    ]


def compare_batch(batch: Batch) -> BatchReport:
    """Read, verify and compare the files of a batch; a failure never hides the next one."""
    reports: list[AreaReport] = []
    failures: list[Failure] = []
    altered = False
    for file, tallies in batch.files:
        path = object_path(file)
        try:
            data = batch.fetcher.fetch(path, file.length)
            check_sha256(hashlib.sha256(data).hexdigest(), file.sha256)
            reports.append(compare_area(data, file.path, batch.columns, tallies, missing=batch.missing))
        except VerifierError as error:
            failures.append(Failure(path, str(error)))
            altered |= error.exit_code == VerificationError.exit_code
            if isinstance(error, GaveUpError):
                failures.append(Failure(path, "nor were the files after it compared"))
                break
    return BatchReport(tuple(reports), tuple(failures), altered)
