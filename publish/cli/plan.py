"""`terbit plan` and `terbit apply`: what publishing would change, in votes; and exactly that published, or nothing. Also what `terbit publish` asks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from publish.cli.options import directory_option, json_option, passphrase_option, quiet_option
from publish.cli.run import now, publish_and_tell, start, take_in
from verifier.printable import say

if TYPE_CHECKING:
    from publish.planning.changes import Changes
    from publish.release.flow import Flow

__all__ = ["apply_command", "asking", "plan"]

BRIEFLY = 5  # leaders and figures named by `publish`
WRONG = (
    "If it is wrong: take in the right figures, by another import with --reason or another package of who handed them in, and publish; "
    "until then the last release stays. The wrong ones then stand in the history"
)


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@directory_option
@click.option(
    "-o", "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the plan there, for `terbit apply`."
)
@json_option
@quiet_option
def plan(paths: tuple[Path, ...], directory: Path, out: Path | None, as_json: bool, quiet: bool) -> None:
    """Say what `terbit publish` would change: in votes, then in files, requests and cost.

    Takes in packages, cuts the release and builds it, unsigned: no secret key is needed; nothing becomes public. Exit code 3 when something would change, 0 when not, 1 when a
    target did not answer.

    Example:  terbit plan -o plan.json
    """
    import msgspec

    from builder import durable
    from publish.planning.plan import make_plan
    from publish.planning.text import plan_lines
    from publish.release.flow import Flow

    workspace, stages = start(directory, quiet)
    with workspace.lock(), Flow(workspace, stages, now()) as flow:
        refused = take_in(flow, paths)
        made = make_plan(flow)
        pending = bool(flow.behind)
    data = msgspec.json.format(msgspec.json.encode(made), indent=1) + b"\n"
    if out is not None:
        durable.write_file(out, data)
    if as_json:
        click.echo(data, nl=False)
    else:
        for line in plan_lines(made):
            say(line)
    if pending:
        stages.say(f"Nothing of it is public yet; next: terbit apply {out}" if out else "Nothing of it is public yet.")
    sys.exit(1 if made.unreached else 3 if pending else 1 if refused else 0)


@click.command("apply")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@directory_option
@passphrase_option
@json_option
@quiet_option
def apply_command(file: Path, directory: Path, passphrase_file: Path | None, as_json: bool, quiet: bool) -> None:
    """Sign and publish exactly the plan in FILE.

    Refuses when the ledger, the cut, the draft, a target or the program is not as it was when the plan was made.

    Example:  terbit plan -o plan.json; terbit apply plan.json
    """
    from publish.errors import DriftError
    from publish.planning.plan import drift, read_plan
    from publish.release.flow import Flow

    planned = read_plan(file)
    workspace, stages = start(directory, quiet)
    with workspace.lock(), Flow(workspace, stages, now(), passphrase_file) as flow:
        if drifted := drift(flow, planned.basis):
            raise DriftError(
                f"{file} does not fit any more, and nothing was published: {'; '.join(drifted)}. Plan again: terbit plan -o {file}"
            )
        publish_and_tell(flow, None, as_json, quiet)


def asking(flow: Flow, *, yes: bool, quiet: bool) -> Callable[[Changes], bool]:
    """What `terbit publish` does before a release goes out: shows it, and asks where a person should look."""

    def agree(changes: Changes) -> bool:
        from publish.planning.changes import questions
        from publish.planning.text import changes_lines

        asked = questions(changes, flow.workspace.config.ask.areas_percent)
        if (asked and not yes) or not quiet:
            for line in changes_lines(changes, BRIEFLY):
                say(line, err=True)
        if not asked or yes:
            return True
        for question in asked:
            say(f"! {question}", err=True)
        if sys.stdin.isatty():
            from publish.release.renewing import renewing

            with renewing(flow, flow.keyring.validity("timestamp") / 3, now):
                agreed = click.confirm(f"Publish release {flow.cut.release}?", err=True)
            flow.now = now()  # the answer took its time, and the timestamp must not be old when it is new
            if agreed:
                return True
        say("Look at it with: terbit plan. If it is right: terbit publish --yes", err=True)
        say(WRONG, err=True)
        return False

    return agree
