"""`terbit-verify audit`: the release made again from the logged inputs, and compared byte by byte."""

from __future__ import annotations

import os
import sys
import tempfile
from datetime import datetime
from pathlib import Path

import click

from verifier.cli.common import collection_paused, progress_bar, reported, write_json
from verifier.cli.options import NEW_FILE, TrustOptions, now_option, trust_options
from verifier.cli.places import executor_for, locate_bundle
from verifier.errors import VerificationError, VerifierError
from verifier.printable import say
from verifier.reports import write_whole

__all__ = ["audit"]


@click.command("audit")
@click.argument("place", metavar="URL|DIR|BUNDLE")
@click.option("--html", type=NEW_FILE, help="Write the report as a page, too.")
@click.option("--json", "as_json", is_flag=True, help="Write the report as JSON.")
@click.option("--processes", type=click.IntRange(1, 64), help="How many build. Default: one for each processor.")
@click.option(
    "--release", "releases", metavar="N", type=click.IntRange(1), multiple=True, help="This earlier release, too."
)
@click.option("--all-releases", is_flag=True, help="All earlier releases, too.")
@click.option("--served", is_flag=True, help="Read every listed file, too, where it is served.")
@trust_options
@now_option
def audit(
    *,
    place: str,
    html: Path | None,
    as_json: bool,
    processes: int | None,
    releases: tuple[int, ...],
    all_releases: bool,
    served: bool,
    trust: TrustOptions,
    now: datetime | None,
) -> None:
    """Rebuild the release at URL, in DIR or in a BUNDLE from the logged inputs, and compare every byte.

    Reads the whole log and every package, asks every rule and every official's signature again, and builds the site with the
    same program. Whatever was published and does not follow from that is named. A mirror's folder or a bundle will do, offline.
    An earlier release is made again, too, if it is asked for, and compared with its lists, which the log binds.

    \b
    Example:
      terbit-verify audit https://example.org/pemilu-2019 --root-sha256 9f86d0…
      terbit-verify audit https://example.org/pemilu-2019 --html audit.html --all-releases
      terbit-verify audit mirror --root-sha256 9f86d0…
      terbit-verify audit pemilu-2019.tar --root-sha256 9f86d0…

    Exit status: 0 everything follows from the inputs, 1 could not be audited, 2 usage, 4 it does not, 5 expired.
    """
    with reported(as_json=as_json), tempfile.TemporaryDirectory(prefix="terbit-audit-") as folder:
        try:
            from verifier.audit.report import as_json as report_as_json
            from verifier.audit.report import html_page, lines
            from verifier.audit.run import audit as run_audit
        except ImportError as error:
            raise VerifierError(
                f"an audit builds the site, for which {error.name} is missing: pip install terbit"
            ) from None
        from verifier.log import check_log

        place, fetcher = locate_bundle(place)
        count = processes or os.cpu_count() or 1
        earlier = None if all_releases else releases
        with executor_for(place) as executor, collection_paused(), progress_bar("Earlier releases") as bar:
            client = trust.client(place, fetcher, now)
            seen = check_log(client, fetcher)
            if seen is None:
                raise VerificationError("this site has no log: without one nothing says what its inputs were")
            report = run_audit(client, fetcher, seen, executor, Path(folder), place, count, earlier, served, _say, bar)
        if html is not None:
            write_whole(html, html_page(report))
    if as_json:
        write_json(report_as_json(report))
    else:
        for line in lines(report):
            say(line)
    sys.exit(report.exit_code)


def _say(stage: str) -> None:
    if sys.stderr.isatty():
        say(f"{stage} …", err=True)
