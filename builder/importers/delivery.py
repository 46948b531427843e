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

import polars as pl

from builder import durable, limits
from builder.areas import path_name
from builder.election import Contest, Definition
from builder.errors import ImporterError, PackageError
from builder.importers.changes import changed_rows
from builder.importers.source import ResultsMap
from builder.recap import (
    REASONS,
    Attestation,
    Cover,
    NamedFile,
    RevisionReason,
    package_files,
    parse_cover,
    row_columns,
)
from builder.rows import Rows
from builder.rules import STATION

__all__ = ["ImportReport", "import_results"]

ROOT = "root"
REJECTS_FOLDER = "refused"  # intake looks for packages beside it, not in it


@dataclass(frozen=True)
class _Delivery:
    """What an import says of all its rows."""

    map_: ResultsMap
    contest: Contest
    source: str
    reason: str | None
    note: str
    withdraw_missing: bool


@dataclass(frozen=True)
class ImportReport:
    """What became of a source's rows: `unchanged` are known already, `rejects` is the file with those not taken."""

    packages: tuple[Path, ...]
    rows: int
    unchanged: int
    revised: int
    withdrawn: int
    rejected: int
    rejects: Path | None


def import_results(
    path: Path,
    map_: ResultsMap,
    definition: Definition,
    rows: Mapping[str, Rows],
    *,
    reason: str | None = None,
    note: str = "",
    withdraw_missing: bool = False,
    out: Path,
) -> ImportReport:
    """Write packages into `out` with what is new in the source at `path` against `rows`, the ledger's current rows.

    `reason` and `note` go with rows that change published figures. With `withdraw_missing`, rows that the source no
    longer has are withdrawn in the areas that it speaks of.

    Raises:
        ImporterError: with file, line or key, and rule. Nothing is left behind.
    """
    contest = definition.election.contest(map_.contest)
    if contest is None:
        known = ", ".join(contest.id for contest in definition.election.contests)
        problem = f"the election has no contest {map_.contest!r}; it has {known[:300]}"
        raise ImporterError(problem, file=path.name, field="contest", rule="unknown-contest")
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
    judged = _judged(text, delivery, definition, covers)
    recap = delivery.map_.series == "recap"
    rows, unchanged = changed_rows(judged, known, contest, covers, recap=recap, reason=delivery.reason)
    if not delivery.withdraw_missing:
        rows = rows.filter(pl.col("state") == "")
    if unexplained := rows.filter(pl.col("reason").is_null()).height:
        problem = f"{unexplained} rows change figures that are known already; give the reason"
        raise ImporterError(problem, file=delivery.source, rule="reason-missing")
    rejects = pl.concat([text.drop("reject", "time", strict=False), judged.select("reject")], how="horizontal")
    rejects = rejects.filter(pl.col("reject").is_not_null())
    written, beside = _write(_packages(rows, delivery, definition), rejects, delivery, out)
    revised = rows.filter((pl.col("revision") > 1) & (pl.col("state") == "")).height
    withdrawn = rows.filter(pl.col("state") == "withdrawn").height
    return ImportReport(written, text.height, unchanged, revised, withdrawn, rejects.height, beside)


def _judged(text: pl.DataFrame, delivery: _Delivery, definition: Definition, covers: pl.Series) -> pl.DataFrame:
    """Rows with `place` (row in `Areas`), `cover` (place of the area that their package covers), figures, `reject`."""
    contest, areas = delivery.contest, definition.areas
    codes, count = pl.Enum(areas.codes), delivery.map_.series == "count"
    figures = text.select(pl.col(name).cast(pl.Int32, strict=False) for name in contest.figures)
    # A cell must read back as what was written: `-0`, ` 42`, `4_2`, `007` and 2^63 all fall out.
    odd = pl.any_horizontal(
        figures[name].cast(pl.String).ne_missing(text[name]) | ~figures[name].fill_null(0).is_between(0, limits.FIGURE)
        for name in contest.figures
    )
    place = text["area"].cast(codes, strict=False).to_physical().cast(pl.Int32).alias("place")
    top = areas.index[contest.area] if contest.area else 0
    last = pl.Series([level == len(definition.election.levels) - 1 for level in areas.levels])
    frame = pl.DataFrame([place, text["station"].fill_null("").alias("station"), *figures.get_columns()]).with_columns(
        covers.gather(place),
        (text["time"] if "time" in text.columns else pl.lit(None, dtype=pl.String)).alias("time"),
    )
    given = text["reject"] if "reject" in text.columns else pl.lit(None, dtype=pl.String)
    station_fits = pl.col("station").str.contains(STATION) if count else pl.col("station") == ""
    tests = (
        ("unknown-area", pl.col("place").is_null()),
        ("contest-area", (pl.col("place") < top) | (pl.col("place") >= areas.ends[top])),
        ("wrong-level", ~last.gather(place.fill_null(0)) & count),
        ("station", ~station_fits),
        ("not-an-integer", odd),
        ("duplicate-row", pl.struct("place", "station").is_duplicated()),
    )
    reasons = (pl.when(broken).then(pl.lit(code)) for code, broken in tests)
    return frame.with_columns(pl.coalesce(given, *reasons).alias("reject"))


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
