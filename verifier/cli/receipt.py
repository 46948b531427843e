"""`terbit-verify receipt`: what became of a package, by the log's own word."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import click

from verifier import limits
from verifier.cli.common import in_words, read_file, read_own, reported, write_json
from verifier.cli.options import FILE

__all__ = ["receipt"]


@click.command()
@click.argument("file", type=FILE)
@click.argument("package")
@click.option(
    "--policy", type=FILE, required=True, help="The election's tlog-policy.txt, from a site that you checked."
)
@click.option("--json", "as_json", is_flag=True, help="Write the outcome as JSON.")
def receipt(*, file: Path, package: str, policy: Path, as_json: bool) -> None:
    """Check a receipt for a recap package: that it is in the public log, accepted or refused, whatever anybody says now.

    PACKAGE is its recap.toml, or the hash that `terbit recap pack` printed.

    \b
    Example:
      terbit-verify receipt 1101.receipt 1101/recap.toml --policy tlog-policy.txt
    """
    from verifier.formats.tlog_policy import Policy
    from verifier.receipt import check_receipt

    with reported(as_json=as_json):
        named = re.fullmatch("[0-9a-f]{64}", package)
        name = package if named else hashlib.sha256(read_file(Path(package), limits.COVER_FILE)).hexdigest()
        found = check_receipt(
            read_file(file, limits.PROOF_FILE), name, read_own(policy, limits.LOG_POLICY_FILE, Policy.parse)
        )
    if as_json:
        write_json(
            {
                "verified": True,
                "package": found.package,
                "accepted": found.accepted,
                "rules": list(found.rules),
                "log": found.origin,
                "index": found.index,
                "witnesses": dict(found.witnesses),
            }
        )
        return
    became = "was accepted" if found.accepted else f"was refused: {', '.join(found.rules)}"
    click.echo(f"Package {found.package} {became} (entry {found.index} of the log {found.origin})")
    for witness, time in found.witnesses.items():
        click.echo(f"Seen by {witness}, {in_words(time)}")
