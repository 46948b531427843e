"""`terbit doctor`: what could go wrong, looked at beforehand."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from publish.cli.options import directory_option
from verifier.printable import say

if TYPE_CHECKING:
    from publish.doctor.judge import Finding
    from publish.guard.expected import Expected
    from publish.translog.log import Log
    from publish.workspace import Workspace
    from verifier.formats.minisign import PublicKey
    from verifier.formats.note import VerifierKey

__all__ = ["doctor"]


@click.command()
@directory_option
@click.option(
    "--offline", is_flag=True, help="Only what can be seen on this machine: no bucket and no address is asked."
)
@click.option(
    "--passphrase-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the passphrase of the online keys: then it is tried on them.",
)
@click.option("--json", "as_json", is_flag=True, help="Tell the findings as JSON on stdout.")
def doctor(directory: Path, offline: bool, passphrase_file: Path | None, as_json: bool) -> None:
    """Look at configuration, keys, clock, permissions, log and witnesses, targets, public headers, space and expiry dates; each finding has its fix.

    Run it before the night, and after every change. Changes nothing but a probe object at each bucket. Exit code 1 when something fails.

    Example:  terbit doctor --offline
    """
    from publish.workspace import Workspace

    passphrase = passphrase_file.read_bytes().rstrip(b"\r\n") if passphrase_file else None
    counts = {"ok": 0, "warn": 0, "fail": 0}
    told = []
    for finding in _findings(Workspace(directory.resolve()), passphrase, offline):
        counts[finding.level] += 1
        told.append({"level": finding.level, "where": finding.where, "what": finding.what, "fix": finding.fix})
        for line in () if as_json else finding.lines():
            say(line)
    if as_json:
        click.echo(json.dumps(told))
    click.echo(f"{counts['ok']} fine, {counts['warn']} to look at, {counts['fail']} to mend", err=True)
    if counts["fail"]:
        sys.exit(1)


def _findings(workspace: Workspace, passphrase: bytes | None, offline: bool) -> Iterator[Finding]:
    from builder.errors import BuilderError
    from publish.doctor import here
    from publish.errors import PublishError

    yield from here.examine(workspace, passphrase, _now())
    try:
        _ = workspace.config, workspace.definition
    except (PublishError, BuilderError):
        return
    if not offline:
        yield from _targets(workspace)


def _targets(workspace: Workspace) -> Iterator[Finding]:
    from publish.doctor import bucket, log, public
    from publish.doctor.here import expected_at
    from publish.doctor.judge import Finding
    from publish.errors import PublishError
    from publish.signing.ours import read_public_keys

    election, keys = workspace.definition.election.id, read_public_keys(workspace.keys / "public")
    try:
        opened = log.open_log(workspace)
    except PublishError:  # said before
        opened = None
    if opened is not None:
        yield from log.examine_witnesses(workspace, opened[0], opened[1].name)
    for name, target in workspace.config.targets.items():
        found = list(bucket.examine(name, target, election, _now)) if target.bucket is not None else []
        yield from found
        try:
            expected = expected_at(workspace, name)
        except (PublishError, OSError):  # said before
            expected = None
        if expected is not None:
            # What cannot even be reached would only be waited for.
            if not found or found[0].level == "ok":
                yield from _shown(workspace, name, expected, keys, opened)
            for url in target.urls:
                yield from public.examine(url, election, expected, keys, _now)
        if not target.urls:
            what = "terbit.toml does not say where the public reads it, so nobody looks there"
            yield Finding("warn", f"target {name}", what, f'urls = ["https://…/"] in [targets.{name}]')


def _shown(
    workspace: Workspace,
    name: str,
    expected: Expected,
    keys: Sequence[PublicKey],
    opened: tuple[Log, VerifierKey] | None,
) -> Iterator[Finding]:
    """What a target itself shows as the newest release and as the newest checkpoint of the log."""
    from publish.doctor.judge import Finding
    from publish.doctor.log import judge_checkpoint
    from publish.doctor.public import judge_shown
    from publish.errors import TargetError
    from publish.targets import TIMESTAMP
    from publish.targets.open import open_targets
    from verifier.log import CHECKPOINT

    where = f"target {name}"
    try:
        target = next(target for target in open_targets(workspace, lambda text: None) if target.name == name)
        timestamp, checkpoint = (seen.data if (seen := target.read(path)) else b"" for path in (TIMESTAMP, CHECKPOINT))
    except TargetError as error:
        yield Finding("fail", where, str(error), f"mend that, then: terbit reconcile {name}")
        return
    yield judge_shown(where, timestamp, expected, keys)
    if opened is not None:
        yield judge_checkpoint(where, checkpoint, expected, *opened)


def _now() -> datetime:
    return datetime.now(UTC)
