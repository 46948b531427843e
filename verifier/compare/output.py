"""A comparison as lines for a terminal, as CSV for spreadsheets, as JSON."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from verifier.compare.area import Difference, Revision
from verifier.compare.run import Comparison

__all__ = ["as_json", "base_of", "change", "csv_table", "gap", "lines", "shown"]

SHOWN = 100
HEADER = (
    "kind", "area", "name", "station", "figure", "yours", "published", "difference", "state", "revision", "history",
    "findings", "page",
)  # fmt: skip
WORDS = {"unlisted": "only in your tallies", "missing": "not in your tallies"}
# A spreadsheet takes a cell that begins so for a formula, which can fetch and send: a number alone cannot.
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]")
_NUMBER = re.compile(r"-?[0-9]+")


def base_of(place: str) -> str:
    """What stands before a page's path in a link."""
    return f"{place if '://' in place else Path(place).as_uri()}/"


def lines(comparison: Comparison, base: str) -> Iterator[str]:
    """The report for people; long ones are cut. Not yet printable: strangers' names are in it."""
    for failure in comparison.failures:
        yield f"NOT COMPARED {failure.path}: {failure.what}"
    page = None
    for one in comparison.differences[:SHOWN]:
        if (one.area, one.page) != page:
            page = (one.area, one.page)
            yield (
                f"{one.name} ({one.area})  {base}{one.page}" if one.page else f"{one.area}: the site lists no such area"
            )
            yield f"  {'station':<16} {'figure':<18} {'yours':>11} {'published':>11} {'difference':>11}"
        yield from _rows(one)
    if len(comparison.differences) > SHOWN:
        yield f"{len(comparison.differences) - SHOWN} more: --csv, --html and --json have all of them"
    yield (
        f"Release {comparison.release}, contest {comparison.contest}: {comparison.compared} of {comparison.rows} rows "
        f"compared in {', '.join(comparison.columns)}"
    )
    count = len(comparison.differences)
    yield f"{count} stations or recapitulations are NOT the same" if count else "No differences"


def _rows(one: Difference) -> Iterator[str]:
    station = one.station or "(recap)"
    if one.kind != "differs":
        yield f"  {station:<16} {WORDS[one.kind]}"
    for figure in one.figures:
        yield (
            f"  {station:<16} {figure.figure:<18} {shown(figure.yours):>11} {shown(figure.published):>11} "
            f"{gap(figure.yours, figure.published):>11}"
        )
    if one.state:
        yield f"    state: {one.state}"
    for revision in one.history:
        yield f"    {change(revision)}"
    for finding in one.findings:
        yield f"    finding: {finding.rule}, {shown(finding.left)} against {shown(finding.right)}"


def change(revision: Revision) -> str:
    """One line of a row's history."""
    changes = ", ".join(f"{name} {shown(old)} → {shown(new)}" for name, old, new in revision.changes)
    withdrawn = "withdrawn; " if revision.state else ""
    note = f" ({revision.note})" if revision.note else ""
    document = f", document {revision.document}" if revision.document else ""
    return (
        f"revision {revision.revision}, release {revision.release}: {withdrawn}{changes or 'no figure'}; "
        f"{revision.reason}{note}, by {revision.by}{document}"
    )


def shown(figure: int | None) -> str:
    """A figure for people."""
    return "–" if figure is None else str(figure)


def gap(yours: int | None, published: int | None) -> str:
    """Yours less the published one."""
    return "" if yours is None or published is None else f"{yours - published:+}"


def csv_table(comparison: Comparison, base: str) -> str:
    """One line a figure that differs, and one for each row that only one side has."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(HEADER)
    for one in comparison.differences:
        head = (one.kind, one.area, one.name, one.station)
        tail = (
            one.state,
            str(one.revision or ""),
            "; ".join(map(change, one.history)),
            " ".join(finding.rule for finding in one.findings),
            base + one.page if one.page else "",
        )
        figures = [
            (each.figure, _cell(each.yours), _cell(each.published), gap(each.yours, each.published).lstrip("+"))
            for each in one.figures
        ]
        for row in figures or [("", "", "", "")]:
            writer.writerow(map(_harmless, (*head, *row, *tail)))
    return stream.getvalue()


def _cell(figure: int | None) -> str:
    return "" if figure is None else str(figure)


def _harmless(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


def as_json(comparison: Comparison, base: str) -> dict[str, object]:
    """The whole report; pages as links."""
    return {
        "verified": not comparison.failures,
        "contest": comparison.contest,
        "release": comparison.release,
        "expires": comparison.expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "columns": list(comparison.columns),
        "rows": comparison.rows,
        "compared": comparison.compared,
        "differences": [
            {**msgspec.to_builtins(one), "page": base + one.page if one.page else None}
            for one in comparison.differences
        ],
        "failures": [{"path": failure.path, "what": failure.what} for failure in comparison.failures],
    }
