"""`terbit import`: results and areas of others to recap packages and `areas.csv`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack

import click

from publish.cli.options import directory_option
from verifier.printable import counted, say

if TYPE_CHECKING:
    from builder.importers.source import ResultsMap

__all__ = ["import_group"]

F = TypeVar("F", bound=Callable[..., Any])
SOURCE = click.Path(exists=True, path_type=Path)
IMPORTS = "imports"  # in the workspace
WITHDRAWALS = 0.05  # of the known rows; a source that lacks more was rather cut off


class DeliveryOptions(TypedDict):
    """What `_delivery_options` adds to a command."""

    directory: Path
    reason: str | None
    note: str
    withdraw_missing: bool
    yes: bool
    out: Path | None
    as_json: bool


def _delivery_options(command: F) -> F:
    """Options of the commands that make recap packages."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Tell what was done as JSON on stdout."),
        click.option(
            "--out",
            type=click.Path(file_okay=False, path_type=Path),
            help="Where packages go. [default: the inbox; imports/ where officials sign]",
        ),
        click.option(
            "-y", "--yes", is_flag=True, help="Withdraw them even if they are more than 5 % of the known rows."
        ),
        click.option("--withdraw-missing", is_flag=True, help="Withdraw known rows that the source no longer has."),
        click.option("--note", default="", help="A remark that is published with changed figures."),
        click.option("--reason", help="Why published figures change: transcription, recount, source…"),
        directory_option,
    ):
        command = option(command)
    return command


@click.group("import")
def import_group() -> None:
    """Turn results and areas of others into recap packages and areas.csv.

    Example:  terbit import csv tps.csv.gz --map kpu-2019-ppwp && terbit publish
    """


@import_group.command("csv")
@click.argument("file", type=SOURCE)
@click.option("--map", "map_name", required=True, help="A map's path, or the name of one that comes with Terbit.")
@_delivery_options
def csv_command(*, file: Path, map_name: str, **options: Unpack[DeliveryOptions]) -> None:
    """Write packages with what is new in FILE (.csv or .csv.gz) against the ledger.

    Rows that cannot be taken go to refused/*.rejects.csv beside the packages, with the reason; the rest is taken. Exit
    code 1 when there are some.

    Example:  terbit import csv tps.csv.gz --map kpu-2019-ppwp
    """
    from builder.importers.csv import CsvMap
    from builder.importers.source import load_map

    _deliver(file, load_map(map_name, CsvMap), map_name, options)


@import_group.command("sirekap")
@click.argument("path", type=SOURCE)
@click.option(
    "--map", "map_name", default="sirekap-2024-ppwp", show_default=True, help="Candidates' ids: a path or a name."
)
@click.option(
    "--candidates", multiple=True, metavar="ID=NUMBER", help="A candidate's id and number, beside those of the map."
)
@_delivery_options
def sirekap_command(
    *, path: Path, map_name: str, candidates: tuple[str, ...], **options: Unpack[DeliveryOptions]
) -> None:
    """Write packages with what is new in PATH, a folder or zip of Sirekap's raw JSON of polling stations.

    Example:  terbit import sirekap tps.zip --candidates 100025=1
    """
    import msgspec

    from builder.importers.sirekap import SirekapMap
    from builder.importers.source import load_map

    map_ = load_map(map_name, SirekapMap)
    map_ = msgspec.structs.replace(map_, candidates={**map_.candidates, **dict(map(_candidate, candidates))})
    _deliver(path, map_, map_name, options)


@import_group.command("areas")
@click.argument("file", type=SOURCE)
@click.option("--map", "map_name", required=True, help="A map's path, or the name of one that comes with Terbit.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The areas.csv to write."
)
def areas_command(file: Path, map_name: str, output: Path) -> None:
    """Write areas.csv from FILE (.csv or .csv.gz).

    Example:  terbit import areas wilayah.csv.gz --map kpu-2024-areas -o content/areas.csv
    """
    from builder import durable
    from builder.importers.areas import AreasMap, import_areas
    from builder.importers.source import load_map

    data = import_areas(file, load_map(map_name, AreasMap))
    durable.write_file(output, data)
    click.echo(output)
    lines = data.count(b"\n")
    click.echo(counted(lines - 1, "area"), err=True)


def _candidate(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    if not name or not number.isascii() or not number.isdecimal():
        raise click.UsageError(f"--candidates {text!r} is not of the form 100025=1")
    return name, int(number)


def _deliver(path: Path, map_: ResultsMap, map_name: str, options: DeliveryOptions) -> None:
    """Write the packages, and tell what was done."""
    from builder.errors import ImporterError
    from builder.importers.delivery import import_results
    from publish.workspace import Workspace

    workspace = Workspace(options["directory"].resolve())
    # Where officials sign, nothing unsigned in the inbox counts: anybody may have put it there.
    unsigned = workspace.inputs.allowed_signers is not None
    out = options["out"] or (workspace.directory / IMPORTS if unsigned else workspace.inbox)
    try:
        report = import_results(
            path,
            map_,
            workspace.definition,
            workspace.rows,
            reason=options["reason"],
            note=options["note"],
            withdraw_missing=options["withdraw_missing"] and (1 if options["yes"] else WITHDRAWALS),
            out=out,
        )
    except ImporterError as error:
        if error.file is None and error.field is not None:  # something that the map says
            raise ImporterError(error.problem, file=map_name, field=error.field, rule=error.rule) from None
        raise
    if options["as_json"]:
        click.echo(json.dumps(asdict(report), default=str))
    else:
        for package in report.packages:
            click.echo(package)
    told = [f"{counted(report.rows, 'row')} read", f"{counted(len(report.packages), 'package')} written"]
    told += [f"{report.unchanged} known already"]
    told += [f"{report.revised} revised", f"{report.withdrawn} withdrawn", f"{report.rejected} rejected"]
    click.echo(", ".join(told), err=True)
    if unsigned and report.packages:
        say(f"Unsigned: to vouch for them yourself, terbit publish --attest {out}", err=True)
    if report.rejects:
        for problem in report.problems:
            say(f"  {problem}", err=True)
        say(f"All that was rejected, with the reasons: {report.rejects}", err=True)
        sys.exit(1)
