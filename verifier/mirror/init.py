"""Make a folder a mirror: pin the root of trust, and write down where files come from."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from verifier import limits
from verifier.client import Client
from verifier.errors import VerifierError
from verifier.fetcher import DirectoryFetcher
from verifier.mirror.folder import Folder, Settings
from verifier.mirror.upstreams import Upstreams
from verifier.trust import check_fingerprint, first_root

__all__ = ["init"]


def init(
    root_folder: Path, places: Sequence[str], election: str | None, root: Path | None, root_sha256: str | None
) -> Folder:
    """Make `root_folder` a mirror of the election at `places`, URLs or folders; `election` is by default the last part of
    the first one. Trusted is the metadata in the file `root`, or the upstreams' first root if it has this SHA-256 (hex).

    VerifierError if it is a mirror already, or the root cannot be had or is none: then the folder stays no mirror.
    """
    if (root_folder / "mirror.toml").exists():
        raise VerifierError(f"{root_folder} is a mirror already; its upstreams are in mirror.toml")
    places = [place.rstrip("/") if "://" in place else str(Path(place).resolve()) for place in places]
    settings = Settings(election or places[0].rpartition("/")[2], tuple(places))
    if root is not None:
        data = DirectoryFetcher(root.resolve().parent).fetch(root.resolve().name, limits.ROOT_METADATA)
    else:
        wanted = (root_sha256 or "").lower()
        check = partial(check_fingerprint, sha256=wanted)
        data = first_root(partial(Upstreams(places).fetch, check=check), wanted)
    Client(DirectoryFetcher(root_folder), root_folder / "state", datetime.now(UTC), data)
    Folder.create(root_folder, settings)
    return Folder(root_folder)
