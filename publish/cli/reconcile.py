"""`terbit reconcile`: what a target holds, learnt from the target itself."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from publish.cli.options import directory_option
from verifier.printable import counted, say

if TYPE_CHECKING:
    from publish.workspace import Workspace

__all__ = ["reconcile"]


@click.command()
@click.argument("names", metavar="[TARGET]...", nargs=-1)
@directory_option
@click.option("--no-heal", is_flag=True, help="Only tell what is wrong there; put nothing right.")
@click.option("--json", "as_json", is_flag=True, help="Tell what was found as JSON on stdout.")
def reconcile(names: tuple[str, ...], directory: Path, no_heal: bool, as_json: bool) -> None:
    """Learn from each TARGET itself what it holds (default: all), and put right what is not so.

    For when build/targets/ was lost, or a target was changed by hand. Verifies what stands there from the first root on, and writes the record by which
    the next `terbit publish` costs only what changed. Then every file there is listed, read and compared, and put right with the guard's credentials.
    Exit code 4 if something could not be, 1 if a target could not be learnt from.

    Example:  terbit reconcile bucket --no-heal
    """
    from publish.errors import ConfigError
    from publish.workspace import Workspace

    workspace = Workspace(directory.resolve())
    for name in names:
        if name not in workspace.config.targets:
            known = ", ".join(workspace.config.targets)
            raise ConfigError(f"terbit.toml has no target {name!r}; it has {known}")
    told = [_reconcile(workspace, name, not no_heal, as_json) for name in names or workspace.config.targets]
    if as_json:
        click.echo(json.dumps(told))
    if any("error" in one for one in told):
        sys.exit(1)
    if any(one["left"] for one in told):
        sys.exit(4)


def _reconcile(workspace: Workspace, name: str, heal: bool, quiet: bool) -> dict[str, Any]:
    import msgspec

    from publish.errors import TargetError
    from publish.guard.reconcile import rebuild
    from publish.guard.watch import TargetWatch, open_inventories
    from publish.signing.keyring import Keyring

    try:
        with workspace.lock():
            inventories = open_inventories(workspace)
            every = [inventories.pop(name), *inventories.values()]
            record = rebuild(workspace, name, every, Keyring(workspace))
        if record is None:
            say(f"{name}: nothing is published there; run: terbit publish", err=True)
            return {"target": name, "release": 0, "found": [], "left": 0}
        watch = TargetWatch(workspace.directory, name, heal, lambda: datetime.now(UTC))
        findings = watch.sweep()
    except TargetError as error:
        say(f"{name}: {error}", err=True)
        return {"target": name, "error": str(error)}
    watch.save()
    left = [one for one in findings if not one.done.startswith(("put back", "removed"))]
    if not quiet:
        for finding in findings:
            say(finding.line())
    say(
        f"{name}: release {record.release}; {counted(len(findings), 'file')} not right, {len(left)} still not", err=True
    )
    found = [msgspec.to_builtins(one) for one in findings]
    return {"target": name, "release": record.release, "found": found, "left": len(left)}
