"""`terbit recap`: what an official does: make a package of a CSV, and sign it; and what he gets for it: a receipt."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import click

from publish.cli.options import directory_option
from verifier.printable import say

__all__ = ["recap"]

SHOWN = 20  # findings named one by one
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(
    epilog="Example:  terbit recap pack rows.csv --contest ppwp --area 1101 --key ~/.ssh/id_ed25519 -o 1101.zip"
)
def recap() -> None:
    """Make and sign recap packages, as an official of an area."""


@recap.command()
@click.argument("csv", type=FILE)
@click.option("--contest", required=True, help="The contest's id in election.toml.")
@click.option("--area", required=True, help="Code of the area whose rows these are.")
@click.option("--by", help="Code of your own area, if it lies above. [default: the same]")
@click.option("--tier", help="Level of the area, to be sure of it.")
@click.option(
    "--series",
    type=click.Choice(["count", "recap"]),
    required=True,
    help="Stations' forms, or a tier's recapitulation.",
)
@click.option("--form", default="", help="Name of the form.")
@click.option("--document", default="", help="Number of the document.")
@click.option("--reason", help="Why rows revise published ones: transcription, recount, court…")
@click.option("--note", default="", help="A remark that is published with the reason.")
@click.option(
    "--scan",
    "scans",
    type=FILE,
    multiple=True,
    help="A scan of a form, named <area>_<station>.jpg, or <area>.pdf for the area's own. Repeatable.",
)
@click.option("--map", "map_name", help="Read CSV by this map (a path or a name) instead of as rows.csv.")
@click.option(
    "--key", type=FILE, required=True, help="SSH key; the .pub of one that an agent holds, or a hardware key's file."
)
@click.option(
    "--content",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path("content"),
    show_default=True,
    help="Folder with the election's election.toml and areas.csv, and allowed_signers if you have it.",
)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The zip to write."
)
def pack(
    *,
    csv: Path,
    contest: str,
    area: str,
    by: str | None,
    tier: str | None,
    series: Literal["count", "recap"],
    scans: tuple[Path, ...],
    map_name: str | None,
    key: Path,
    content: Path,
    output: Path,
    **texts: Any,  # noqa: ANN401 - form, document, reason, note
) -> None:
    """Make a recap package of CSV, sign it, and write it to a zip to hand in.

    CSV has the columns of rows.csv (docs/formats.md), or those that --map reads. What intake would refuse is refused here, but for what only the ledger knows:
    whether a row's revision is the next one. ssh-keygen signs, and asks for passphrase, PIN or touch. Prints the package's hash.

    Example:  terbit recap pack rows.csv --contest ppwp --area 1101 --series count --form C1 --key ~/.ssh/id_ed25519 -o 1101.zip
    """
    from builder import durable, limits
    from builder.election import load_definition
    from builder.errors import PackageError
    from builder.importers.csv import CsvMap
    from builder.importers.source import load_map
    from builder.recap import SCAN_NAME
    from publish.recap_pack import HandIn, findings, make_package, mapped_rows, scan_problems, sign_package, zip_package

    definition = load_definition(content)
    if len({path.name for path in scans}) < len(scans):
        raise click.UsageError(
            "two scans have the same name; pages would show one of them: rename it, say to <area>_<station>_2.jpg"
        )
    if wrong := [path.name for path in scans if re.fullmatch(SCAN_NAME, path.name) is None]:
        raise click.UsageError(
            f"--scan {wrong[0]!r}: name it <area>_<station>.jpg, or <area>.pdf for the area's own: letters, digits, “.”, “_”, “-” and a picture's or PDF's ending"
        )
    named = {path.name: _read(path, limits.SCAN_FILE) for path in scans}
    hand_in = HandIn(contest, series, area, by or area, scans=named, **texts)
    if map_name is not None:
        rows = mapped_rows(csv, load_map(map_name, CsvMap), hand_in, definition)
    else:
        rows = _read(csv, limits.ROWS_FILE)
    package = make_package(rows, hand_in, definition)
    if tier is not None and tier != package.cover.tier:
        raise PackageError(f"area {area!r} is of level {package.cover.tier!r}, not {tier!r}", rule="tier")
    _warn(
        findings(package, definition),
        "that the public would see; intake takes them, mend the rows if they are mistakes",
    )
    _warn(scan_problems(package), "about scans; intake takes them")
    signers = content / "allowed_signers"
    allowed = signers.read_bytes() if signers.exists() else None
    files = sign_package(package, key, definition, allowed, datetime.now(UTC))
    durable.write_file(output, zip_package(files))
    click.echo(package.name)
    say(f"{output}: hand it in as it is", err=True)


@recap.command()
@click.argument("package", type=click.Path(exists=True, path_type=Path))
@directory_option
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The receipt to write."
)
def receipt(*, package: Path, directory: Path, output: Path) -> None:
    """Write the sender's receipt for PACKAGE as it was handed in: a proof that it is in the public log, accepted or refused.

    He checks it with terbit-verify receipt, and keeps it: it holds whatever becomes of the package here.

    Example:  terbit recap receipt 1101.zip -o 1101.receipt
    """
    from builder import durable
    from builder.errors import PackageError
    from builder.recap import read_hand_in
    from publish.signing.keyring import Keyring
    from publish.translog.log import Log
    from publish.translog.receipt import make_receipt
    from publish.workspace import Workspace

    hand_in = read_hand_in(package)
    if hand_in is None:
        raise PackageError("is no package: a folder with recap.toml, or a zip", file=package, rule="readable")
    workspace = Workspace(directory.resolve())
    proof = make_receipt(Log(workspace.log, Keyring(workspace).log_key), hand_in.name)
    durable.write_file(output, proof.encode())
    say(f"{output}: entry {proof.index} of the log", err=True)


def _warn(found: list[str], about: str) -> None:
    """Tell, before anything is signed, what may be a mistake."""
    if not found:
        return
    what = "1 finding" if len(found) == 1 else f"{len(found)} findings"
    say(f"{what} {about}:", err=True)
    for line in found[:SHOWN]:
        say(f"  {line}", err=True)
    if len(found) > SHOWN:
        say(f"  and {len(found) - SHOWN} more", err=True)


def _read(path: Path, cap: int) -> bytes:
    from builder.errors import PackageError

    with path.open("rb") as file:
        data = file.read(cap + 1)
    if len(data) > cap:
        raise PackageError(f"more than {cap} bytes", file=path, rule="size")
    return data
