"""`terbit guard`, `terbit heartbeat`, `terbit freeze`: what keeps the last good release in sight."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from publish.cli.options import directory_option, json_option, passphrase_option, quiet_option
from publish.cli.run import now, start
from verifier.printable import counted, say

if TYPE_CHECKING:
    from publish.release.flow import Flow

__all__ = ["freeze", "guard", "heartbeat"]


@click.command()
@directory_option
@passphrase_option
@click.option(
    "--once",
    is_flag=True,
    help="Look once, and end: 0 all is well, 4 something is not what was published, 5 only stale, 1 no answer.",
)
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 3600),
    help="Seconds between two looks. [default: 5, or as terbit.toml says]",
)
@click.option("--no-heal", is_flag=True, help="Only tell; put nothing right.")
@click.option("--json", "as_json", is_flag=True, help="Tell each finding as one JSON object a line on stdout.")
@quiet_option
def guard(
    directory: Path,
    passphrase_file: Path | None,
    once: bool,
    interval: float | None,
    no_heal: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Watch targets and public addresses, and put right what was tampered with.

    Each look compares what every target holds, and what its `urls` answer, with the last release. Findings are lines on stdout, and are kept
    in build/guard/findings.jsonl; [guard] in terbit.toml says who else is told.

    Example:  terbit guard --once --no-heal
    """
    from publish.guard.judge import Finding, exit_code
    from publish.guard.patrol import Patrol

    def tell(finding: Finding) -> None:
        if as_json:
            import msgspec

            click.echo(msgspec.json.encode(finding).decode())
        else:
            say(finding.line())
        sys.stdout.flush()

    def note(text: str) -> None:
        if not quiet:
            say(text, err=True)

    patrol = Patrol(directory.resolve(), not no_heal, lambda: datetime.now(UTC), tell, note, passphrase_file)
    if once:
        findings = patrol.once()
        note(f"{counted(len(findings), 'finding')} at {counted(len(patrol.watches), 'place')}.")
        sys.exit(exit_code(findings))
    patrol.run(interval)


@click.command()
@directory_option
@passphrase_option
@json_option
@quiet_option
def heartbeat(directory: Path, passphrase_file: Path | None, as_json: bool, quiet: bool) -> None:
    """Renew the timestamp alone: the last release is still the newest.

    Takes nothing in and makes no release, whatever waits.

    Example:  terbit heartbeat
    """
    from publish.release.flow import Flow

    workspace, stages = start(directory, quiet)
    with workspace.lock(), Flow(workspace, stages, now(), passphrase_file) as flow:
        try:
            release, expires = _renew(flow)
        finally:
            if as_json:
                click.echo(json.dumps(flow.told()))
    if not as_json and not quiet:
        click.echo(f"Release {release} is still the newest; timestamp renewed until {expires}.", err=True)


@click.command()
@directory_option
@passphrase_option
@click.option("--reason", default="", help="Why; the public is told. [default: asked for]")
@click.option("--end", is_flag=True, help="Take things in again.")
@quiet_option
def freeze(directory: Path, passphrase_file: Path | None, reason: str, end: bool, quiet: bool) -> None:
    """Keep the last release as it is: nothing is taken in, `terbit publish` only renews the timestamp.

    latest.json tells the public since when and why. Where it is so already, the public is told again; a new --reason replaces the old one.

    Example:  terbit freeze --reason "figures of regency 3172 are being looked into"
    """
    from builder import durable
    from builder.errors import BuilderError
    from publish.errors import PublishError
    from publish.release.flow import Flow

    workspace, stages = start(directory, quiet)
    before = workspace.frozen or {}
    if not end:
        reason = _reason(reason or before.get("reason", ""))
    if not reason.isprintable() or len(reason) > 500:
        raise PublishError("the reason is one line of at most 500 characters")
    path, state = workspace.directory / "frozen.toml", "goes on here" if end else "is frozen here: nothing is taken in"
    with workspace.lock(), Flow(workspace, stages, now(), passphrase_file) as flow:
        if end:
            flow.keyring.unlock()  # the public is to be told that it goes on
            path.unlink(missing_ok=True)
        else:  # whoever stops everything in need does not wait for a passphrase
            since = before.get("since") or f"{flow.now:%Y-%m-%dT%H:%M:%SZ}"
            quoted = json.dumps(reason, ensure_ascii=False)
            durable.write_file(path, f'since = "{since}"\nreason = {quoted}\n'.encode())
        if not quiet:
            click.echo(f"The site {state}.", err=True)
        try:
            release, expires = _renew(flow)
        except (BuilderError, PublishError) as error:
            again = "mend that, and run the same command again"
            raise PublishError(f"the site {state}; not all of the public could be told, {again}: {error}") from error
    if not quiet:
        click.echo(f"The public was told: release {release}; timestamp renewed until {expires}.", err=True)


def _reason(given: str) -> str:
    """Why the site is frozen: as given, or asked for at a terminal; a public that is not told makes up its own."""
    if not given and sys.stdin.isatty():
        given = str(click.prompt("Why? The public is told", err=True))
    if not given.strip():
        raise click.UsageError("--reason is missing: the public is told why nothing new comes")
    return given


def _renew(flow: Flow) -> tuple[int, str]:
    """The release whose timestamp was renewed, and until when; PublishError if it was not at every target that shows one of ours."""
    from publish.errors import PublishError

    release = flow.pushes.heartbeat(flow.now)
    unknown = [name for name, base in flow.held.bases.items() if base.seen and not base.record]
    if unknown:
        missed = [f"{name}: what it shows is not recorded here; run: terbit reconcile {name}" for name in unknown]
        raise PublishError("; ".join([*flow.held.failed.values(), *missed]))
    flow.held.check_failed()
    if release == 0:
        raise PublishError("nothing is public yet")
    return release, flow.expires
