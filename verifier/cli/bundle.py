"""`terbit-verify bundle` and `import`: carry a published election on a stick, and trust neither the stick nor who filled it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from verifier.cli.common import collection_paused, in_words, reported
from verifier.cli.options import FILE, FOLDER, NEW_FILE, TrustOptions, now_option, root_options, trust_options
from verifier.cli.places import HTTP_CONNECTIONS, locate
from verifier.errors import StaleError
from verifier.printable import counted, say

__all__ = ["bundle", "import_command"]


@click.command("bundle")
@click.argument("place", metavar="URL|DIR|MIRROR")
@click.option("-o", "--out", required=True, type=NEW_FILE, help="The file to write.")
@trust_options
@now_option
def bundle(*, place: str, out: Path, trust: TrustOptions, now: datetime | None) -> None:
    """Write everything that is published at URL, in DIR or by a MIRROR to one file, after checking all of it.

    \b
    Example:
      terbit-verify bundle mirror -o pemilu-2019.tar
    """
    with reported(), TemporaryDirectory() as scratch:
        from concurrent.futures import ThreadPoolExecutor

        from verifier.bundle import Recorder, write_bundle
        from verifier.client import Client
        from verifier.mirror.folder import Folder
        from verifier.mirror.verify import first_root

        is_mirror = (Path(place) / "mirror.toml").is_file()
        found, fetcher, _ = locate(place)
        recorder = Recorder(fetcher)
        if is_mirror and trust == TrustOptions(None, None, None):
            # As in `mirror verify`: the mirror's own state may know a release that is still on its way.
            client = Client(recorder, Path(scratch), now or datetime.now(UTC), first_root(Folder(Path(place))))
            client.refresh()
        else:
            client = trust.client(found, recorder, now)
        with ThreadPoolExecutor(HTTP_CONNECTIONS if "://" in found else 1) as executor, collection_paused():
            report = write_bundle(client, recorder, executor, found.rpartition("/")[2], out)
    say(
        f"{out}: release {report.release} with {counted(report.files, 'file')}, {out.stat().st_size:,} bytes, all of it checked"
    )


@click.command("import")
@click.argument("file", type=FILE)
@click.option("--into", "folder", required=True, type=FOLDER, help="A mirror's folder, or a new one.")
@root_options
@now_option
def import_command(
    *, file: Path, folder: Path, root: Path | None, root_sha256: str | None, now: datetime | None
) -> None:
    """Unpack a bundle into a mirror's folder, each file only after it was checked. Its release appears as a whole, or not at all.

    A new folder needs the root to trust. One that has seen a newer release refuses an older bundle. Exit status 5: all of it is what was
    published, but its time has run out; there may be something newer.

    \b
    Example:
      terbit-verify import pemilu-2019.tar --into mirror --root-sha256 9f86d0…
    """
    if not (folder / "mirror.toml").exists() and (root is None) == (root_sha256 is None):
        raise click.UsageError("say which root to trust, either with --root or with --root-sha256")
    with reported(), collection_paused():
        from verifier.bundle import import_bundle

        outcome, expired = import_bundle(file, folder, root, root_sha256, now or datetime.now(UTC))
    complete = outcome.complete
    say(
        f"{folder}: release {complete.release}, {counted(complete.files, 'file')}, all of it checked; {outcome.fetched:,} came from {file}"
    )
    if expired:
        say(f"It was signed as current until {in_words(complete.expires)}: there may be something newer.", err=True)
        sys.exit(StaleError.exit_code)
