"""`terbit`: what an operator runs. Data goes to stdout, everything else to stderr.

Exit codes: 0 done, 1 error, 2 usage, 3 changes pending, 4 verification failed, 5 stale.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import click

from publish.cli.options import attest_option, directory_option, json_option, passphrase_option, quiet_option
from publish.cli.run import check_attest, now, publish_and_tell, start, take_in, tell_intake, tell_strays
from verifier.printable import PrintableGroup, counted, say

__all__ = ["main", "terbit"]

# Commands of other modules, imported when they are asked for: --help must not load an engine.
ELSEWHERE = {
    "keys": "publish.cli.keys:keys",
    "sign": "publish.cli.keys:sign",
    "import": "publish.cli.imports:import_group",
    "guard": "publish.cli.guard:guard",
    "heartbeat": "publish.cli.guard:heartbeat",
    "freeze": "publish.cli.guard:freeze",
    "plan": "publish.cli.plan:plan",
    "apply": "publish.cli.plan:apply_command",
    "reconcile": "publish.cli.reconcile:reconcile",
    "recap": "publish.cli.recap:recap",
    "recover": "publish.cli.recover:recover",
    "redact": "publish.cli.redact:redact_command",
    "doctor": "publish.cli.doctor:doctor",
    "rebuild-and-sign": "publish.cli.second:rebuild_and_sign",
}

SHOWN = 10  # parts of the site that `build` names


class _Lazy(PrintableGroup):
    def list_commands(self, context: click.Context) -> list[str]:
        return sorted([*super().list_commands(context), *ELSEWHERE])

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in ELSEWHERE:
            return super().get_command(context, name)
        from importlib import import_module

        module, _, attribute = ELSEWHERE[name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


yes_option = click.option(
    "-y", "--yes", is_flag=True, help="Do not ask when figures fall, leaders or many areas change: for unattended runs."
)


@click.group(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example:  terbit init hasil && cd hasil && terbit keys init --no-passphrase && terbit publish",
)
@click.version_option(package_name="terbit")
def terbit() -> None:
    """Publish verified election results as a signed static site."""


@terbit.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
def init(directory: Path) -> None:
    """Make a workspace in DIRECTORY with the example election, to be replaced by yours.

    Example:  terbit init hasil-2029
    """
    from publish.example import make_workspace

    for path in make_workspace(directory):
        click.echo(path)
    click.echo(f"Next: edit {directory}/content/election.toml, then: terbit keys init -C {directory}", err=True)


@terbit.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def templates(folder: Path) -> None:
    """Copy Terbit's own templates to FOLDER, to be changed there; all of them must stay.

    terbit.toml then names the folder: templates = "FOLDER". Without that, Terbit's own are used.

    Example:  terbit templates templates
    """
    from publish.example import copy_templates

    copy_templates(folder)
    click.echo(folder)
    click.echo(f'Next: templates = "{folder}" in terbit.toml, above its first [table]', err=True)


@terbit.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@attest_option
@directory_option
@json_option
@quiet_option
def intake(paths: tuple[Path, ...], attest: bool, directory: Path, as_json: bool, quiet: bool) -> None:
    """Take recap packages at PATHS (files or folders; default: the inbox) into the ledger.

    A package is accepted whole or refused whole; a refused one lies in inbox/refused/ with its report. Exit code 1 when one was refused. Where the election has
    officials (content/allowed_signers), each package needs the signature of one of them, or --attest.

    Example:  terbit intake inbox/kab-3172.zip
    """
    from publish.release.intake import take_in_packages

    check_attest(attest, paths)
    workspace, stages = start(directory, quiet)
    with workspace.lock():
        report = take_in_packages(workspace, paths, stages, now(), attested=attest)
    tell_intake(report, as_json)
    tell_strays(workspace)
    if report.refused:
        sys.exit(1)


@terbit.command()
@directory_option
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Also unpack the changed files there, to look at."
)
@quiet_option
def build(directory: Path, out: Path | None, quiet: bool) -> None:
    """Cut a release if something changed, and make its files, unsigned, in build/draft.

    Example:  terbit build --out preview
    """
    from builder.pack import pack_names, read_index
    from publish.release.flow import Flow

    workspace, stages = start(directory, quiet)
    with workspace.lock(), Flow(workspace, stages, now()) as flow:
        draft = flow.build()
        if out is not None:
            draft.unpack(out)
    click.echo(out or draft.directory)
    if flow.cut.release == flow.base.release:
        stages.say(f"Release {flow.cut.release} is public already, and nothing has changed since.")
        return
    counts = {name: len(read_index(draft.files, name)) for name in pack_names(draft.files)}
    parts = [f"{name} {count}" for name, count in counts.items()][:SHOWN]
    more = f", and {len(counts) - SHOWN} other parts" if len(counts) > SHOWN else ""
    stages.say(
        f"Release {flow.cut.release} would bring {counted(sum(counts.values()), 'file')}: {', '.join(parts)}{more}."
    )
    stages.say("Nothing of it is public or signed yet; next: terbit push")


@terbit.command()
@directory_option
@passphrase_option
@yes_option
@json_option
@quiet_option
def push(directory: Path, passphrase_file: Path | None, yes: bool, as_json: bool, quiet: bool) -> None:
    """Sign the draft if it is not yet, and make it public; asks as `terbit publish` does.

    Example:  terbit build && terbit push
    """
    _publish(directory, passphrase_file, yes, as_json, quiet, paths=None)


@terbit.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@attest_option
@directory_option
@passphrase_option
@click.option("--full-packs", is_flag=True, help="Make a release with packs of every file, for mirrors that begin.")
@yes_option
@json_option
@quiet_option
def publish(
    paths: tuple[Path, ...],
    attest: bool,
    full_packs: bool,
    directory: Path,
    passphrase_file: Path | None,
    yes: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Intake, build, sign, push and verify, in one go.

    With nothing new it renews the timestamp, which tells clients that the last release is still the newest; run it every few minutes.
    Refused packages do not stop the release of the others; the exit code is 1 then. When published figures fall, a leader or many areas change, it
    asks; where there is nobody to ask it needs --yes, or publishes nothing but the renewed timestamp, with exit code 3.

    Example:  terbit publish
    """
    check_attest(attest, paths)
    _publish(directory, passphrase_file, yes, as_json, quiet, paths=paths, attested=attest, full_packs=full_packs)


@terbit.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@directory_option
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65_535))
@click.option(
    "--watch",
    is_flag=True,
    help="Render pages afresh from the ledger and reload the browser when templates or content change.",
)
def serve(folder: Path | None, directory: Path, host: str, port: int, watch: bool) -> None:
    """Serve the public tree in FOLDER (default: the workspace's) with the headers that the public site must have.

    Example:  terbit serve --watch
    """
    from publish.serve import serve as serve_folder

    if folder is not None and not watch:
        serve_folder(folder, host, port)
        return
    workspace = start(directory, quiet=True)[0]
    if watch:
        from publish.preview import Preview

        inputs = workspace.inputs
        serve_folder(
            workspace.public,
            host,
            port,
            render=Preview(workspace).render,
            watch_dirs=(inputs.content, inputs.templates),
        )
    else:
        serve_folder(workspace.public, host, port)


@terbit.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), default=Path("build/demo"))
def demo(directory: Path) -> None:
    """Publish the example election in DIRECTORY, with throw-away keys, and check it as anyone would.

    Example:  terbit demo build/demo
    """
    from publish.example import run_demo

    run_demo(directory)


def _publish(
    directory: Path,
    passphrase_file: Path | None,
    yes: bool,
    as_json: bool,
    quiet: bool,
    paths: tuple[Path, ...] | None,
    attested: bool = False,
    full_packs: bool = False,
) -> None:
    from publish.cli.plan import asking
    from publish.release.flow import Flow

    # Much is made and hardly any of it in circles: to look for those as often as usual costs a quarter of the time of signing.
    gc.set_threshold(100_000)
    workspace, stages = start(directory, quiet)
    refused = False
    with workspace.lock(), Flow(workspace, stages, now(), passphrase_file) as flow:
        flow.full_packs = full_packs
        if paths is not None:
            try:
                refused = take_in(flow, paths, attested=attested)
            except Exception:
                flow.pushes.heartbeat(flow.now)
                raise
        publish_and_tell(flow, asking(flow, yes=yes, quiet=quiet), as_json, quiet)
    if refused:
        sys.exit(1)


def main() -> None:
    """Run `terbit`; every error that we know ends in one line on stderr and its exit code."""
    from builder.errors import BuilderError
    from publish.errors import PublishError
    from verifier.errors import VerifierError

    try:
        terbit(standalone_mode=False)
    except (BuilderError, PublishError, VerifierError) as error:
        say(f"terbit: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # whoever read our output has read enough
        os._exit(1)
    except OSError as error:
        what = ": ".join(str(part) for part in (error.filename, error.strerror or error) if part)
        if isinstance(error, FileNotFoundError) and error.filename and not Path(error.filename).parent.is_dir():
            what = f"{Path(error.filename).parent}: there is no such folder"
        kept = "What was published stays whole; mend this and run the same command again."
        say(f"terbit: {what}. {kept}", err=True)
        sys.exit(1)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("terbit: stopped; what was published stays whole", err=True)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        click.echo("terbit: stopped; what was published stays whole", err=True)
        sys.exit(130)
    finally:
        gc.freeze()  # all ends here: the collector's last look at a nation's areas costs a tenth of a second
