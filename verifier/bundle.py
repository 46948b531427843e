"""A bundle: one file with an election's whole verified public tree, to be carried where no network is (docs/formats.md, "Archives").

It holds what a check of the site reads, no more and no less, but for the packs, which repeat it. To its readers it is a place like any
other: an import is a mirror's run that knows no other upstream, so nothing in it is believed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import Executor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from verifier import limits
from verifier.archive import ArchiveFetcher
from verifier.errors import FormatError, StaleError, VerificationError, VerifierError
from verifier.fetcher import Fetcher, check_path
from verifier.files import PACK_OBJECTS, SignedFile, object_path
from verifier.formats import ustar
from verifier.log import CHECKPOINT, check_log
from verifier.mirror.folder import TIMESTAMP, Folder
from verifier.mirror.init import init
from verifier.mirror.metadata import claimed_version
from verifier.mirror.sync import Outcome, sync
from verifier.mirror.upstreams import Upstreams
from verifier.printable import counted
from verifier.public_log import check_log_files, read_edge
from verifier.site import SiteReport, check_site
from verifier.withheld import Redactions

if TYPE_CHECKING:
    from verifier.client import Client

__all__ = ["Recorder", "import_bundle", "write_bundle"]

# The page that checks a file without any network, under its own name too: for whoever has a browser and nothing of ours.
CHECKER = "assets/periksa-luring.html"


class Recorder:
    """A Fetcher that remembers what was read through it. Thread-safe."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher, self._lock = fetcher, threading.Lock()
        self.read: dict[str, int] = {}
        self.timestamp = b""

    def fetch(self, path: str, max_length: int) -> bytes:
        """See verifier.fetcher.Fetcher."""
        data = self._fetcher.fetch(path, max_length)
        with self._lock:
            self.read[path] = len(data)
            if path == TIMESTAMP:
                self.timestamp = data
        return data

    def fetch_linked(self, path: str, other: str, max_length: int) -> tuple[bytes, bool]:
        """See verifier.fetcher.Fetcher."""
        return self.fetch(path, max_length), False


def write_bundle(client: Client, recorder: Recorder, executor: Executor, election: str, out: Path) -> SiteReport:
    """Check the site of the refreshed `client`, which reads through `recorder`, and write what was read to `out`, in the folder `election`.

    `executor` must be one of threads. VerificationError, and no file, if something does not hold.
    """
    if not election or "/" in check_path(election):
        raise VerifierError(f"{election!r} cannot be a bundle's folder")
    logged = check_log(client, recorder)
    if logged is not None:
        recorder.fetch(CHECKPOINT, limits.NOTE_FILE)
        check_log_files(recorder, read_edge(recorder.fetch, logged.checkpoint))
    order = Redactions(recorder, logged.checkpoint.checkpoint if logged else None).order
    report = check_site(client, recorder, executor, aliases=False, signatures=True, order=order)
    if report.failures:
        first = report.failures[0]
        raise VerificationError(
            f"{counted(len(report.failures), 'file')} not as published, the first: {first.path}: {first.what}; no bundle was made"
        )
    temporary = out.with_name(f".{out.name}.part")
    try:
        with temporary.open("wb", buffering=1 << 20) as file:
            file.writelines(ustar.encode(_files(client, recorder, election)))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, out)
    except OSError as error:
        raise VerifierError(f"{out} cannot be written: {error.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)
    return report


def _files(client: Client, recorder: Recorder, election: str) -> Iterator[tuple[str, bytes]]:
    """Every file in its order, read once more: whoever changes one meanwhile makes a bundle that nobody accepts."""
    sources = {path: path for path in recorder.read if not path.startswith(PACK_OBJECTS)}
    if client.lists(CHECKER):
        target = client.find(CHECKER)
        sources[CHECKER] = object_path(SignedFile(CHECKER, target.hashes["sha256"], target.length))
    for path, source in sorted(sources.items()):
        data = recorder.timestamp if path == TIMESTAMP else recorder.fetch(source, recorder.read[source])
        yield f"{election}/{path}", data


def import_bundle(
    file: Path, folder: Path, root: Path | None, root_sha256: str | None, now: datetime
) -> tuple[Outcome, bool]:
    """Bring what `file` holds into `folder`, a mirror or one that is made now, which trusts the root in the file `root` or with the hash
    `root_sha256` (hex). What is there stays as it was unless all of it verifies. True if it had expired by `now`: then nobody here can say
    whether there is something newer.
    """
    bundle = ArchiveFetcher(file, in_folder=True)
    bundle.check()
    if (folder / "mirror.toml").exists():
        mirror = Folder(folder)
        if mirror.settings.election != bundle.folder:
            raise FormatError(f"{file} is of {bundle.folder}, and {folder} is a mirror of {mirror.settings.election}")
    else:
        mirror = init(folder, [str(file)], bundle.folder, root, root_sha256)
    upstreams = Upstreams([str(file)])
    with mirror.lock():
        try:
            return sync(mirror, upstreams, now), False
        except StaleError:
            signed = claimed_version(bundle.fetch(TIMESTAMP, limits.TIMESTAMP_METADATA))
            if not 0 < signed < now.timestamp():
                raise
            return sync(mirror, Upstreams([str(file)]), datetime.fromtimestamp(signed, UTC)), True
