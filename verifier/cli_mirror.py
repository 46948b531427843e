"""`terbit-verify mirror`: keep and serve a copy of a published election, without trusting where it comes from."""

from __future__ import annotations

import random
import re
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from verifier.errors import VerifierError
from verifier.printable import PrintableGroup, say

if TYPE_CHECKING:
    from verifier.mirror.folder import Folder
    from verifier.mirror.sync import Outcome

__all__ = ["mirror"]

JITTER = 0.2
FOLDER = click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
NOW = click.option("--now", hidden=True, type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ"]), help="Judge expiry at this time.")


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
@FOLDER
@click.argument("upstreams", metavar="URL|DIR…", nargs=-1, required=True)
@click.option(
    "--root",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Trust this root.json, which you have from a source that you trust.",
)
@click.option("--root-sha256", metavar="HEX", help="Trust the site's first root, if it has this printed fingerprint.")
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
    from verifier.cli import _reported

    if (root is None) == (root_sha256 is None):
        raise click.UsageError("say which root to trust, either with --root or with --root-sha256")
    if root_sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", root_sha256):
        raise click.UsageError(f"--root-sha256 wants the 64 hex digits of the printed fingerprint, not {root_sha256!r}")
    with _reported(as_json=False):
        from verifier.mirror.init import init

        made = init(folder, upstreams, election, root, root_sha256)
    say(f"{folder} is a mirror of {made.settings.election}; next: terbit-verify mirror sync {folder}")


@mirror.command("sync")
@FOLDER
@click.option(
    "--watch", type=click.IntRange(min=1), metavar="SECONDS", help="Go on, with about this pause between runs."
)
@click.option("--full", is_flag=True, help="Look at every file that is there, and mend what is wrong.")
@click.option(
    "--textfile", type=click.Path(dir_okay=False, path_type=Path), help="Tell Prometheus, by node_exporter's textfile."
)
@click.option("--json", "as_json", is_flag=True, help="Write each run's outcome as a line of JSON.")
@NOW
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
    while True:
        moment = now.replace(tzinfo=UTC) if now else datetime.now(UTC)
        try:
            code = _sync_once(Folder(folder), moment, failures, full=full, textfile=textfile, as_json=as_json)
        except VerifierError as error:
            code = _told(error, as_json=as_json)
        if watch is None:
            sys.exit(code)
        # Many mirrors that were started by the same clock must not all come in the same second.
        time.sleep(watch * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311


def _sync_once(
    folder: Folder, now: datetime, failures: Counter[str], *, full: bool, textfile: Path | None, as_json: bool
) -> int:
    from verifier.cli import _collection_paused, _progress_bar, _write_json
    from verifier.mirror.sync import served_version, sync
    from verifier.mirror.textfile import write_textfile
    from verifier.mirror.upstreams import Upstreams

    upstreams = Upstreams(folder.settings.upstreams)
    code = 0
    try:
        with folder.lock(), _collection_paused(), _progress_bar() as progress:
            outcome = sync(folder, upstreams, now, full=full, progress=progress)
    except VerifierError as error:
        code = _told(error, as_json=as_json)
    else:
        for problem in outcome.problems:
            say(f"terbit-verify: {problem}", err=True)
        if as_json:
            _write_json(_as_json(outcome))
        else:
            _write_outcome(folder, outcome)
    for upstream in upstreams.all:
        failures[upstream.place] += upstream.failures
    if textfile is not None:
        write_textfile(textfile, now, folder.last_success(), served_version(folder), failures)
    return code


def _told(error: VerifierError, *, as_json: bool) -> int:
    from verifier.cli import _write_json

    if as_json:
        _write_json({"verified": False, "error": str(error)})
    say(f"terbit-verify: {error}", err=True)
    return error.exit_code


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
    from verifier.cli import _time

    complete = outcome.complete
    say(
        f"{folder.public}: release {complete.release}, signed as current until {_time(int(complete.expires))}; "
        f"{complete.files} files ({complete.bytes} bytes), {outcome.fetched} fetched now"
    )


@mirror.command("verify")
@FOLDER
@click.option("--json", "as_json", is_flag=True, help="Write the report as JSON.")
@NOW
def verify_command(*, folder: Path, as_json: bool, now: datetime | None) -> None:
    """Check every file that the mirror in DIR serves, as a stranger would who trusts the same root.

    \b
    Example:
      terbit-verify mirror verify mirror
    """
    from verifier.cli import (
        _collection_paused,
        _executor,
        _progress_bar,
        _report_as_json,
        _reported,
        _write_json,
        _write_report,
    )

    moment = now.replace(tzinfo=UTC) if now else datetime.now(UTC)
    with _reported(as_json):
        from verifier.mirror.folder import Folder
        from verifier.mirror.verify import verify

        found = Folder(folder)
        if not (found.public / "metadata").is_dir():
            raise VerifierError(f"{folder} serves nothing yet: run terbit-verify mirror sync {folder}")
        with _executor(str(found.public)) as executor, _collection_paused(), _progress_bar() as progress:
            report = verify(found, executor, moment, progress)
    if as_json:
        _write_json(_report_as_json(report))
    else:
        _write_report(str(found.public), report, aliases=True, signatures=True, around=False)
    sys.exit(report.exit_code)


@mirror.command("serve")
@FOLDER
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535))
def serve_command(*, folder: Path, host: str, port: int) -> None:
    """Serve what the mirror in DIR holds, until stopped. For many readers put nginx or a CDN before it, or in its place.

    \b
    Example:
      terbit-verify mirror serve mirror --host 0.0.0.0 --port 80
    """
    from verifier.cli import _reported

    with _reported(as_json=False):
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
