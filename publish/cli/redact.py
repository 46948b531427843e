"""`terbit redact`: withhold a scan, by an order that the public can read."""

from __future__ import annotations

from pathlib import Path

import click

from publish.cli.options import directory_option

__all__ = ["redact_command"]


@click.command("redact")
@click.argument("package")
@click.argument("file")
@click.option(
    "--order",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="Text of the order that demands it, in UTF-8: whose, of when, under which number. It is published.",
)
@directory_option
def redact_command(package: str, file: str, order: Path, directory: Path) -> None:
    """Withhold the scan FILE of the accepted PACKAGE (its hash), by an order whose text is logged and published.

    The next release tells it; the publisher may not delete, so that the guard then takes the file away, and out of the CDN. Clients, mirrors and auditors
    say that the scan is withheld, and by which order; a scan that is missing without one is a failure. Nothing but scans can be withheld. Prints the order's hash.

    Example:  terbit redact 5f70bf18a0… c1.png --order order.txt && terbit publish && terbit guard --once
    """
    from publish.errors import PublishError
    from publish.redaction import redact
    from publish.workspace import Workspace
    from verifier import limits

    workspace = Workspace(directory.resolve())
    try:
        with order.open("rb") as opened:
            text = opened.read(limits.ORDER_FILE + 1)
    except OSError as error:
        raise PublishError(f"{order} cannot be read: {error.strerror}") from error
    with workspace.lock(), workspace.ledger.lock():
        record = redact(workspace.ledger, package, file, text)
    click.echo(record.authority)
    click.echo("Next: terbit publish, then terbit guard --once, which takes the file away", err=True)
