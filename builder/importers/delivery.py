"""From rows of text to recap packages in the inbox: what every importer of results ends with.

A row that a refuse rule would refuse goes into a file beside, with the reason, and the rest goes on: one bad row does
not stop a nation. The same input gives the same packages, byte for byte, whatever the order of its rows.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from builder import durable
from builder.areas import path_name
from builder.election import Contest, Definition
from builder.errors import ImporterError, PackageError
from builder.importers.changes import WITHDRAWAL, changed_rows
from builder.importers.rejects import judge_rows, rejected_rows
from builder.importers.source import ResultsMap
from builder.inbox import packages_in
from builder.recap import (
    REASONS,
    Attestation,
    Cover,
    NamedFile,
    RevisionReason,
    package_files,
    parse_cover,
    read_package,
    row_columns,
)
from builder.rows import Rows, package_text

__all__ = ["ImportReport", "import_results"]

ROOT = "root"
REJECTS_FOLDER = "refused"  # intake looks for packages beside it, not in it
SHOWN = 5
NAMES_CHARACTERS = 300


@dataclass(frozen=True)
class _Delivery:
    """What an import says of all its rows."""

    map_: ResultsMap
    contest: Contest
    source: str
    reason: str | None
    note: str
    withdraw_missing: float


@dataclass(frozen=True)
class ImportReport:
    """What became of a source's rows: `unchanged` are known already, `rejects` is the file with those not taken.

    `problems` tells the first of these.
    """

    packages: tuple[Path, ...]
    rows: int
    unchanged: int
    revised: int
    withdrawn: int
    rejected: int
    rejects: Path | None
    problems: tuple[str, ...] = ()


def import_results(
    path: Path,
    map_: ResultsMap,
    definition: Definition,
    rows: Mapping[str, Rows],
    *,
    reason: str | None = None,
    note: str = "",
    withdraw_missing: float = 0,
    out: Path,
) -> ImportReport:
    """Write packages into `out` with what is new in the source at `path` against `rows`, the ledger's current rows.

    `reason` and `note` go with rows that change published figures; withdrawn ones have the reason `withdrawal`. Rows that the source no longer has are withdrawn in
    the areas that it speaks of, if they are at most `withdraw_missing` (0: none, 1: all) of those known there: a source
    that was cut off must not empty the site.

    Raises:
        ImporterError: with file, line or key, and rule. Nothing is left behind.
    """
    contest = definition.election.contest(map_.contest)
    if contest is None:
        known = ", ".join(contest.id for contest in definition.election.contests)
        problem = f"the election has no contest {map_.contest!r}; it has {known[:300]}"
        raise ImporterError(problem, field="contest", rule="unknown-contest")
    delivery = _Delivery(map_, contest, path.name, reason, note, withdraw_missing)
    return _deliver(map_.read(path, contest), delivery, definition, rows.get(contest.id), out)


def _deliver(
    text: pl.DataFrame, delivery: _Delivery, definition: Definition, known: Rows | None, out: Path
) -> ImportReport:
    """Write packages with the rows of `text` (see `ResultsMap.read`) that are new against `known`."""
    contest = delivery.contest
    if delivery.reason is not None and delivery.reason not in REASONS:
        raise ImporterError(f"unknown reason {delivery.reason!r}; known: {', '.join(sorted(REASONS))}", rule="reason")
    covers = pl.Series("cover", _covers(delivery, definition), dtype=pl.Int32)
    judged = judge_rows(text, delivery.map_, contest, definition, covers)
    recap = delivery.map_.series == "recap"
    rows, unchanged = changed_rows(judged, known, contest, covers, recap=recap, reason=delivery.reason)
    _check_withdrawals(rows, _known_in(known, covers, judged, recap), delivery, definition)
    if not delivery.withdraw_missing:
        rows = rows.filter(pl.col("state") == "")
    if unexplained := rows.filter(pl.col("reason").is_null()).height:
        many = "1 row changes" if unexplained == 1 else f"{unexplained} rows change"
        of_withdrawn = " of the change (withdrawn rows have their own)" if delivery.reason == WITHDRAWAL else ""
        known_reasons = ", ".join(sorted(REASONS - {WITHDRAWAL}))
        problem = f"{many} figures that are known already; give --reason{of_withdrawn}: {known_reasons}"
        raise ImporterError(problem, file=delivery.source, rule="reason-missing")
    packages = _packages(rows, delivery, definition)
    _check_waiting(rows, {name for name, _ in packages}, delivery, definition, out)
    rejects = rejected_rows(text, judged, delivery.map_, contest, definition)
    written, beside = _write(packages, rejects, delivery, out)
    revised = rows.filter((pl.col("revision") > 1) & (pl.col("state") == "")).height
    withdrawn = rows.filter(pl.col("state") == "withdrawn").height
    problems = tuple(_told(row) for row in rejects.head(SHOWN).iter_rows(named=True))
    return ImportReport(written, text.height, unchanged, revised, withdrawn, rejects.height, beside, problems)


def _told(row: dict[str, Any]) -> str:
    place = f"line {row['source']}" if str(row["source"]).isdecimal() else row["source"]
    field = f", field {row['field']}" if row["field"] else ""
    return f"{place}{field}: {row['problem']} [{row['reject']}]"


def _known_in(known: Rows | None, covers: pl.Series, judged: pl.DataFrame, recap: bool) -> int:
    """How many rows are known, and not withdrawn, in the areas that the source speaks of."""
    if known is None:
        return 0
    spoken_of = covers.gather(known.current["area"]).is_in(judged["cover"].drop_nulls().unique().implode())
    return known.current.filter((pl.col("recap") == recap) & ~pl.col("withdrawn") & spoken_of).height


def _check_withdrawals(rows: pl.DataFrame, before: int, delivery: _Delivery, definition: Definition) -> None:
    """A source that lost many rows was rather cut off or filtered than mended."""
    gone = rows.filter(pl.col("state") == "withdrawn")
    if delivery.withdraw_missing and gone.height > delivery.withdraw_missing * before:
        names = ", ".join(definition.areas.names[cover] for cover in gone["cover"].unique(maintain_order=True))
        problem = f"{gone.height} of {before} known rows are not in it any more, in {names[:NAMES_CHARACTERS]}"
        raise ImporterError(f"{problem}; give --yes to withdraw them all", file=delivery.source, rule="withdraw-many")


def _check_waiting(rows: pl.DataFrame, made: set[str], delivery: _Delivery, definition: Definition, out: Path) -> None:
    """What waits in `out` is not known yet: a second package with the same revision of a row would be refused, and
    which of the two is the second only their names would decide."""
    codes = pl.Series("area", definition.areas.codes).gather(rows["place"])
    keys = rows.select(codes, "station", "revision")
    for path in packages_in(out) if out.is_dir() else []:
        if path.name in made:
            continue
        try:
            package = read_package(path)
            if (package.cover.contest, package.cover.series) != (delivery.contest.id, delivery.map_.series):
                continue
            waiting = package_text([(0, package)], delivery.contest)
        except PackageError:
            continue  # intake will say so
        revision = pl.col("revision").cast(pl.Int32, strict=False)
        waiting = waiting.select("area", pl.col("station").fill_null(""), revision)
        if shared := keys.join(waiting, on=keys.columns, how="semi").height:
            problem = f"waits with {shared} of the same rows; publish it or remove it first, then import again"
            raise ImporterError(problem, file=path, rule="waiting")


def _covers(delivery: _Delivery, definition: Definition) -> list[int]:
    """For each area the place of the area at the tier's level above it; the root for areas above that level."""
    election, areas = definition.election, definition.areas
    tier = delivery.map_.tier or election.shard_level
    if tier not in [level.id for level in election.levels]:
        raise ImporterError(f"{tier!r} is not a level of the election", field="tier", rule="unknown-level")
    depth = election.level_number(tier)
    covers: list[int] = []
    for place, level in enumerate(areas.levels):
        covers.append(place if level == depth else covers[areas.parents[place]] if level > depth else 0)
    return covers


def _packages(rows: pl.DataFrame, delivery: _Delivery, definition: Definition) -> list[tuple[str, dict[str, bytes]]]:
    """Folder names and files of the packages: one for each covered area and reason."""
    contest, election, areas = delivery.contest, definition.election, definition.areas
    ordered = rows.sort("cover", "reason", "place", pl.col("station").str.len_bytes(), "station")
    codes = pl.Series("area", areas.codes).gather(ordered["place"])
    table = ordered.with_columns(codes).select(row_columns(contest))
    groups = ordered.group_by("cover", "reason", maintain_order=True).agg(pl.len(), pl.col("time").max())
    made, offset = [], 0
    for cover_place, reason, length, time in groups.iter_rows():
        lines = table.slice(offset, length).write_csv(quote_style="never").encode()
        offset += length
        cover = Cover(
            format="terbit-recap-1",
            election=election.id,
            contest=contest.id,
            series=delivery.map_.series,
            tier=election.levels[areas.levels[cover_place]].id,
            area=areas.codes[cover_place],
            form=delivery.map_.form,
            document=time or "",
            rows=NamedFile("rows.csv", hashlib.sha256(lines).hexdigest(), len(lines)),
            attestation=Attestation("operator", delivery.map_.by),
            revision=RevisionReason(reason, delivery.note) if reason else None,
        )
        files = package_files(cover, lines)
        name = hashlib.sha256(files["recap.toml"]).hexdigest()[:12]
        area = path_name(areas.codes[cover_place]) if cover_place else ROOT
        made.append((f"{contest.id}-{delivery.map_.series}-{area}-{name}", files))
    for _, files in made[:1]:
        _check_texts(files)
    return made


def _check_texts(files: dict[str, bytes]) -> None:
    """What came by map or command line (form, by, note) is the same in every cover, so one tells for all of them."""
    try:
        parse_cover(files["recap.toml"], "recap.toml")
    except PackageError as error:
        raise ImporterError(f"intake would refuse the packages: {error}", rule="cover") from error


def _write(
    packages: list[tuple[str, dict[str, bytes]]], rejects: pl.DataFrame, delivery: _Delivery, out: Path
) -> tuple[tuple[Path, ...], Path | None]:
    """Write everything beside its place first, then move it there: a failed import leaves nothing.

    Nothing is synced: an import can be repeated, and after a power cut intake refuses a package with wrong bytes.
    """
    beside = out / REJECTS_FOLDER / f"{delivery.contest.id}-{delivery.map_.series}-{delivery.source}.rejects.csv"
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".import-") as temporary:
            for name, files in packages:
                folder = Path(temporary) / name
                folder.mkdir()
                for file, data in files.items():
                    (folder / file).write_bytes(data)
            for name, _ in packages:
                if (out / name).exists():
                    shutil.rmtree(out / name)
                os.rename(Path(temporary) / name, out / name)
        if rejects.height:
            beside.parent.mkdir(exist_ok=True)
            durable.write_file(beside, rejects.write_csv().encode())
        else:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise ImporterError(f"cannot be written: {error.strerror}", file=error.filename or out) from error
    return tuple(out / name for name, _ in packages), beside if rejects.height else None
