"""`terbit recover`: ledger and log from what is public."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from publish.cli.options import directory_option, json_option
from verifier.printable import counted, say

__all__ = ["recover"]

CONNECTIONS = 8


@click.command()
@click.argument("place", metavar="URL|DIR")
@directory_option
@json_option
def recover(place: str, directory: Path, as_json: bool) -> None:
    """Rebuild the ledger and the public log from the election's public tree at URL or DIR (with its /<election>/ at the end).

    For when the publisher's machine is lost, or its ledger is an old backup. Needs terbit.toml, content/ and keys/ from a backup. Take the place with the newest
    release, best one that a stranger cannot write: a mirror. Every package is checked against the log, and the log against its key. What is here already
    must be the beginning of what is there.

    Example:  terbit recover https://hasil.example.id/pemilu-2029
    """
    from concurrent.futures import ThreadPoolExecutor

    from publish.signing.keyring import Keyring
    from publish.translog.recover import recover as recover_from
    from publish.workspace import Workspace
    from verifier.cli.places import locate

    workspace = Workspace(directory.resolve())
    found, fetcher, _ = locate(place)
    with workspace.lock(), ThreadPoolExecutor(CONNECTIONS) as executor:
        done = recover_from(workspace, fetcher, found, Keyring(workspace), executor)
    if as_json:
        click.echo(msgspec.json.encode(done))
    if done.without_proof:
        say(
            f"No proof of {', '.join(done.without_proof)} was found there: never public, or try another mirror",
            err=True,
        )
    say(
        f"The ledger has {counted(done.packages, 'package')}, and the log {done.entries} entries up to release {done.release}; new here: {counted(done.new_records, 'record')}. "
        "Next: terbit publish",
        err=True,
    )
