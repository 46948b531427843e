"""`terbit-verify monitor`: publisher, CDN and mirrors beside each other."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from verifier import limits
from verifier.cli.common import repeated, write_json
from verifier.cli.options import FOLDER, NEW_FILE, TrustOptions, now_option, trust_options
from verifier.cli.places import locate
from verifier.errors import VerifierError
from verifier.printable import say
from verifier.reports import write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verifier.fetcher import Fetcher
    from verifier.monitor.run import Report
    from verifier.trust import Trust, TrustStore

__all__ = ["monitor"]

FILES = 24
SECONDS, SECONDS_FOR_ALL = 60, 3600
ROOT_SECONDS = 10


@click.command("monitor")
@click.argument("places", metavar="URL|DIR…", nargs=-1, required=True)
@click.option(
    "--sample", default=FILES, show_default=True, type=click.IntRange(0), help="Files to check at each place."
)
@click.option("--all", "everything", is_flag=True, help="Check every file of each place.")
@click.option(
    "--deadline", type=click.IntRange(1), metavar="SECONDS",
    help=f"What a place may take. [default: {SECONDS}, with --all {SECONDS_FOR_ALL}]",
)  # fmt: skip
@click.option(
    "--max-lag", default=900, show_default=True, type=click.IntRange(0), metavar="SECONDS",
    help="How far a place may be behind the newest.",
)  # fmt: skip
@click.option(
    "--evidence", type=FOLDER,
    help="Where to keep checkpoints that contradict each other. [default: in the state]",
)  # fmt: skip
@click.option("--html", type=NEW_FILE, help="Write the score page, too.")
@click.option("--textfile", type=NEW_FILE, help="Tell Prometheus, by node_exporter's textfile.")
@click.option("--json", "as_json", is_flag=True, help="Write each look's report as a line of JSON.")
@click.option("--watch", type=click.IntRange(1), metavar="SECONDS", help="Go on, with about this pause between looks.")
@trust_options
@now_option
def monitor(
    *,
    places: tuple[str, ...],
    sample: int,
    everything: bool,
    deadline: int | None,
    max_lag: int,
    evidence: Path | None,
    html: Path | None,
    textfile: Path | None,
    as_json: bool,
    watch: int | None,
    trust: TrustOptions,
    now: datetime | None,
) -> None:
    """Compare what the publisher, its CDN and its mirrors show.

    Of each: the release, how far it is behind the newest, until when it is valid, whether files are altered or missing, and
    whether all checkpoints of the log belong to one log. None is trusted, and none can hold the others up.

    \b
    Example:
      terbit-verify monitor https://example.org/pemilu-2019 https://mirror.example.net/pemilu-2019 --html score.html

    Exit status: 0 all good, 1 a place could not be reached, 4 altered or a split view, 5 stale or lagging.
    """
    every = tuple(dict.fromkeys(locate(name)[0] for name in places))
    seconds = deadline or (SECONDS_FOR_ALL if everything else SECONDS)

    def once() -> int:
        moment = now or datetime.now(UTC)
        report, kept = _look(every, trust, moment, None if everything else sample, seconds, max_lag, evidence)
        _write(report, kept, html=html, textfile=textfile, as_json=as_json)
        return report.exit_code

    repeated(once, watch, as_json=as_json)


def _look(
    places: Sequence[str],
    trust: TrustOptions,
    now: datetime,
    sample: int | None,
    seconds: int,
    max_lag: int,
    evidence: Path | None,
) -> tuple[Report, list[Path]]:
    """One look at all places; and the files that keep what contradicts."""
    from verifier.monitor.heads import keep
    from verifier.monitor.run import monitor as look_at_all

    store, found, root = _trusted(trust, places, now)
    state = found.state / "monitor"
    report = look_at_all(
        {place: _fetcher(place, seconds) for place in places},
        state,
        root,
        now,
        sample=sample,
        seconds=seconds,
        max_lag=max_lag,
        chance=random.SystemRandom(),  # whoever alters files must not know which ones are looked at
    )
    for one in report.looks:
        if one.release is not None:
            store.remember(one.place, found)
    return report, keep(report.contradictions, evidence or state / "evidence")


def _write(report: Report, kept: Sequence[Path], *, html: Path | None, textfile: Path | None, as_json: bool) -> None:
    from verifier.monitor import output

    if as_json:
        write_json(output.as_json(report, kept))
    else:
        for line in output.lines(report):
            say(line)
    for file in kept:
        say(f"terbit-verify: evidence: {file}", err=True)
    if html is not None:
        write_whole(html, output.html_page(report, kept))
    if textfile is not None:
        write_whole(textfile, output.prometheus(report))


def _fetcher(place: str, seconds: int) -> Fetcher:
    from verifier.fetcher import DirectoryFetcher
    from verifier.http_fetcher import HttpFetcher

    if "://" not in place:
        return DirectoryFetcher(Path(place))
    timeout, total = min(limits.FETCH_TIMEOUT_SECONDS, seconds), min(limits.FETCH_TOTAL_SECONDS, seconds)
    return HttpFetcher(place, timeout=timeout, total=total, stalls=limits.UPSTREAM_STALLS_COUNT)


def _trusted(trust: TrustOptions, places: Sequence[str], now: datetime) -> tuple[TrustStore, Trust, bytes]:
    """Where to remember, and the newest root that is trusted there: from the first place by which it is found."""
    from verifier.client import Client
    from verifier.fetcher import DirectoryFetcher
    from verifier.mirror.upstreams import worst

    errors: list[VerifierError] = []
    for place in places:
        try:
            store, found = trust.find(place, _fetcher(place, ROOT_SECONDS))
        except VerifierError as error:
            errors.append(error)
            continue
        Client(DirectoryFetcher(found.state), found.state, now, found.root)  # writes the root there
        return store, found, found.root or (found.state / "root.json").read_bytes()
    raise worst(errors)
