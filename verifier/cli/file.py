"""`terbit-verify file`: one results file, by its signature or by what its site says now."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from verifier import limits
from verifier.cli.common import in_words, read_file, read_own, reported, write_json
from verifier.cli.options import FILE, TrustOptions, now_option, trust_options
from verifier.cli.places import locate
from verifier.cli.site_report import log_as_json
from verifier.errors import FormatError, VerificationError

__all__ = ["check_file"]


@click.command("file")
@click.argument("file", type=FILE)
@click.option("--signature", type=FILE, help="Default: FILE.minisig.")
@click.option("--key", help="The public key, RW….")
@click.option("--key-file", type=FILE, help="Its minisign.pub.")
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
        _check_proof(file, proof, trust, now, as_json=as_json)
        return
    from verifier.formats.minisign import PublicKey
    from verifier.results_signature import check_results, read_signature

    if (key is None) == (key_file is None):
        raise click.UsageError("give the public key, either with --key or with --key-file")
    if key is not None:
        try:
            PublicKey.parse(key)
        except FormatError as error:
            raise click.UsageError(f"--key: {error}") from None
    with reported(as_json=as_json):
        public = read_own(key_file, limits.PUBLIC_KEY_FILE, PublicKey.parse) if key_file else PublicKey.parse(key or "")
        data = _read_results(file)
        parsed, comment = read_signature(
            read_file(signature or file.with_name(file.name + ".minisig"), limits.MINISIGN_FILE)
        )
        check_results(data, parsed, comment, public)
        if not any_name and file.name != comment.file.rpartition("/")[2]:
            raise VerificationError(
                f"this is {comment.file}, not {file.name}; use --any-name if you renamed it yourself"
            )
    if as_json:
        write_json({"verified": True, "file": comment.file, "election": comment.election,
                    "release": comment.release, "sha256": comment.sha256, "key": public.name})  # fmt: skip
    else:
        click.echo(f"Checked: {comment.file} of election {comment.election}, release {comment.release}")
        click.echo(f"Signed by key {public.name}, for the release of {in_words(comment.timestamp)}")
        click.echo("Not checked: whether a newer release has changed it (--proof, or terbit-verify site)")


def _read_results(file: Path) -> bytes:
    data = read_file(file, limits.RESULTS_FILE)
    if file.suffix != ".json" and not data.lstrip().startswith(b"{"):
        raise click.UsageError(
            f"{file.name} is not a results file (JSON): only these are checked one by one. Pages are checked with the whole site: terbit-verify site"
        )
    return data


def _check_proof(file: Path, place: str, trust: TrustOptions, now: datetime | None, *, as_json: bool) -> None:
    """The whole client algorithm for one file."""
    place, fetcher, _ = locate(place)
    with reported(as_json=as_json):
        from verifier.log import check_log
        from verifier.results_signature import results_path

        data = _read_results(file)
        client = trust.client(place, fetcher, now)
        logged = check_log(client, fetcher)
        path = results_path(data)
        client.compare(path, data)
        release = client.snapshot.version
    if as_json:
        write_json({"verified": True, "file": path, "release": release, "log": log_as_json(logged)})
    else:
        click.echo(
            f"Checked: {path} is in release {release}, signed as current until {in_words(client.timestamp.expires)}"
        )
        click.echo(f"Log: {logged.told}" if logged else "Log: this site has none, so others may be told another story")
