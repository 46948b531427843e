"""`terbit-verify bundle` and `import`: carry a published election on a stick, and trust neither the stick nor who filled it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from verifier.cli_trust import TrustOptions, now_option, trust_options
from verifier.errors import StaleError
from verifier.printable import say

__all__ = ["bundle", "import_command"]

HTTP_CONNECTIONS = 8


@click.command("bundle")
@click.argument("place", metavar="URL|DIR|MIRROR")
@click.option("-o", "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The file to write.")
@trust_options
@now_option
def bundle(*, place: str, out: Path, trust: TrustOptions, now: datetime | None) -> None:
    """Write everything that is published at URL, in DIR or by a MIRROR to one file, after checking all of it.

    \b
    Example:
      terbit-verify bundle mirror -o pemilu-2019.tar
    """
    from verifier.cli import _collection_paused, _locate, _reported

    with _reported(as_json=False), TemporaryDirectory() as scratch:
        from concurrent.futures import ThreadPoolExecutor

        from verifier.bundle import Recorder, write_bundle
        from verifier.client import Client
        from verifier.mirror.folder import Folder
        from verifier.mirror.verify import first_root
        from verifier.trust import Trust

        is_mirror = (Path(place) / "mirror.toml").is_file()
        found, fetcher, _ = _locate(str(Path(place) / "public") if is_mirror else place)
        if is_mirror and trust == TrustOptions(None, None, None):
            # As in `mirror verify`: the mirror's own state may know a release that is still on its way.
            store, pinned = None, Trust(Path(scratch), first_root(Folder(Path(place))))
        else:
            store, pinned = trust.find(found, fetcher)
        recorder = Recorder(fetcher)
        with ThreadPoolExecutor(HTTP_CONNECTIONS if "://" in found else 1) as executor, _collection_paused():
            client = Client(recorder, pinned.state, now or datetime.now(UTC), pinned.root)
            client.refresh()
            if store is not None:
                store.remember(found, pinned)
            report = write_bundle(client, recorder, executor, pinned.state, found.rpartition("/")[2], out)
    say(f"{out}: release {report.release} with {report.files} files, {out.stat().st_size} bytes, all of it checked")


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--into",
    "folder",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="A mirror's folder, or a new one.",
)
@click.option(
    "--root",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Trust this root.json, which you have from a source that you trust.",
)
@click.option("--root-sha256", metavar="HEX", help="Trust the bundle's first root, if it has this printed fingerprint.")
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
    from verifier.cli import _collection_paused, _reported, _time

    if not (folder / "mirror.toml").exists() and (root is None) == (root_sha256 is None):
        raise click.UsageError("say which root to trust, either with --root or with --root-sha256")
    with _reported(as_json=False), _collection_paused():
        from verifier.bundle import import_bundle

        outcome, expired = import_bundle(file, folder, root, root_sha256, now or datetime.now(UTC))
    complete = outcome.complete
    say(
        f"{folder}: release {complete.release}, {complete.files} files, all of it checked; {outcome.fetched} came from {file}"
    )
    if expired:
        say(f"It was signed as current until {_time(int(complete.expires))}: there may be something newer.", err=True)
        sys.exit(StaleError.exit_code)
