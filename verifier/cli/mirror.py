"""`terbit-verify mirror`: keep and serve a copy of a published election, without trusting where it comes from."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from verifier.cli.common import collection_paused, in_words, progress_bar, repeated, reported, told, write_json
from verifier.cli.options import FOLDER, NEW_FILE, now_option, root_options
from verifier.cli.places import executor_for
from verifier.cli.site_report import report_as_json, write_report
from verifier.errors import VerifierError
from verifier.printable import PrintableGroup, counted, say

if TYPE_CHECKING:
    from verifier.mirror.folder import Folder
    from verifier.mirror.sync import Outcome

__all__ = ["mirror"]

folder_argument = click.argument("folder", metavar="DIR", type=FOLDER)


@click.group(cls=PrintableGroup)
def mirror() -> None:
    """Run a mirror: a verified copy that others can read when the publisher's site is down.

    \b
    Example:
      terbit-verify mirror init mirror https://example.org/pemilu-2019 --root-sha256 9f86d0…
      terbit-verify mirror sync mirror --watch 60
      terbit-verify mirror serve mirror
    """


@mirror.command("init")
@folder_argument
@click.argument("upstreams", metavar="URL|DIR…", nargs=-1, required=True)
@root_options
@click.option("--election", metavar="NAME", help="The folder to serve it in. Default: as in the first URL.")
def init_command(
    *, folder: Path, upstreams: tuple[str, ...], root: Path | None, root_sha256: str | None, election: str | None
) -> None:
    """Make DIR a mirror of the election at URL, or at any of several.

    Nothing but the root is fetched yet. All that comes later must be signed by those whom the root names, wherever it
    comes from: a URL may be the publisher's, a CDN's or another mirror's.

    \b
    Example:
      terbit-verify mirror init mirror https://example.org/pemilu-2019 --root-sha256 9f86d0…
    """
    if (root is None) == (root_sha256 is None):
        raise click.UsageError("say which root to trust, either with --root or with --root-sha256")
    with reported():
        from verifier.mirror.init import init

        made = init(folder, upstreams, election, root, root_sha256)
    say(f"{folder} is a mirror of {made.settings.election}; next: terbit-verify mirror sync {folder}")


@mirror.command("sync")
@folder_argument
@click.option(
    "--watch", type=click.IntRange(min=1), metavar="SECONDS", help="Go on, with about this pause between runs."
)
@click.option("--full", is_flag=True, help="Look at every file that is there, and mend what is wrong.")
@click.option("--textfile", type=NEW_FILE, help="Tell Prometheus, by node_exporter's textfile.")
@click.option("--json", "as_json", is_flag=True, help="Write each run's outcome as a line of JSON.")
@now_option
def sync_command(
    *, folder: Path, watch: int | None, full: bool, textfile: Path | None, as_json: bool, now: datetime | None
) -> None:
    """Catch up with the newest release that any upstream shows.

    What is served changes only after everything has been verified. A run that was broken off is taken up by the next.
    Of several upstreams, each file comes from the first that has it right.

    \b
    Example:
      terbit-verify mirror sync mirror
      terbit-verify mirror sync mirror --watch 60 --textfile /var/lib/node_exporter/terbit-mirror.prom
    """
    from verifier.mirror.folder import Folder

    failures: Counter[str] = Counter()

    def once() -> int:
        moment = now or datetime.now(UTC)
        return _sync_once(Folder(folder), moment, failures, full=full, textfile=textfile, as_json=as_json)

    repeated(once, watch, as_json=as_json)


def _sync_once(
    folder: Folder, now: datetime, failures: Counter[str], *, full: bool, textfile: Path | None, as_json: bool
) -> int:
    from verifier.mirror.sync import served_version, sync
    from verifier.mirror.textfile import write_textfile
    from verifier.mirror.upstreams import Upstreams

    upstreams = Upstreams(folder.settings.upstreams)
    code = 0
    try:
        with folder.lock(), collection_paused(), progress_bar() as progress:
            outcome = sync(folder, upstreams, now, full=full, progress=progress)
    except VerifierError as error:
        code = told(error, as_json=as_json)
    else:
        for problem in outcome.problems:
            say(f"terbit-verify: {problem}", err=True)
        if as_json:
            write_json(_as_json(outcome))
        else:
            _write_outcome(folder, outcome)
    for upstream in upstreams.all:
        failures[upstream.place] += upstream.failures
    if textfile is not None:
        write_textfile(textfile, now, folder.last_success(), served_version(folder), failures)
    return code


def _as_json(outcome: Outcome) -> dict[str, object]:
    complete = outcome.complete
    return {
        "verified": True,
        "release": complete.release,
        "expires": f"{datetime.fromtimestamp(complete.expires, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "files": complete.files,
        "bytes": complete.bytes,
        "fetched": outcome.fetched,
        "problems": list(outcome.problems),
    }


def _write_outcome(folder: Folder, outcome: Outcome) -> None:
    complete = outcome.complete
    say(
        f"{folder.public}: release {complete.release}, signed as current until {in_words(complete.expires)}; "
        f"{counted(complete.files, 'file')} ({complete.bytes:,} bytes), {outcome.fetched:,} fetched now"
    )


@mirror.command("verify")
@folder_argument
@click.option("--json", "as_json", is_flag=True, help="Write the report as JSON.")
@now_option
def verify_command(*, folder: Path, as_json: bool, now: datetime | None) -> None:
    """Check every file that the mirror in DIR serves, as a stranger would who trusts the same root.

    \b
    Example:
      terbit-verify mirror verify mirror
    """
    with reported(as_json=as_json):
        from verifier.mirror.folder import Folder
        from verifier.mirror.verify import verify

        found = Folder(folder)
        if not (found.public / "metadata").is_dir():
            raise VerifierError(f"{folder} serves nothing yet: run terbit-verify mirror sync {folder}")
        with executor_for(str(found.public)) as executor, collection_paused(), progress_bar() as progress:
            report = verify(found, executor, now or datetime.now(UTC), progress)
    if as_json:
        write_json(report_as_json(report))
    else:
        write_report(str(found.public), report, aliases=True, signatures=True, around=False)
    sys.exit(report.exit_code)


@mirror.command("serve")
@folder_argument
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535))
def serve_command(*, folder: Path, host: str, port: int) -> None:
    """Serve what the mirror in DIR holds, until stopped. For many readers put nginx or a CDN before it, or in its place.

    \b
    Example:
      terbit-verify mirror serve mirror --host 0.0.0.0 --port 80
    """
    with reported():
        from verifier.mirror.folder import Folder
        from verifier.mirror.server import MirrorServer

        found = Folder(folder)
        with MirrorServer(folder / "public", host, port) as server:
            say(
                f"Serving {found.settings.election} at {server.url}{found.settings.election}/ (stop with Ctrl-C)",
                err=True,
            )
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                return
