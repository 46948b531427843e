"""What the commands that take packages in and publish share: how they begin, and what they tell."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from verifier.printable import counted, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from builder.inbox import IntakeReport
    from publish.planning.changes import Changes
    from publish.progress import Stages
    from publish.release.flow import Flow
    from publish.workspace import Workspace

__all__ = ["check_attest", "now", "publish_and_tell", "start", "take_in", "tell_intake", "tell_strays"]


def now() -> datetime:
    """The clock, in seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def start(directory: Path, quiet: bool) -> tuple[Workspace, Stages]:
    """The workspace, and what tells the stages of a run over it."""
    from publish.progress import Stages
    from publish.workspace import Workspace

    return Workspace(directory.resolve()), Stages(quiet)


def check_attest(attest: bool, paths: tuple[Path, ...]) -> None:
    """Whoever vouches says for what: the inbox is full of what strangers may have put there."""
    if attest and not paths:
        raise click.UsageError("--attest needs the PATHS that you vouch for")


def take_in(flow: Flow, paths: tuple[Path, ...], *, attested: bool = False) -> bool:
    """Take packages in and say what is wrong with them; True if one was refused."""
    from publish.release.intake import take_in_packages

    flow.check_before_intake()
    report = take_in_packages(flow.workspace, paths, flow.stages, flow.now, flow.workers, attested=attested)
    _tell_problems(report)
    tell_strays(flow.workspace)
    return bool(report.refused)


def publish_and_tell(flow: Flow, agree: Callable[[Changes], bool] | None, as_json: bool, quiet: bool) -> None:
    """Publish, and say what was done; as JSON also where it waits for a yes or failed at a target."""
    try:
        flow.publish(agree)
    finally:
        if as_json:
            seconds = {name: round(value, 3) for name, value in flow.stages.seconds.items()}
            click.echo(json.dumps({**flow.told(), "seconds": seconds}))
    if not as_json and not quiet:
        click.echo(_published_text(flow.told()), err=True)


def _published_text(told: dict[str, Any]) -> str:
    if not told["files"]:
        return f"Release {told['release']} is still the newest; timestamp renewed until {told['expires']}."
    return f"Release {told['release']} is public: {counted(told['files'], 'file')} changed. Timestamp good until {told['expires']}."


def tell_intake(report: IntakeReport, as_json: bool) -> None:
    """Say what became of each package; as JSON alone where a program reads it."""
    if as_json:
        click.echo(
            json.dumps(
                {
                    "accepted": report.accepted,
                    "known": report.known,
                    "refused": report.refused,
                    "waiting": report.waiting,
                    "rows": report.rows,
                }
            )
        )
        return
    for name in report.accepted.values():
        click.echo(name)
    click.echo(
        f"{counted(len(report.accepted), 'package')} ({counted(report.rows, 'row')}) accepted, {len(report.known)} known already, {len(report.refused)} refused",
        err=True,
    )
    _tell_problems(report)


def _tell_problems(report: IntakeReport) -> None:
    if report.unrecorded:
        say(
            f"{report.unrecorded} refusals are too many of one sender, or of strangers, to be logged in one run; see inbox/refused",
            err=True,
        )
    for path, lines in report.refused.items():
        say(f"refused {path}, which lies in {report.aside[path]} now", err=True)
        for line in lines:
            say(f"  {line}", err=True)
    for path, problem in report.waiting.items():
        say(f"{path} may still be arriving and is looked at again by the next run: {problem}", err=True)
    for path, problem in report.stuck.items():
        say(f"{path} {problem}", err=True)


def tell_strays(workspace: Workspace) -> None:
    """Say what lies in the inbox and is no package."""
    from builder.inbox import find_strays

    for path in find_strays(workspace.inbox):
        say(
            f"{path} is left alone: it is no package (a zip, or a folder with recap.toml, as terbit import csv makes of a CSV)",
            err=True,
        )
