"""`terbit-verify site`: every file of a published election."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

import click

from verifier.cli.common import collection_paused, progress_bar, reported, write_json
from verifier.cli.options import TrustOptions, now_option, trust_options
from verifier.cli.places import executor_for, locate
from verifier.cli.site_report import report_as_json, write_report

__all__ = ["check_whole_site"]


@click.command("site")
@click.argument("place", metavar="URL|DIR")
@trust_options
@click.option("--objects-only", is_flag=True, help="Leave out the copies at the paths that browsers use.")
@click.option("--election-only", is_flag=True, help="Leave out the domain's front page, which may be another's.")
@click.option("--signatures", is_flag=True, help="Check each results file's minisign signature, too.")
@click.option("--json", "as_json", is_flag=True, help="Write the report as JSON.")
@now_option
def check_whole_site(
    *,
    place: str,
    trust: TrustOptions,
    objects_only: bool,
    election_only: bool,
    signatures: bool,
    as_json: bool,
    now: datetime | None,
) -> None:
    """Check every file of a published election, at URL or in DIR.

    Signed metadata says which files the current release has; each is read and compared. Root metadata says who may
    sign: name it the first time, with --root or --root-sha256. Later runs remember it, and refuse older releases.

    \b
    Example:
      terbit-verify site https://example.org/pemilu-2019 --root-sha256 9f86d0…
      terbit-verify site public/pemilu-2019 --root root.json --signatures
    """
    place, fetcher, domain = locate(place)
    with reported(as_json=as_json), executor_for(place) as executor:
        from verifier.site import check_whole_site

        with collection_paused(), progress_bar() as progress:
            client = trust.client(place, fetcher, now)
            report = check_whole_site(
                client,
                fetcher,
                executor,
                aliases=not objects_only,
                signatures=signatures,
                domain=None if objects_only or election_only else domain,
                folder=None if objects_only or "://" in place else Path(place),
                progress=progress,
            )
    if as_json:
        write_json(report_as_json(report))
    else:
        around = domain is not None and not objects_only and not election_only
        write_report(place, report, aliases=not objects_only, signatures=signatures, around=around)
    sys.exit(report.exit_code)
