"""`terbit-verify`: check what was published, without trusting who serves it.

Heavy modules are imported inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from verifier import limits
from verifier.cli_audit import audit
from verifier.cli_bundle import bundle, import_command
from verifier.cli_compare import compare
from verifier.cli_mirror import mirror
from verifier.cli_monitor import monitor
from verifier.cli_receipt import receipt
from verifier.cli_trust import TrustOptions, now_option, trust_options
from verifier.cli_witness import witness
from verifier.errors import VerificationError, VerifierError
from verifier.printable import PrintableGroup, say

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from verifier.client import Client
    from verifier.fetcher import Fetcher
    from verifier.files import Failure
    from verifier.log import LogReport
    from verifier.site import SiteReport

__all__ = ["main"]

LARGE_SITE_ROLES = 40
HTTP_CONNECTIONS = 8
QUIET_SECONDS = 2
UNLISTED_SHOWN = 20


@click.group(cls=PrintableGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="terbit")
def main() -> None:
    """Check election results that were published with Terbit.

    \b
    Example: check one downloaded file, then a whole site
      terbit-verify file 3172.json --key-file minisign.pub
      terbit-verify site https://example.org/pemilu-2019 --root-sha256 9f86d0…

    Exit status: 0 checked, 1 could not be checked, 2 wrong usage, 4 not what was published, 5 expired.
    """


main.add_command(audit)
main.add_command(bundle)
main.add_command(compare)
main.add_command(import_command)
main.add_command(mirror)
main.add_command(monitor)
main.add_command(receipt)
main.add_command(witness)


@main.command("file")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--signature", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Default: FILE.minisig."
)
@click.option("--key", help="The public key, RW….")
@click.option("--key-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Its minisign.pub.")
@click.option("--any-name", is_flag=True, help="Accept a file under another name than it was signed for.")
@click.option(
    "--proof",
    metavar="URL|DIR",
    help="Instead of a signature: check at a site that the file is in its newest release, and that release in the public log.",
)
@trust_options
@click.option("--json", "as_json", is_flag=True, help="Write the outcome as JSON.")
@now_option
def check_file(
    *,
    file: Path,
    signature: Path | None,
    key: str | None,
    key_file: Path | None,
    any_name: bool,
    proof: str | None,
    trust: TrustOptions,
    as_json: bool,
    now: datetime | None,
) -> None:
    """Check one results file and its minisign signature, or with --proof, that it is what everybody is shown now.

    The signature also names the file's path, election and release; they must be what the file itself says, and
    FILE must have the signed name.

    \b
    Example:
      terbit-verify file 1101012001.json --key RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3
      terbit-verify file 1101012001.json --proof https://example.org/pemilu-2019 --root-sha256 9f86d0…
    """
    if proof is not None:
        if key is not None or key_file is not None or signature is not None:
            raise click.UsageError(
                "--proof takes the keys from the site's root of trust: leave out --key, --key-file and --signature"
            )
        _check_proof(file, proof, trust, now or datetime.now(UTC), as_json=as_json)
        return
    from verifier.errors import FormatError
    from verifier.formats.minisign import PublicKey
    from verifier.results_signature import check_results, read_signature

    if (key is None) == (key_file is None):
        raise click.UsageError("give the public key, either with --key or with --key-file")
    if key is not None:
        try:
            PublicKey.parse(key)
        except FormatError as error:
            raise click.UsageError(f"--key: {error}") from None
    with _reported(as_json):
        public = PublicKey.parse(_read(key_file, limits.PUBLIC_KEY_FILE) if key_file else key or "")
        data = _read(file, limits.RESULTS_FILE)
        parsed, comment = read_signature(
            _read(signature or file.with_name(file.name + ".minisig"), limits.MINISIGN_FILE)
        )
        check_results(data, parsed, comment, public)
        if not any_name and file.name != comment.file.rpartition("/")[2]:
            raise VerificationError(
                f"this is {comment.file}, not {file.name}; use --any-name if you renamed it yourself"
            )
    if as_json:
        _write_json({"verified": True, "file": comment.file, "election": comment.election,
                     "release": comment.release, "sha256": comment.sha256, "key": public.name})  # fmt: skip
    else:
        click.echo(f"Checked: {comment.file} of election {comment.election}, release {comment.release}")
        click.echo(f"Signed by key {public.name}, for the release of {_time(comment.timestamp)}")
        click.echo("Not checked: whether a newer release has changed it (--proof, or terbit-verify site)")


def _check_proof(file: Path, place: str, trust: TrustOptions, now: datetime, *, as_json: bool) -> None:
    """The whole client algorithm for one file."""
    place, fetcher, _ = _locate(place)
    with _reported(as_json):
        from verifier.client import Client
        from verifier.log import check_log
        from verifier.results_signature import results_path

        data = _read(file, limits.RESULTS_FILE)
        store, found = trust.find(place, fetcher)
        client = Client(fetcher, found.state, now, found.root)
        client.refresh()
        store.remember(place, found)
        logged = check_log(client, fetcher, found.state)
        path = results_path(data)
        client.compare(path, data)
        release = client.snapshot.version
    if as_json:
        _write_json({"verified": True, "file": path, "release": release, "log": _log_as_json(logged)})
    else:
        click.echo(
            f"Checked: {path} is in release {release}, signed as current until {_time(client.timestamp.expires)}"
        )
        click.echo(f"Log: {logged.told}" if logged else "Log: this site has none, so others may be told another story")


@main.command("site")
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
    place, fetcher, domain = _locate(place)
    with _reported(as_json), _executor(place) as executor:
        from verifier.client import Client
        from verifier.site import check_site
        from verifier.withheld import Redactions

        store, found = trust.find(place, fetcher)
        with _collection_paused(), _progress_bar() as progress:
            client = Client(fetcher, found.state, now or datetime.now(UTC), found.root)
            client.refresh()
            store.remember(place, found)
            logged, failures = _check_log(client, fetcher, found.state, whole=not objects_only)
            report = check_site(
                client,
                fetcher,
                executor,
                aliases=not objects_only,
                signatures=signatures,
                order=Redactions(fetcher, logged.checkpoint.checkpoint if logged else None).order,
                domain=None if objects_only or election_only else domain,
                folder=None if objects_only or "://" in place else Path(place),
                progress=progress,
            )
    report = replace(report, failures=(*failures, *report.failures), log=logged)
    if as_json:
        _write_json(_report_as_json(report))
    else:
        around = domain is not None and not objects_only and not election_only
        _write_report(place, report, aliases=not objects_only, signatures=signatures, around=around)
    sys.exit(report.exit_code)


def _check_log(client: Client, fetcher: Fetcher, state: Path, *, whole: bool) -> tuple[LogReport | None, list[Failure]]:
    """That the release is in the log, and with `whole`, that the log's own files are right."""
    from verifier.files import Failure
    from verifier.log import check_log
    from verifier.public_log import check_public_log

    try:
        report = check_log(client, fetcher, state)
    except VerifierError as error:
        return None, [Failure.of("log", error)]
    return report, check_public_log(fetcher, report.policy, report.checkpoint) if report and whole else []


def _log_as_json(report: LogReport | None) -> dict[str, object] | None:
    if report is None:
        return None
    return {
        "origin": report.origin,
        "size": report.size,
        "index": report.index,
        "witnesses": dict(report.witnesses),
        "required": report.policy.quorum is not None,
    }


def _locate(place: str) -> tuple[str, Fetcher, Fetcher | None]:
    """The election's URL or folder, in one spelling, its fetcher, and that of the domain around it: the URL above, or
    DIR if that is the folder around the election."""
    from verifier.fetcher import DirectoryFetcher

    if place.startswith(("http://", "https://")):
        from verifier.http_fetcher import HttpFetcher

        place = place.rstrip("/")
        above = place.rpartition("/")[0]
        around = HttpFetcher(above) if not above.endswith("/") else None
        return place, HttpFetcher(place, connections=HTTP_CONNECTIONS), around
    folder = Path(place)
    if not folder.is_dir():
        raise click.UsageError(f"{place} is neither a folder nor a URL that begins with https:// or http://")
    pointer = Path("metadata", "timestamp.json")
    found = [folder] if (folder / pointer).is_file() else sorted(f.parent.parent for f in folder.glob(f"*/{pointer}"))
    if len(found) != 1:
        names = ", ".join(each.name for each in found) or "none"
        raise click.UsageError(f"{place} must be an election's folder, or hold exactly one; found: {names}")
    election = found[0].resolve()
    return str(election), DirectoryFetcher(election), None if found == [folder] else DirectoryFetcher(folder)


def _executor(place: str) -> Executor:
    """Threads wait for a network well. On a disk they only wait for each other (the interpreter's lock), so a large
    site is read by two processes, which are spawned: a fork would copy locks that other threads hold."""
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

    if "://" in place:
        return ThreadPoolExecutor(HTTP_CONNECTIONS)
    if len(os.listdir(Path(place, "metadata"))) < LARGE_SITE_ROLES or (os.cpu_count() or 1) < 2:
        return ThreadPoolExecutor(1)
    from multiprocessing import get_context

    executor = ProcessPoolExecutor(2, mp_context=get_context("spawn"))
    for _ in range(2):  # they start while this process imports python-tuf
        executor.submit(_start_worker)
    return executor


def _start_worker() -> None:
    import verifier.files  # noqa: F401


@contextmanager
def _collection_paused() -> Iterator[None]:
    """The metadata of a nation is a million objects that all stay until the end: looking for garbage among them
    again and again took a third of the time that they took."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def _progress_bar() -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, if that is a terminal, for checks that take over two seconds."""
    from time import monotonic

    if not sys.stderr.isatty():
        yield lambda done, known: None
        return
    from rich.console import Console
    from rich.progress import Progress

    start = monotonic()
    with Progress(console=Console(stderr=True), transient=True, disable=False) as bar:
        task = bar.add_task("Checking files", total=None, visible=False)
        yield lambda done, known: bar.update(
            task, completed=done, total=known, visible=monotonic() - start > QUIET_SECONDS
        )


def _read(file: Path, cap: int) -> bytes:
    """The bytes of a file that the user named, up to `cap`; a pipe is fine here."""
    try:
        with file.open("rb") as stream:
            data = stream.read(cap + 1)
    except OSError as error:
        raise VerifierError(f"{file} cannot be read: {error.strerror}") from None
    if len(data) > cap:
        raise VerificationError(f"{file} is longer than the {cap} bytes that it may have")
    return data


@contextmanager
def _reported(as_json: bool) -> Iterator[None]:
    """Turn our errors into a message on standard error, a JSON object if asked for, and the error's exit status."""
    try:
        yield
    except (VerifierError, OSError) as error:
        if as_json:
            _write_json({"verified": False, "error": str(error)})
        say(f"terbit-verify: {error}", err=True)
        sys.exit(error.exit_code if isinstance(error, VerifierError) else VerifierError.exit_code)


def _write_json(document: dict[str, object]) -> None:
    click.echo(json.dumps(document, sort_keys=True))


def _time(moment: datetime | int) -> str:
    if isinstance(moment, int):
        moment = datetime.fromtimestamp(moment, UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def _report_as_json(report: SiteReport) -> dict[str, object]:
    return {
        "verified": not report.failures,
        "release": report.release,
        "expires": report.expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "roles": report.roles,
        "files": report.files,
        "bytes": report.length,
        "signatures": report.signatures,
        "packages": report.packages,
        "failures": [
            {"path": failure.path, "what": failure.what, "expected": failure.expected, "got": failure.got}
            for failure in report.failures
        ],
        "unlisted": list(report.unlisted),
        "withheld": [{"path": path, "order": order} for path, order in report.withheld],
        "log": _log_as_json(report.log),
    }


def _write_report(place: str, report: SiteReport, *, aliases: bool, signatures: bool, around: bool) -> None:
    for path in report.unlisted[:UNLISTED_SHOWN]:
        say(f"UNSIGNED {path}: no signed list names it, nobody vouches for it")
    if len(report.unlisted) > UNLISTED_SHOWN:
        say(f"UNSIGNED {len(report.unlisted) - UNLISTED_SHOWN} more files: --json names them")
    for path, order in report.withheld:
        say(f"WITHHELD {path}: by the order {order}, which is logged")
    for failure in report.failures:
        compared = f": expected {failure.expected}, got {failure.got}" if failure.expected else ""
        say(f"FAILED {failure.path}: {failure.what}{compared}")
    say(f"{place}: release {report.release}, signed as current until {_time(report.expires)}")
    checked = [
        f"{report.roles} signed lists",
        f"{report.packages} recap packages",
        f"{report.files} files ({report.length} bytes)",
    ]
    left_out: list[str] = []
    (checked if aliases else left_out).append("their copies at the paths that browsers use")
    (checked if signatures else left_out).append(f"{report.signatures or ''} minisign signatures".lstrip())
    (checked if around else left_out).append("the domain's own front page")
    click.echo(f"Checked: {', '.join(checked)}")
    unsigned = "latest.json and files that no list names, which nobody signs"
    click.echo(f"Not checked: {', '.join([*left_out, unsigned])}")
    click.echo(f"Log: {report.log.told}" if report.log else "Log: none checked")
    count = len(report.failures)
    click.echo(f"NOT what was published: {count} failures" if count else "Everything checked is what was published")
