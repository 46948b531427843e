"""`terbit rebuild-and-sign`: what the second signer runs, on another machine."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from publish.cli.options import directory_option, json_option, passphrase_option, quiet_option
from publish.cli.run import now, start
from verifier.printable import counted, say

if TYPE_CHECKING:
    from publish.release.second import Outcome

__all__ = ["rebuild_and_sign"]

SHOWN = 20
POLL_SECONDS = 0.5
LAST_PART_SECONDS = 60.0  # the publisher waits so long by default, too


@click.command("rebuild-and-sign")
@directory_option
@click.option(
    "--watch", metavar="SECONDS", type=click.FloatRange(min=0.1), help="Go on, and look for a draft so often."
)
@passphrase_option
@json_option
@quiet_option
def rebuild_and_sign(
    directory: Path, watch: float | None, passphrase_file: Path | None, as_json: bool, quiet: bool
) -> None:
    """Build the release that waits in the exchange from the same packages, compare every byte, and only then sign it.

    What differs is shown file by file, and nothing is signed; the exit code is 4 then. Without a draft that waits there is nothing to do.

    Example:  terbit rebuild-and-sign --watch 5
    """
    from builder.errors import BuilderError
    from publish.errors import PublishError
    from verifier.errors import VerifierError

    if watch is None:
        outcome = _answer(directory, passphrase_file, as_json, quiet, again=True)
        if outcome is None and not quiet:
            say("No draft waits.", err=True)
        sys.exit(4 if outcome is not None and outcome.differences else 0)
    while True:
        try:
            _answer(directory, passphrase_file, as_json, quiet, again=False)
        except (BuilderError, PublishError, VerifierError, OSError) as error:
            say(f"terbit: {error}", err=True)
        time.sleep(watch)


def _answer(
    directory: Path, passphrase_file: Path | None, as_json: bool, quiet: bool, *, again: bool
) -> Outcome | None:
    """Answer the draft that waits, and then its last part, which the publisher makes after the first answer."""
    from publish.release.second import SecondSigner

    def once(again: bool) -> Outcome | None:
        workspace, stages = start(directory, quiet)
        with workspace.lock():
            found = SecondSigner(workspace, stages, now(), passphrase_file).run(again=again)
        if found is not None:
            _tell(found, as_json, quiet)
        return found

    outcome = once(again)
    end = time.monotonic() + LAST_PART_SECONDS
    while outcome and not (outcome.complete or outcome.differences) and time.monotonic() < end:
        time.sleep(POLL_SECONDS)
        outcome = once(again=False) or outcome
    return outcome


def _tell(outcome: Outcome, as_json: bool, quiet: bool) -> None:
    if as_json:
        click.echo(json.dumps(outcome._asdict()))
    elif outcome.differences:
        for line in outcome.differences[:SHOWN]:
            say(f"DIFFERS {line}")
        if len(outcome.differences) > SHOWN:
            say(f"DIFFERS {len(outcome.differences) - SHOWN} more: --json names them")
    if outcome.differences:
        say(f"Release {outcome.release} is NOT signed: {counted(len(outcome.differences), 'difference')}.", err=True)
    elif not quiet:
        what = "all of it" if outcome.complete else "all but its last part, which the publisher makes now"
        say(f"Release {outcome.release} was built here with the same bytes, and is signed: {what}.", err=True)
