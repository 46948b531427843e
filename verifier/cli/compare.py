"""`terbit-verify compare`: somebody's own tallies against the signed figures."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from verifier.cli.common import collection_paused, progress_bar, reported, write_json
from verifier.cli.options import FILE, NEW_FILE, TrustOptions, now_option, trust_options
from verifier.cli.places import executor_for, locate
from verifier.errors import VerifierError
from verifier.printable import say
from verifier.reports import write_whole

if TYPE_CHECKING:
    from verifier.compare.definition import Contest, Definition

__all__ = ["compare"]

NOT_COMPARED = 2
CONTESTS_NAMED = 20


@click.command("compare")
@click.argument("file", metavar="CSV", type=FILE)
@click.argument("place", metavar="URL|DIR")
@click.option("--contest", "contest_id", metavar="ID", help="Which contest. Default: the only one.")
@click.option(
    "--columns", metavar="OURS=YOURS,…", default="", help="Columns that have other names, as area=KODE,station=TPS."
)
@click.option("--all", "missing", is_flag=True, help="Also tell stations of these areas that CSV leaves out.")
@click.option("--html", type=NEW_FILE, help="Write the report as a page, too.")
@click.option("--csv", "table", type=NEW_FILE, help="Write the differences as CSV, too.")
@click.option("--json", "as_json", is_flag=True, help="Write the report as JSON.")
@trust_options
@now_option
def compare(
    *,
    file: Path,
    place: str,
    contest_id: str | None,
    columns: str,
    missing: bool,
    html: Path | None,
    table: Path | None,
    as_json: bool,
    trust: TrustOptions,
    now: datetime | None,
) -> None:
    """Compare your own tallies with the signed figures at URL or in DIR, station by station.

    CSV has the columns area, station, votes_1, … and any of the form's other figures; a row with an empty station is
    the area's own recapitulation, and an empty cell is not compared. Only files that verify count.

    \b
    Example:
      terbit-verify compare tallies.csv https://example.org/pemilu-2019 --root-sha256 9f86d0…
      terbit-verify compare tallies.csv public --columns area=KODE,station=TPS --html report.html --csv differences.csv

    Exit status, as of diff: 0 the same, 1 differences, 2 usage, or something could not be compared, 4 not what was
    published, 5 expired.
    """
    from verifier.compare import output

    names = _names(columns)
    place, fetcher, _ = locate(place)
    base = output.base_of(place)
    with _reported_as_diff(as_json):
        with executor_for(place) as executor, collection_paused(), progress_bar() as progress:
            from verifier.compare.definition import load_definition
            from verifier.compare.run import compare as compare_all
            from verifier.compare.tallies import read_tallies

            client = trust.client(place, fetcher, now)
            definition = load_definition(client)
            contest = _contest(definition, contest_id)
            tallies = read_tallies(file, contest.figures, names)
            comparison = compare_all(
                client, fetcher, executor, definition, contest, tallies, missing=missing, progress=progress
            )
        if html is not None:
            from verifier.compare.page import html_page

            write_whole(html, html_page(comparison, base, file.name))
        if table is not None:
            write_whole(table, output.csv_table(comparison, base))
    for name in tallies.ignored:
        say(f"terbit-verify: not compared: the column {name} of {file}", err=True)
    if as_json:
        write_json(output.as_json(comparison, base))
    else:
        for line in output.lines(comparison, base):
            say(line)
    sys.exit(comparison.exit_code)


def _names(columns: str) -> dict[str, str]:
    """`area=KODE,station=TPS` as a mapping."""
    pairs = [pair.partition("=") for pair in columns.split(",") if pair]
    names = {ours: yours for ours, equals, yours in pairs if ours and equals and yours}
    if len(names) != len(pairs):
        raise click.UsageError(f"--columns wants OURS=YOURS,…, each of ours once, not {columns!r}")
    return names


def _contest(definition: Definition, wanted: str | None) -> Contest:
    from verifier.compare.tallies import InputError

    contests = definition.contests
    if wanted is None and len(contests) == 1:
        return next(iter(contests.values()))
    if wanted is None or wanted not in contests:
        some = ", ".join(sorted(contests)[:CONTESTS_NAMED])
        raise InputError(
            f"say which of the {len(contests)} contests with --contest: {some}{', …' * (len(contests) > CONTESTS_NAMED)}"
        )
    return contests[wanted]


@contextmanager
def _reported_as_diff(as_json: bool) -> Iterator[None]:
    """As for every command, but 2 for what could not be compared: 1 says that there are differences."""
    try:
        with reported(as_json=as_json):
            yield
    except SystemExit as end:
        sys.exit(NOT_COMPARED if end.code == VerifierError.exit_code else end.code)
